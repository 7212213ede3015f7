"""Rows of `events.sqlite` for those who take them further, such as the lake; and their removal once they are there."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Literal

from recsys_assets.errors import EventsUnavailableError
from recsys_assets.intake.events_database import (
    EVENT_COLUMNS,
    HIDING_KINDS,
    IMPRESSION_COLUMNS,
    open_events,
)
from recsys_assets.intake.rows import EventRow, ImpressionRow

_ROWS_AT_ONCE: Final = 10_000
"""Rows of one read: a longer one would keep writers from reusing the file's log."""
_ALWAYS: Final = 2**62


def read_events(
    path: Path, *, after_seq: int = 0, since: int | None = None, before: int | None = None
) -> Iterator[tuple[int, EventRow]]:
    """Yield the events with their sequence numbers, ascending; none where there is no file.

    Args:
        path: the file.
        after_seq: yield those with a greater number only.
        since: yield those stamped at this time or later only, us since 1970.
        before: yield those stamped earlier than this only, us since 1970.

    Raises:
        EventsUnavailableError: the file cannot be read.
    """
    query = f"""
        SELECT seq, {EVENT_COLUMNS} FROM events WHERE seq > ? AND timestamp >= ? AND timestamp < ?
        ORDER BY seq LIMIT {_ROWS_AT_ONCE}
    """  # noqa: S608  constants
    limits = (-_ALWAYS if since is None else since, _ALWAYS if before is None else before)
    for seq, *values in _rows(path, query, after_seq, limits):
        yield seq, EventRow(*values)


def read_impressions(path: Path, *, after_seq: int = 0) -> Iterator[tuple[int, ImpressionRow]]:
    """Yield the impressions with their sequence numbers, ascending; none where there is no file.

    Raises:
        EventsUnavailableError: the file cannot be read.
    """
    query = (
        f"SELECT seq, {IMPRESSION_COLUMNS} FROM impressions WHERE seq > ? ORDER BY seq LIMIT {_ROWS_AT_ONCE}"  # noqa: S608  constants
    )
    for seq, *values in _rows(path, query, after_seq):
        yield seq, ImpressionRow(*values)


def users_with_events(path: Path) -> list[str]:
    """Return the ids of the users that have events, each once; none where there is no file.

    Raises:
        EventsUnavailableError: the file cannot be read.
    """
    if not path.is_file():
        return []
    with _named(path), closing(open_events(path)) as connection:
        return [user_id for (user_id,) in connection.execute("SELECT DISTINCT user_id FROM events")]


def prune(
    path: Path,
    table: Literal["events", "impressions"],
    *,
    landed_through: int,
    received_before: int,
    stamped_before: int | None = None,
) -> int:
    """Remove rows that are in the lake, and return their number. Events that hide an item stay: no release knows them.

    Args:
        path: the file.
        table: the table.
        landed_through: the greatest sequence number that is in the lake.
        received_before: remove rows that arrived earlier than this only, us since 1970.
        stamped_before: remove rows stamped earlier than this only, us since 1970.

    Raises:
        EventsUnavailableError: the file cannot be written.
    """
    if not path.is_file():
        return 0
    with _named(path), closing(open_events(path)) as connection:
        return prune_rows(connection, table, landed_through, received_before, stamped_before)


def prune_rows(
    connection: sqlite3.Connection,
    table: Literal["events", "impressions"],
    landed_through: int,
    received_before: int,
    stamped_before: int | None,
) -> int:
    """Remove rows over an open connection; arguments and result as those of `prune`."""
    statement = f"DELETE FROM {table} WHERE seq IN ({_pruned(table)})"  # noqa: S608  constants
    values = (landed_through, received_before, _ALWAYS if stamped_before is None else stamped_before)
    removed = 0
    while count := connection.execute(statement, values).rowcount:
        removed += count
    return removed


def numbers_to_prune(
    connection: sqlite3.Connection,
    table: Literal["events", "impressions"],
    landed_through: int,
    received_before: int,
    stamped_before: int | None,
) -> list[int]:
    """Return the numbers of the rows that `prune_rows` would remove first."""
    query = _pruned(table)
    values = (landed_through, received_before, _ALWAYS if stamped_before is None else stamped_before)
    return [seq for (seq,) in connection.execute(query, values)]


def _pruned(table: str) -> str:
    kept = f" AND kind NOT IN ({', '.join(map(repr, HIDING_KINDS))})" if table == "events" else ""
    return (
        f"SELECT seq FROM {table} WHERE seq <= ? AND received_at < ? AND timestamp < ?{kept}"  # noqa: S608  constants
        f" ORDER BY seq LIMIT {_ROWS_AT_ONCE}"
    )


def _rows(path: Path, query: str, after_seq: int, limits: tuple[int, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query whose first value is the sequence number, some at a time."""
    if not path.is_file():
        return
    with _named(path):
        connection = open_events(path)
    with closing(connection):
        while True:
            with _named(path):
                rows = connection.execute(query, (after_seq, *limits)).fetchall()
            yield from rows
            if len(rows) < _ROWS_AT_ONCE:
                return
            after_seq = rows[-1][0]


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise EventsUnavailableError(
            f"{path}: events cannot be read ({error}); see its permissions, or `recsys build`, which moves a damaged"
            " file away"
        ) from error
