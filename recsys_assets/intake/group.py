"""One group commit: the rows of several senders in one transaction, each sender's all or none.

An event is known by its id. The same content again is a duplicate; another content is a conflict.
"""

import sqlite3
import time
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from recsys_assets.errors import EventConflictError, RecsysError
from recsys_assets.intake.events_database import EVENT_COLUMNS, IMPRESSION_COLUMNS, MERGE_COLUMNS
from recsys_assets.intake.rows import EventRow, ImpressionRow, MergeRow

if TYPE_CHECKING:
    from concurrent.futures import Future

IntakeRow = EventRow | ImpressionRow | MergeRow

_ADD_EVENT: Final = (
    f"INSERT INTO events ({EVENT_COLUMNS})"  # noqa: S608  constants
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_ADD_IMPRESSION: Final = (
    f"INSERT OR IGNORE INTO impressions ({IMPRESSION_COLUMNS})"  # noqa: S608  constants
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_ADD_MERGE: Final = f"INSERT OR IGNORE INTO merges ({MERGE_COLUMNS}) VALUES (?, ?, ?)"  # noqa: S608  constants
_IDS_AT_ONCE: Final = 500
_SHOWN_IDS: Final = 20
_LOCK_PATIENCE_SECONDS: Final = 5.0
_LOCK_POLL_SECONDS: Final = 0.000_5


class Receipt(NamedTuple):
    """Outcome of one batch that is stored."""

    accepted: int
    """Rows that were new."""
    duplicates: int
    """Rows that were there already, or came twice in the batch."""


class Submission(NamedTuple):
    """One sender's rows, and the future that ends once they are stored or rejected."""

    rows: tuple[IntakeRow, ...]
    future: "Future[Receipt]"


def write_group(connection: sqlite3.Connection, group: Sequence[Submission]) -> list[Receipt | RecsysError]:
    """Store a group in one transaction; return the receipt of each batch, or the conflict for which it is rejected.

    Raises:
        sqlite3.Error: nothing of the group is stored.
    """
    _begin(connection)
    try:
        known = known_events(connection, group)
        outcomes = [_write_batch(connection, one.rows, known) for one in group]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return outcomes


def is_same(one: EventRow, other: EventRow) -> bool:
    """Return True where two events of one id have the same content.

    The time of arrival does not count, and neither does the time of events that were stamped at their arrival.
    """
    if one[1:4] != other[1:4] or one[6:] != other[6:]:
        return False
    at_arrival = one.timestamp == one.received_at and other.timestamp == other.received_at
    return at_arrival or one.timestamp == other.timestamp


def known_events(connection: sqlite3.Connection, group: Sequence[Submission]) -> dict[str, EventRow]:
    """Return the stored events that have the ids of the group's, by id.

    Raises:
        sqlite3.Error: they cannot be read.
    """
    ids = [row.event_id for one in group for row in one.rows if isinstance(row, EventRow)]
    known = {}
    for start in range(0, len(ids), _IDS_AT_ONCE):
        some = ids[start : start + _IDS_AT_ONCE]
        query = f"SELECT {EVENT_COLUMNS} FROM events WHERE event_id IN ({', '.join('?' * len(some))})"  # noqa: S608  constants
        for values in connection.execute(query, some):
            known[values[0]] = EventRow(*values)
    return known


def conflict_of(ids: Collection[str]) -> EventConflictError:
    """Return the error of events that are there with another content, by their ids."""
    shown = ", ".join(repr(one) for one in list(ids)[:_SHOWN_IDS])
    more = f" and {len(ids) - _SHOWN_IDS} more" if len(ids) > _SHOWN_IDS else ""
    return EventConflictError(
        f"events {shown}{more} are there with another content; none of the batch was kept: give each event an id"
        " of its own, and send an event again as it was",
        event_ids=list(ids),
    )


def _begin(connection: sqlite3.Connection) -> None:
    """Take the write lock; SQLite's own wait grows to 100 ms, which another worker's short transactions are not."""
    end = time.monotonic() + _LOCK_PATIENCE_SECONDS
    connection.execute("PRAGMA busy_timeout = 0")
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(_LOCK_POLL_SECONDS)
        else:
            return


def _write_batch(
    connection: sqlite3.Connection, rows: Sequence[IntakeRow], known: dict[str, EventRow]
) -> Receipt | RecsysError:
    events = [row for row in rows if isinstance(row, EventRow)]
    new: dict[str, EventRow] = {}
    conflicts: dict[str, None] = {}
    for row in events:
        earlier = known.get(row.event_id) or new.get(row.event_id)
        if earlier is None:
            new[row.event_id] = row
        elif not is_same(earlier, row):
            conflicts[row.event_id] = None
    if conflicts:
        return conflict_of(conflicts)
    connection.executemany(_ADD_EVENT, new.values())
    known.update(new)
    before = connection.total_changes
    connection.executemany(_ADD_IMPRESSION, _of(rows, ImpressionRow))
    connection.executemany(_ADD_MERGE, _of(rows, MergeRow))
    accepted = len(new) + connection.total_changes - before
    return Receipt(accepted, len(rows) - accepted)


def _of(rows: Sequence[IntakeRow], kind: type[ImpressionRow | MergeRow]) -> Iterator[IntakeRow]:
    return (row for row in rows if isinstance(row, kind))
