"""Rows taken off a shared log: what every lake has and is old, users who were forgotten, doubles.

The server loses them first, then an entry has every copy let go of them: a machine that was off meanwhile catches up.
Each step finds its rows in the copy, so that one that was cut short is done again.
"""

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from recsys_assets.intake.copied_entries import (
    forget_spare,
    kept_entry,
    landings,
    numbers_of_users,
    place_of,
    spare_entries,
)
from recsys_assets.intake.event_copy import EventCopy
from recsys_assets.intake.log_entries import Entry, Landing, Prune, encode_entry, entry_number
from recsys_assets.intake.stored_events import numbers_to_prune

if TYPE_CHECKING:
    from recsys_assets.intake.shared_events import SharedEvents

_ENTRIES_AT_ONCE: Final = 500
_NUMBERS_AT_ONCE: Final = 50_000


def say_landed(shared: "SharedEvents", landing: Landing) -> None:
    """Have all machines know how far a lake has landed, where that is news.

    Raises:
        EventsUnavailableError: the server does not answer, or the file cannot be written; as all functions here.
    """
    shared.copy.catch_up()
    if landing not in shared.copy.using(landings):
        shared.add(Entry(landing=landing))


def prune_shared(shared: "SharedEvents", prune: Prune) -> int:
    """Remove rows that every lake has and that are old, on the server and in all copies; return their number.

    Args:
        shared: the log.
        prune: the rows that this machine's lake has, and their age.
    """
    shared.copy.catch_up()
    known = shared.copy.using(landings)
    through = min([prune.landed_through, *(one.through for one in known if one.table == prune.table)])
    wanted, removed = msgspec.structs.replace(prune, landed_through=through), 0
    while numbers := shared.copy.using(
        lambda connection: numbers_to_prune(connection, *msgspec.structs.astuple(wanted))
    ):
        take_off(shared.copy, [*{entry_number(number): None for number in numbers}], removed=numbers)
        shared.add(Entry(prune=msgspec.structs.replace(wanted, landed_through=numbers[-1])))
        removed += len(numbers)
    if removed:
        shared.copy.on_server(lambda server: server.erase())
    return removed


def forget_shared(shared: "SharedEvents", users: Sequence[str]) -> int:
    """Remove all rows of users on the server and in all copies, and return their number."""
    shared.copy.catch_up()
    numbers = shared.copy.using(lambda connection: numbers_of_users(connection, users))
    spare = shared.copy.using(spare_entries)
    entries = [*{entry_number(number): None for number in numbers}, *spare]
    if not entries:
        return 0
    take_off(shared.copy, entries, removed=numbers)
    shared.copy.on_server(lambda server: server.erase())
    for start in range(0, len(numbers), _NUMBERS_AT_ONCE):
        shared.add(Entry(removed=numbers[start : start + _NUMBERS_AT_ONCE]))
    return len(numbers)


def take_off(copy: EventCopy, entries: Sequence[int], *, removed: Sequence[int] = ()) -> None:
    """Leave on the server, of entries, the rows that the copy has of them.

    Args:
        copy: the copy.
        entries: their numbers when their rows came.
        removed: numbers of rows to leave out too.
    """
    gone = frozenset(removed)
    for start in range(0, len(entries), _ENTRIES_AT_ONCE):
        _take_some_off(copy, entries[start : start + _ENTRIES_AT_ONCE], gone)


def _take_some_off(copy: EventCopy, entries: Sequence[int], gone: frozenset[int]) -> None:
    def changes(connection: sqlite3.Connection) -> dict[int, bytes | None]:
        kept = {origin: kept_entry(connection, origin, besides=gone) for origin in entries}
        return {
            place_of(connection, origin): None if entry is None else encode_entry(entry)
            for origin, entry in kept.items()
        }

    wanted = copy.using(changes)
    copy.on_server(lambda server: server.replace(wanted))
    copy.using(lambda connection: forget_spare(connection, entries))
