"""Events that arrive by HTTP after the release: durable in `events.sqlite`, in memory for the seen filter.

Several workers and other processes may write; each reader takes over new rows by their rowid.
"""

import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from recsys_assets.errors import EventsUnavailableError
from recsys_assets.storage.atomic import make_folder
from recsys_assets.storage.string_table import Vocabulary

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY,
    user_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    received_at TEXT NOT NULL
)
"""
_INSERT = "INSERT INTO events (user_id, item_id, timestamp, received_at) VALUES (?, ?, ?, ?)"
_NEWER = "SELECT id, user_id, item_id FROM events WHERE id > ? ORDER BY id"
_BUSY_MS = 2_000


class EventRow(NamedTuple):
    """One event as stored. Times are RFC 3339, UTC."""

    user_id: str
    item_id: str
    timestamp: str
    received_at: str


class EventStore:
    """Reads and writes one `events.sqlite`; the first write creates the file, a read never does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._last_id = 0
        self._data_version = -1
        self._items: dict[str, dict[str, None]] = {}
        self._count: dict[str, int] = {}

    def items_of(self, user_id: str) -> Mapping[str, None]:
        """Return the ids of the items of a user's events, oldest first; empty for a user without any."""
        return self._items.get(user_id) or {}

    def nums_of(self, user_id: str, items: Vocabulary) -> Sequence[int]:
        """Return the numbers of those items that `items` holds, most recent first."""
        since = self._items.get(user_id)
        if not since:
            return ()
        nums = (items.num_of(item_id) for item_id in list(since)[::-1])
        return list(dict.fromkeys(num for num in nums if num is not None))

    def users(self) -> Sequence[str]:
        """Return the ids of the users that have events here."""
        return list(self._items)

    def count_of(self, user_id: str) -> int:
        """Return the number of a user's events here; another number means that answers may have changed."""
        return self._count.get(user_id, 0)

    def add(self, rows: Iterable[EventRow]) -> int:
        """Store rows in one transaction and take them over; return their number.

        Raises:
            EventsUnavailableError: the file cannot be written (disk full, read-only, locked).
        """
        batch = list(rows)
        with self._lock:
            try:
                connection = self._open(create=True)
                with connection:
                    connection.executemany(_INSERT, batch)
                self._take_over(connection)
            except sqlite3.Error as error:
                raise EventsUnavailableError(
                    f"{self._path}: events cannot be stored ({error}); free disk space or mend the "
                    "permissions, then send them again: none of them was kept"
                ) from error
        return len(batch)

    def refresh(self) -> None:
        """Take over rows that others wrote. Costs microseconds where there are none.

        Raises:
            EventsUnavailableError: the file is there and cannot be read.
        """
        with self._lock:
            if not self._path.is_file():
                return
            try:
                connection = self._open(create=False)
                version = connection.execute("PRAGMA data_version").fetchone()[0]
                if version != self._data_version:
                    self._take_over(connection)
                    self._data_version = version
            except sqlite3.Error as error:
                raise EventsUnavailableError(
                    f"{self._path}: events cannot be read ({error}); see its permissions, or "
                    "`recsys build`, which moves a damaged file away"
                ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self, *, create: bool) -> sqlite3.Connection:
        inode = self._path.stat().st_ino if self._path.exists() else 0
        if self._connection is not None and inode != self._inode:  # a build moved a damaged file away
            self._connection.close()
            self._connection, self._last_id, self._data_version = None, 0, -1
        if self._connection is None:
            if create:
                make_folder(self._path.parent)
            connection = sqlite3.connect(self._path, check_same_thread=False, timeout=_BUSY_MS / 1000)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute(_SCHEMA)
            except sqlite3.Error:
                connection.close()
                raise
            self._connection, self._inode = connection, self._path.stat().st_ino
        return self._connection

    def _take_over(self, connection: sqlite3.Connection) -> None:
        for row_id, user_id, item_id in connection.execute(_NEWER, (self._last_id,)):
            self._items.setdefault(user_id, {})[item_id] = None
            self._count[user_id] = self._count.get(user_id, 0) + 1
            self._last_id = row_id
