"""Time of an event of Dagster's log on a Postgres server, stored in batches as a build does."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import dagster as dg
import msgspec
from dagster._core.events import DagsterEventBatchMetadata, StepMaterializationData

from recsys_assets.orchestration.dagster_yaml import configure_dagster
from recsys_assets.orchestration.event_log import let_dagster_send_batches
from recsys_assets.settings import DagsterSettings
from recsys_assets.storage.home import Home

EVENTS: Final = 4_000
"""Days of a history of eleven years."""
_FIRST: Final = date(2017, 1, 1)
_RUN: Final = "recsys-benchmark-of-events"


class EventTime(msgspec.Struct, frozen=True, kw_only=True):
    """The result."""

    events: int
    """Materialisations of days that were stored and found again."""
    ms_per_event: float
    """Wall time, the read at the end left out."""


def postgres_ms_per_event(url: str, *, events: int = EVENTS) -> EventTime:
    """Store days' materialisations in Dagster's log on a server, in batches, and return the time of one.

    Args:
        url: the server, `postgresql://user:password@host/database`; the events are removed at the end.
        events: number of events, a day each.
    """
    let_dagster_send_batches()
    days = [(_FIRST + timedelta(days=number)).isoformat() for number in range(events)]
    with _instance(url) as instance:
        asset = dg.AssetKey("benchmark_of_events")
        started = time.perf_counter()
        for number, day in enumerate(days, start=1):
            made = dg.AssetMaterialization(
                asset, partition=day, metadata={"dagster/partition_row_count": number}
            )
            event = dg.DagsterEvent(
                event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
                event_specific_data=StepMaterializationData(made),
                job_name=_RUN,
            )
            batch = DagsterEventBatchMetadata(id=_RUN, is_end=number == events)
            instance.report_dagster_event(event, run_id=_RUN, batch_metadata=batch)
        seconds = time.perf_counter() - started
        found = len(instance.get_materialized_partitions(asset))
        instance.event_log_storage.delete_events(_RUN)
        instance.wipe_assets([asset])
    if found != events:
        raise AssertionError(f"{found:,} of {events:,} events were found again")
    return EventTime(events=events, ms_per_event=1_000 * seconds / events)


@contextmanager
def _instance(url: str) -> Iterator[dg.DagsterInstance]:
    with tempfile.TemporaryDirectory(prefix="recsys-bench-events-") as folder:
        home = Home(Path(folder))
        configure_dagster(home, DagsterSettings(postgres=url))
        with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
            yield instance
