"""A daily table whose days are objects of a store: each day with the place that it is read from, here or there."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from recsys_assets.storage.day_folders import JOURNAL, PART, day_folder, day_name, days_under
from recsys_assets.storage.day_journal import DayFile, DayJournal
from recsys_assets.storage.day_objects import DayObjects
from recsys_assets.storage.open_copy import working_copy
from recsys_assets.storage.store_place import StorePlace, place_of

_THREADS: Final = 16


@dataclass(frozen=True, kw_only=True)
class TableCopy:
    """The local copies of a table's days, and its days in the store."""

    root: Path
    """The table's folder in the home."""
    place: StorePlace
    """The store."""
    objects: DayObjects
    """The days in the store."""
    options: Mapping[str, str]
    """`storage_options` with which polars reads the store; empty where that is a folder."""

    def files(self, journal: DayJournal) -> dict[date, DayFile]:
        """Return each day of the table, oldest first, by its local file where that is the right one."""
        return {day: self._here(day, far.as_file(), journal) for day, far in self.objects.days().items()}

    def file(self, day: date, journal: DayJournal) -> DayFile | None:
        """Return what `files` returns of a day; None where the store has none."""
        far = self.objects.day_file(day)
        return None if far is None else self._here(day, far, journal)

    def _here(self, day: date, far: DayFile, journal: DayJournal) -> DayFile:
        local = journal.find(day, f"{self.root}/{day_name(day)}/{PART}")
        return local if local is not None and local.checksum == far.checksum else far

    def is_here(self, file: DayFile) -> bool:
        """Return whether a day is read from its local file."""
        return file.state[3] != 0

    def place_of_day(self, file: DayFile) -> str:
        """Return the path of a day's local file where that is the right one, else the object's place for polars."""
        if self.is_here(file):
            return f"{self.root}/{day_name(file.day)}/{PART}"
        return self.place.url_of(self.objects.key(file.day))

    def near(self, files: list[DayFile], journal: DayJournal) -> list[DayFile]:
        """Return the files of days that are read together: all here, or all of the store.

        Who holds the store fetches those that are not here, so that an outage is waited for, and the next reading is
        quick; who only reads does so in place, and fetches where some are here.
        """
        far = [file for file in files if not self.is_here(file)]
        if far and (self.objects.held or len(far) < len(files)):
            self.fetch([file.day for file in far])
            return [self._here(file.day, file, journal) for file in files]
        return files

    def fetch(self, days: list[date]) -> None:
        """Fetch days that the store has, several at a time."""
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(lambda day: self.objects.fetch(day, day_folder(self.root, day) / PART), days))

    def bring(self, day: date, journal: DayJournal) -> None:
        """Fetch a day that the store has, unless its local file is the right one."""
        file = self.file(day, journal)
        if file is not None and not self.is_here(file):
            self.fetch([day])


def copy_of_table(root: Path) -> TableCopy | None:
    """Return a table as a copy of the store's; None where its home has no store, or it is no table of a home.

    Args:
        root: the table's folder, `<home>/lake/raw` or another.
    """
    home = root.parent.parent
    place = place_of(home) if root.parent.name == "lake" else None
    if place is None:
        return None
    copy = working_copy(home)
    return TableCopy(
        root=root, place=place, objects=copy.tables[f"lake/{root.name}"], options=copy.polars_options
    )


def days_of_table(root: Path) -> list[date]:
    """Return the days of a daily table, oldest first, wherever they are; quicker than a `PartitionStore`.

    Args:
        root: as in `copy_of_table`.
    """
    copy = copy_of_table(root)
    return days_under(root) if copy is None else list(copy.objects.days())


def fetch_days(root: Path, days: list[date]) -> None:
    """Fetch days of a daily table whose home has a store, each compared with its checksum; nothing in another home.

    Args:
        root: as in `copy_of_table`.
        days: days that the store has.

    Raises:
        ObjectStoreError: an object is damaged.
    """
    copy = copy_of_table(root)
    if copy is not None:
        copy.fetch(days)


def bring_days(home: Path) -> None:
    """Fetch every day of a home's tables that is not here: the files are the whole tables then, as links need them.

    Nothing happens in a home without a store. The caller holds the build lock.
    """
    if place_of(home) is None:
        return
    for name in working_copy(home).tables:
        copy = copy_of_table(home / name)
        if copy is not None:
            journal = DayJournal(copy.root / JOURNAL)
            copy.fetch([file.day for file in copy.files(journal).values() if not copy.is_here(file)])
            journal.settle()
