"""Dagster's event log on Postgres, for `[dagster] postgres`: the stock tables, written in batches.

The stock storage takes batches of one type of event only; a run's plan has two, and so went in one by one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dagster._core.events.log import EventLogEntry
from dagster._serdes import ConfigurableClassData
from dagster_postgres import PostgresEventLogStorage

from recsys_assets.orchestration.event_log import BatchedEvents, let_dagster_send_batches
from recsys_assets.orchestration.postgres_storage import connect_patiently, waits_for_server


@waits_for_server
class PostgresEventLog(BatchedEvents, PostgresEventLogStorage):
    """The event log of a home on a Postgres server."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PostgresEventLog":
        """Connect to the server that a `dagster.yaml` names, and make missing tables."""
        let_dagster_send_batches()
        storage = cls(postgres_url=config_value["postgres_url"], inst_data=inst_data)
        connect_patiently(storage._engine)
        return storage

    def optimize_for_webserver(self, *args: Any, **options: Any) -> None:
        """Keep a connection open, with limits."""
        super().optimize_for_webserver(*args, **options)
        connect_patiently(self._engine)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store the events of one run in their order, in one transaction."""
        with self.index_transaction() as connection:
            numbered = self._store_in_index(connection, self._rows(events))
        self._store_checks(numbered)
