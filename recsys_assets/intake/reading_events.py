"""Reading of `events.sqlite` beside its writers: one connection, which cannot write and never makes the file."""

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from recsys_assets.errors import EventsUnavailableError

_BUSY_SECONDS: Final = 2.0
_TABLE: Final = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"


class EventsReader:
    """Reads rows of one file; threads may share it."""

    def __init__(self, path: Path) -> None:
        """Take the path of `events.sqlite`, which need not be there."""
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0

    def rows(self, table: str, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query; none where there is no file, or no such table in it.

        Args:
            table: the table that the query reads.
            query: SQL.
            values: its parameters.

        Raises:
            EventsUnavailableError: the file is there and cannot be read.
        """
        with self._lock:
            try:
                connection = self._open()
                if connection is None or connection.execute(_TABLE, (table,)).fetchone() is None:
                    return []
                return connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                self._close()
                raise EventsUnavailableError(
                    f"{self._path}: {table} cannot be read ({error}); see its permissions, or `recsys build`, which "
                    "moves a damaged file away"
                ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection | None:
        """Return a connection to the file that is at the path now; None where there is none."""
        try:
            inode = self._path.stat().st_ino
        except FileNotFoundError:
            self._close()
            return None
        if inode != self._inode:  # a build moved a damaged file away
            self._close()
        if self._connection is None:
            url = f"{self._path.absolute().as_uri()}?mode=ro"
            self._connection = sqlite3.connect(url, uri=True, check_same_thread=False, timeout=_BUSY_SECONDS)
            self._inode = inode
        return self._connection
