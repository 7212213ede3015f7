"""The object store of a home, in the words of `recsys doctor` and `recsys store show`.

Where it is, whether it answers, what is damaged there, what it has, and what waits here.
"""

from collections.abc import Mapping
from typing import Final

from recsys_assets.errors import ObjectMissingError, ObjectStoreError, SettingsError, StoreUnavailableError
from recsys_assets.storage.copied_files import belongs, differs, files_of
from recsys_assets.storage.copy_index import CopyIndex, read_index
from recsys_assets.storage.day_folders import JOURNAL
from recsys_assets.storage.day_journal import DayJournal
from recsys_assets.storage.home import Home
from recsys_assets.storage.open_copy import working_copy
from recsys_assets.storage.store_head import HEAD, decoded_head
from recsys_assets.storage.store_place import place_of
from recsys_assets.storage.table_copy import copy_of_table

_MEGABYTE: Final = 1_000_000
_SHOWN: Final = 3
"""Most files that are named."""


def facts_of_store(home: Home) -> list[tuple[str, str]]:
    """Return name and state of the home's object store; nothing where it has none. An outage is not waited for."""
    place = place_of(home.root)
    if place is None:
        return []
    index = read_index(home.root)
    try:
        store = working_copy(home.root).store
        head = decoded_head(place.root, store.get(HEAD).content)
    except ObjectMissingError:
        state = "answers; nothing was pushed there yet"
    except (StoreUnavailableError, ObjectStoreError, SettingsError) as error:
        state = f"cannot be used: {error}; this home has push {index.number}"
    else:
        newest = f"push {head.number} by {head.who} at {head.at[:19]} UTC"
        state = f"answers; {newest}" + (
            "" if head.number == index.number else f", this home has push {index.number}"
        )
    damaged = [
        ("", f"damaged there: {key}: {fault}; the next `recsys build` puts this home's")
        for key, fault in sorted(_damaged(home).items())
    ]
    return [("store", f"{place.root} {state}"), *damaged, *_waiting(home, index)]


def _damaged(home: Home) -> Mapping[str, str]:
    """Return the objects that this process rejected, where the store can be used."""
    try:
        return working_copy(home.root).damaged
    except SettingsError:
        return {}


def _waiting(home: Home, index: CopyIndex) -> list[tuple[str, str]]:
    """Return the files that changed here since the last push or pull."""
    changed = sorted(key for key in files_of(home.root) if differs(index, home.root, key))
    if not changed:
        return []
    named = ", ".join(changed[:_SHOWN]) + (
        f" and {len(changed) - _SHOWN:,} more" if len(changed) > _SHOWN else ""
    )
    return [("", f"not pushed yet: {named}; the next `recsys build` does")]


def facts_of_tables(home: Home) -> list[tuple[str, str]]:
    """Return name and state of each table of days in the store, and of all other files; nothing where it is away."""
    try:
        copy = working_copy(home.root)
        listed = {name: table.days() for name, table in copy.tables.items()}
        sizes = [entry.size for entry in copy.store.list() if belongs(entry.key)]
    except (ObjectStoreError, SettingsError):
        return []
    facts = []
    for name, days in listed.items():
        table = copy_of_table(home.root / name)
        if table is None or not days:
            continue
        here = [
            file for file in table.files(DayJournal(table.root / JOURNAL)).values() if table.is_here(file)
        ]
        size = sum(day.size for day in days.values())
        facts.append(
            (name, f"{len(days):,} days, {size / _MEGABYTE:.1f} MB; {len(here):,} of them are here too")
        )
    files = f"{len(sizes):,}, {sum(sizes) / _MEGABYTE:.1f} MB; a command brings those here that changed"
    return [*facts, ("other files", files)]
