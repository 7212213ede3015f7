"""Small homes to build in the test's own process: a few days of a made-up shop."""

from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import polars as pl

from recsys_assets.lake.initialise import initialise
from recsys_assets.orchestration.build_outcome import StageRow
from recsys_assets.settings import Settings
from recsys_assets.storage.home import Home

_RAW = dg.AssetKey("raw_interactions")


class SilentWatcher:
    """Shows nothing."""

    def begin(self, stage: str, detail: str) -> None:
        """Ignore it."""

    def report(self, stage: str, done: int, total: int) -> None:
        """Ignore it."""

    def end(self, row: StageRow) -> None:
        """Ignore it."""

    def say(self, text: str) -> None:
        """Ignore it."""


def small_home(root: Path, *, first: date, days: int = 6) -> tuple[Home, Settings]:
    """Write a log of `days` days from `first` on, 90 events each, and set a home up for it."""
    rows = [
        {
            "user_id": f"u{n % 20}",
            "item_id": f"i{(n * 7 + day) % 30}",
            "timestamp": f"{first + timedelta(days=day)}T10:00:{n % 60:02d}Z",
        }
        for day in range(days)
        for n in range(90)
    ]
    root.mkdir(parents=True)
    source = root / "events.csv"
    pl.DataFrame(rows).write_csv(source)
    home = Home(root / "home")
    return home, initialise(home, f"tabular:{source}")


def recorded_days(instance: dg.DagsterInstance) -> dict[str, object]:
    """The raw days as Dagster has them, whatever its storage."""
    events = instance.fetch_materializations(_RAW, limit=100).records
    log = instance.event_log_storage
    return {
        "days": sorted(instance.get_materialized_partitions(_RAW)),
        "rows": sorted(
            (e.partition_key, e.asset_materialization.metadata["dagster/partition_row_count"].value)
            for e in events
        ),
        "tags": {
            day: sorted(tags)
            for day, tags in log.get_latest_tags_by_partition(
                _RAW, dg.DagsterEventType.ASSET_MATERIALIZATION, ["dagster/data_version"]
            ).items()
        },
        "unfinished": log.get_latest_asset_partition_materialization_attempts_without_materializations(_RAW),
        "last run": {record.asset_entry.last_run_id for record in instance.get_asset_records([_RAW])}
        == {events[0].run_id},
    }
