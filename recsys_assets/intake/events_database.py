"""The file `events.sqlite`: its tables, its opening, and the carrying over of an earlier version's table.

Sequence numbers grow over the file's whole life and over that of its successor: they begin at the time of creation, so
that a reader that remembers the last one it took is right also where a damaged file was replaced.
"""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from recsys_assets.intake.rows import EventRow
from recsys_assets.storage.atomic import make_folder

KIND_OF_NONE: Final = "view"
"""The kind of an event that names none: the item counts as taken, and as a weak wish."""
HIDING_KINDS: Final = ("dislike", "hide")
"""Kinds that only hide an item from their user; they express no wish."""
EVENT_COLUMNS: Final = (
    "event_id, user_id, item_id, kind, timestamp, received_at, rating, quantity, value, answer_id"
)
IMPRESSION_COLUMNS: Final = "answer_id, item_id, position, user_id, timestamp, received_at"
MERGE_COLUMNS: Final = "from_user, to_user, at"
_TABLES: Final = f"""
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    rating REAL,
    quantity REAL,
    value REAL,
    answer_id TEXT
);
CREATE INDEX IF NOT EXISTS events_of_user ON events (user_id, timestamp);
CREATE INDEX IF NOT EXISTS hidden_by_user ON events (user_id)
    WHERE kind IN ({", ".join(map(repr, HIDING_KINDS))});
CREATE TABLE IF NOT EXISTS impressions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    answer_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    user_id TEXT,
    timestamp INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    UNIQUE (answer_id, item_id)
);
CREATE INDEX IF NOT EXISTS impressions_of_user ON impressions (user_id, timestamp);
CREATE TABLE IF NOT EXISTS merges (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    from_user TEXT NOT NULL,
    to_user TEXT NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (from_user, to_user)
);
"""
_NUMBERED: Final = ("events", "impressions", "merges")
_EARLIER: Final = "earlier-"
"""Beginning of the id of an event of an earlier version, before its number there."""
_CARRIED_OVER: Final = f"""
INSERT INTO events (event_id, user_id, item_id, kind, timestamp, received_at)
SELECT '{_EARLIER}' || id, user_id, item_id, ?, microseconds(timestamp), microseconds(received_at)
FROM earlier_events ORDER BY id
"""  # noqa: S608  constants
_BUSY_SECONDS: Final = 5.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)

Clock = Callable[[], datetime]


def microseconds(moment: datetime) -> int:
    """Return a time as whole microseconds since 1970, exact for every year from 1 to 9999.

    Raises:
        OverflowError: the time is outside these years once it is in UTC.
    """
    return (moment.astimezone(UTC) - _EPOCH) // _US


def utc_now() -> datetime:
    """Return the system's time, UTC."""
    return datetime.now(UTC)


def open_events(path: Path, *, now: Clock = utc_now) -> sqlite3.Connection:
    """Open the file for reading and writing, in autocommit; it and its tables are made where they are missing.

    Args:
        path: the file.
        now: the time from which on a new file's rows are numbered, in microseconds since 1970.

    Raises:
        sqlite3.Error: the file is damaged, locked for too long, or may not be written.
    """
    make_folder(path.parent)
    connection = sqlite3.connect(
        path, check_same_thread=False, timeout=_BUSY_SECONDS, isolation_level=None, cached_statements=64
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if _columns(connection, "merges") == set() or "event_id" not in _columns(connection, "events"):
            _make_tables(connection, microseconds(now()))
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def forget_in_memory(connection: sqlite3.Connection) -> None:
    """Have every process that follows the file read it again from its beginning, after rows were taken out of it.

    Raises:
        sqlite3.Error: the file may not be written.
    """
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    connection.execute(f"PRAGMA user_version = {(version + 1) % 2**31}")


def stored_event(number: int, values: Sequence[Any]) -> EventRow:
    """Return the event of a stored row, of this version's table or of the earlier one's.

    Raises:
        ValueError: the row is not one of either, or a time is none.
    """
    if len(values) == len(EventRow._fields):
        return EventRow(*values)
    user_id, item_id, timestamp, received_at = values
    return EventRow(
        f"{_EARLIER}{number}", user_id, item_id, KIND_OF_NONE, _of_text(timestamp), _of_text(received_at)
    )


def _make_tables(connection: sqlite3.Connection, first: int) -> None:
    """Make the tables that are missing, and carry the events of an earlier version over, all or nothing."""
    connection.create_function("microseconds", 1, _of_text, deterministic=True)
    connection.execute("BEGIN IMMEDIATE")
    try:
        earlier = "id" in _columns(
            connection, "events"
        )  # read under the lock: another process may have done it
        if earlier:
            connection.execute("ALTER TABLE events RENAME TO earlier_events")
        for statement in _TABLES.split(";"):
            connection.execute(statement)
        for table in _NUMBERED:
            connection.execute(
                "INSERT INTO sqlite_sequence (name, seq) SELECT ?1, ?2"
                " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?1)",
                (table, first),
            )
        if earlier:
            connection.execute(_CARRIED_OVER, (KIND_OF_NONE,))
            connection.execute("DROP TABLE earlier_events")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))}


def _of_text(text: str) -> int:
    return microseconds(datetime.fromisoformat(text))
