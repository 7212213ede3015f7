"""Dagster's event log on Postgres, for `[dagster] postgres`: the stock tables, written in batches.

The stock storage takes batches of one type of event only; a run's plan has two, and so went in one by one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dagster._core.events.log import EventLogEntry
from dagster._serdes import ConfigurableClassData
from dagster_postgres import PostgresEventLogStorage

from recsys_assets.orchestration.event_log import BatchedEvents, let_dagster_send_batches


class PostgresEventLog(BatchedEvents, PostgresEventLogStorage):
    """The event log of a home on a Postgres server."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PostgresEventLog":
        """Connect to the server that a `dagster.yaml` names, and make missing tables."""
        let_dagster_send_batches()
        return cls(postgres_url=config_value["postgres_url"], inst_data=inst_data)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store the events of one run in their order, in one transaction."""
        with self.index_transaction() as connection:
            numbered = self._store_in_index(connection, self._rows(events))
        self._store_checks(numbered)
