"""Days of a home that are not those of the store that it is a copy of."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from recsys_assets.errors import ObjectStoreError
from recsys_assets.storage.day_folders import JOURNAL, PART, day_folder, day_name, days_under
from recsys_assets.storage.day_journal import DayJournal
from recsys_assets.storage.day_objects import DayObjects


def other_days(root: Path, tables: Mapping[str, DayObjects]) -> Iterator[tuple[str, date, Path]]:
    """Yield table, day and folder of each local day that the store has not, or has with another content.

    Args:
        root: the home's folder.
        tables: the store's tables by their folder, `lake/raw`, as they were listed last.
    """
    for name, table in tables.items():
        folder, far = root / name, table.known()
        journal = DayJournal(folder / JOURNAL)
        for day in days_under(folder):
            there, here = far.get(day), journal.find(day, folder / day_name(day) / PART)
            if there is None or (here is not None and here.checksum != there.checksum):
                yield name, day, day_folder(folder, day)


def require_no_other_days(root: Path, tables: Mapping[str, DayObjects], url: str) -> None:
    """Check that a home which never was a copy of a store has no day that the store's would replace.

    Raises:
        ObjectStoreError: it has; nothing was changed.
    """
    found = [f"{name}/{day_name(day)}" for name, day, _ in other_days(root, tables)]
    if found:
        raise ObjectStoreError(
            f"{root}: has {len(found):,} days that {url} has not, the first {found[0]}, and never was a copy of that"
            " store, which is another home's; name an empty bucket or prefix in [storage] root, or take an empty"
            " --home for that store"
        )
