"""Machines that share one object store: each has a home of its own, and plays a process of its own in the tests."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from recsys_assets.storage.home import Home
from recsys_assets.storage.local_objects import LocalObjects
from recsys_assets.storage.locks import build_lock
from recsys_assets.storage.partition_store import PartitionStore
from recsys_assets.storage.store_binding import bind

FIRST = date(2024, 5, 1)
SCHEMA = pl.Schema({"user_id": pl.String(), "amount": pl.Int64()})


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def rows(number: int, *, height: int = 3) -> pl.DataFrame:
    return pl.DataFrame({"user_id": [f"u{n}" for n in range(height)], "amount": [number] * height}, SCHEMA)


class Machines:
    """Homes in one folder, and the store that they are copies of."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, folder / "store"
        self.objects = LocalObjects(self.store)

    def home(self, name: str) -> Home:
        """Return a machine's home, bound to the store."""
        home = Home(self.folder / name)
        home.root.mkdir(exist_ok=True)
        if not home.settings_file.exists():
            home.settings_file.write_text(f'[storage]\nroot = "file://{self.store}"\nlease_seconds = 2\n')
        bind(home, {})
        return home

    def write(self, home: Home, **files: str) -> None:
        """Change documents of a home under its lock, as a command does; `__` stands for a slash."""
        with build_lock(home):
            put(home, **files)

    def land(self, home: Home, *numbers: int, height: int = 3) -> PartitionStore:
        """Write days of the raw table under the home's lock; return the table."""
        table = raw(home)
        with build_lock(home):
            for number in numbers:
                table.write(day(number), rows(number, height=height))
            table.settle()
        return table


def put(home: Home, **files: str) -> None:
    for name, content in files.items():
        path = home.root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def raw(home: Home) -> PartitionStore:
    return PartitionStore(
        root=home.raw, schema=SCHEMA, provenance=lambda one: {"inputs": f"made of {one} at {NOON:%H:%M}"}
    )


NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
