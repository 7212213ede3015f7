"""Entries of a shared log taken over into `events.sqlite`, by one rule on every machine.

The rule depends on the entries before and on nothing else, so that all copies agree: an entry with an event that is
there with another content, or with a merge that contradicts an earlier one, is left out as a whole; of events of one
id, impressions of one item, and merges of the same users, the first counts.
"""

import sqlite3
from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from recsys_assets.errors import MergeConflictError
from recsys_assets.intake.events_database import (
    EVENT_COLUMNS,
    IMPRESSION_COLUMNS,
    MERGE_COLUMNS,
    forget_in_memory,
)
from recsys_assets.intake.group import IntakeRow, is_same
from recsys_assets.intake.log_entries import PLACES, Entry, Landing, Series
from recsys_assets.intake.merged_users import check_merge
from recsys_assets.intake.rows import EventRow, ImpressionRow, MergeRow
from recsys_assets.intake.stored_events import prune_rows

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS copied (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1), log TEXT NOT NULL, position INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS landings (
    lake TEXT NOT NULL, table_name TEXT NOT NULL, through INTEGER NOT NULL, PRIMARY KEY (lake, table_name)
);
CREATE TABLE IF NOT EXISTS moved_entries (origin INTEGER PRIMARY KEY, number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS spare_entries (number INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS shared_series (
    series TEXT PRIMARY KEY, release TEXT NOT NULL, list TEXT NOT NULL, experiment TEXT, arm TEXT, scenario TEXT,
    began INTEGER NOT NULL, is_known INTEGER NOT NULL DEFAULT 0
);
"""
_ADD_SERIES: Final = "INSERT OR IGNORE INTO shared_series VALUES (?, ?, ?, ?, ?, ?, ?, 0)"
_ADD_EVENT: Final = f"INSERT INTO events (seq, {EVENT_COLUMNS}) VALUES (?{', ?' * 10})"  # noqa: S608  constants
_ADD_IMPRESSION: Final = (
    f"INSERT OR IGNORE INTO impressions (seq, {IMPRESSION_COLUMNS}) VALUES (?{', ?' * 6})"  # noqa: S608  constants
)
_ADD_MERGE: Final = f"INSERT OR IGNORE INTO merges (seq, {MERGE_COLUMNS}) VALUES (?{', ?' * 3})"  # noqa: S608  constants
_EVENT: Final = f"SELECT seq, {EVENT_COLUMNS} FROM events WHERE event_id = ?"  # noqa: S608  constants
_IMPRESSION: Final = "SELECT seq FROM impressions WHERE answer_id = ? AND item_id = ?"
_MERGE: Final = "SELECT seq FROM merges WHERE from_user = ? AND to_user = ?"
_MERGES: Final = f"SELECT {MERGE_COLUMNS} FROM merges ORDER BY seq"  # noqa: S608  constants
NUMBERED: Final = ("events", "impressions", "merges")
"""The tables whose rows have numbers of the log."""


class Found(NamedTuple):
    """A sender's rows as the copy has them, after the entry with them was taken over."""

    new: set[int]
    """Numbers of the rows that are there under their own numbers."""
    conflicts: list[str]
    """Ids of events that are there with another content."""


def make_copy_tables(connection: sqlite3.Connection) -> None:
    """Make the tables of the copy's own, where they are missing."""
    connection.executescript(_TABLES)


def position_of(connection: sqlite3.Connection) -> tuple[str, int] | None:
    """Return the log's id and the number of the last entry that was taken over; None for a file that is no copy."""
    found: tuple[str, int] | None = connection.execute("SELECT log, position FROM copied").fetchone()
    return found


def set_position(connection: sqlite3.Connection, log: str, position: int) -> None:
    """Keep the number of the last entry, in the transaction of its rows."""
    connection.execute("INSERT OR REPLACE INTO copied VALUES (1, ?, ?)", (log, position))


def landings(connection: sqlite3.Connection) -> Sequence[Landing]:
    """Return how far each lake has landed."""
    return [Landing(*row) for row in connection.execute("SELECT lake, table_name, through FROM landings")]


def take_over_entry(connection: sqlite3.Connection, number: int, entry: Entry) -> bool:
    """Take an entry over, within a transaction of the caller's, and return False where a row of it is left out.

    Args:
        connection: the file's.
        number: the entry's.
        entry: the entry.
    """
    rows = list(entry.rows(number))
    left_out = len(rows)
    if not _contradicts(connection, [row for _, row in rows]):
        left_out -= sum(_add(connection, seq, row) for seq, row in rows)
    if entry.origin:
        connection.execute("INSERT OR REPLACE INTO moved_entries VALUES (?, ?)", (entry.origin, number))
    elif left_out:
        connection.execute("INSERT OR IGNORE INTO spare_entries VALUES (?)", (number,))
    if entry.removed:
        remove_rows(connection, entry.removed)
    if entry.prune is not None:
        prune_rows(connection, *msgspec.structs.astuple(entry.prune))
    connection.executemany(_ADD_SERIES, entry.series)
    if entry.landing is not None:
        values = msgspec.structs.astuple(entry.landing)
        connection.execute("INSERT OR REPLACE INTO landings VALUES (?, ?, ?)", values)
    return not left_out


def series_known(connection: sqlite3.Connection) -> set[str]:
    """Return the digits of all series of the log."""
    return {series for (series,) in connection.execute("SELECT series FROM shared_series")}


def take_new_series(connection: sqlite3.Connection) -> list[Series]:
    """Return the series that this machine was not given before, and note that it was."""
    query = "UPDATE shared_series SET is_known = 1 WHERE is_known = 0 RETURNING *"
    return [tuple(row[:-1]) for row in connection.execute(query).fetchall()]


def remove_rows(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Remove rows of users who were forgotten, and have those who follow the file read it again."""
    changed = 0
    for table in NUMBERED:
        statement = f"DELETE FROM {table} WHERE seq = ?"  # noqa: S608  constants
        changed += connection.executemany(statement, [(number,) for number in numbers]).rowcount
    if changed:
        forget_in_memory(connection)


def found_rows(connection: sqlite3.Connection, number: int, entry: Entry) -> Found:
    """Return which rows of an entry that was taken over are there, and which of its events contradict others."""
    new, conflicts = set[int](), list[str]()
    for seq, row in entry.rows(number):
        stored: tuple[Any, ...] | None
        if isinstance(row, EventRow):
            stored = connection.execute(_EVENT, (row.event_id,)).fetchone()
            if stored is not None and stored[0] != seq and not is_same(EventRow(*stored[1:]), row):
                conflicts.append(row.event_id)
        elif isinstance(row, ImpressionRow):
            stored = connection.execute(_IMPRESSION, (row.answer_id, row.item_id)).fetchone()
        else:
            stored = connection.execute(_MERGE, (row.from_user, row.to_user)).fetchone()
        if stored is not None and stored[0] == seq:
            new.add(seq)
    return Found(new, list(dict.fromkeys(conflicts)))


def numbers_of_users(connection: sqlite3.Connection, ids: Sequence[str]) -> list[int]:
    """Return the numbers of all rows of some users."""
    found = set[int]()
    columns = {"events": ["user_id"], "impressions": ["user_id"], "merges": ["from_user", "to_user"]}
    for table, names in columns.items():
        for name in names:
            for one in ids:
                rows = connection.execute(f"SELECT seq FROM {table} WHERE {name} = ?", (one,))  # noqa: S608  constants
                found |= {seq for (seq,) in rows}
    return sorted(found)


def stored_merge_rows(connection: sqlite3.Connection) -> list[MergeRow]:
    """Return the merges, oldest first."""
    return [MergeRow(*one) for one in connection.execute(_MERGES)]


def kept_entry(connection: sqlite3.Connection, origin: int, *, besides: Collection[int] = ()) -> Entry | None:
    """Return an entry's rows as the copy has them, to be put in its place on the server; None where none is left.

    Args:
        connection: the file's.
        origin: the entry's number when its rows came.
        besides: numbers of rows to leave out.
    """
    first = origin * PLACES

    def rows(table: str, names: str) -> list[list[Any]]:
        query = f"SELECT seq, {names} FROM {table} WHERE seq >= ? AND seq < ? ORDER BY seq"  # noqa: S608  constants
        found = connection.execute(query, (first, first + PLACES))
        return [[seq - first, *values] for seq, *values in found if seq not in besides]

    entry = Entry(
        origin=origin,
        events=[(place, EventRow(*values)) for place, *values in rows("events", EVENT_COLUMNS)],
        impressions=[
            (place, ImpressionRow(*values)) for place, *values in rows("impressions", IMPRESSION_COLUMNS)
        ],
        merges=[(place, MergeRow(*values)) for place, *values in rows("merges", MERGE_COLUMNS)],
    )
    return entry if entry.size else None


def place_of(connection: sqlite3.Connection, origin: int) -> int:
    """Return the number that an entry has on the server now."""
    found = connection.execute("SELECT number FROM moved_entries WHERE origin = ?", (origin,)).fetchone()
    return origin if found is None else found[0]


def spare_entries(connection: sqlite3.Connection) -> list[int]:
    """Return the numbers of entries on the server of which rows were left out here: doubles, and contradictions."""
    return [number for (number,) in connection.execute("SELECT number FROM spare_entries")]


def forget_spare(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Note that entries have no other rows on the server any more."""
    connection.executemany("DELETE FROM spare_entries WHERE number = ?", [(number,) for number in numbers])


def first_row(before: int) -> int:
    """Return the smallest row number of a log whose first entry comes after `before`."""
    return (before + 1) * PLACES


def _add(connection: sqlite3.Connection, seq: int, row: IntakeRow) -> bool:
    """Add a row that is not there, and return whether it is there now under this number."""
    if isinstance(row, EventRow):
        stored = connection.execute(_EVENT, (row.event_id,)).fetchone()
        if stored is not None:
            return bool(stored[0] == seq)
        connection.execute(_ADD_EVENT, (seq, *row))
        return True
    add = _ADD_IMPRESSION if isinstance(row, ImpressionRow) else _ADD_MERGE
    return connection.execute(add, (seq, *row)).rowcount > 0


def _contradicts(connection: sqlite3.Connection, rows: Sequence[IntakeRow]) -> bool:
    given: dict[str, EventRow] = {}
    merges: list[MergeRow] | None = None
    for row in rows:
        if isinstance(row, EventRow):
            stored = connection.execute(_EVENT, (row.event_id,)).fetchone()
            earlier = given.setdefault(row.event_id, EventRow(*stored[1:]) if stored else row)
            if not is_same(earlier, row):
                return True
        elif isinstance(row, MergeRow):
            if merges is None:
                merges = stored_merge_rows(connection)
            try:
                is_new = check_merge(row, merges)
            except MergeConflictError:
                return True
            merges += [row] if is_new else []
    return False
