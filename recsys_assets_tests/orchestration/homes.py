"""Small homes to build in the test's own process: a few days of a made-up shop."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl

from recsys_assets.lake.initialise import initialise
from recsys_assets.orchestration.build import StageRow
from recsys_assets.settings import Settings
from recsys_assets.storage.home import Home


class SilentWatcher:
    """Shows nothing."""

    def begin(self, stage: str, detail: str) -> None:
        """Ignore it."""

    def report(self, stage: str, done: int, total: int) -> None:
        """Ignore it."""

    def end(self, row: StageRow) -> None:
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
