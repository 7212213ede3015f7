"""Items shown to a user lately: counted in `events.sqlite` when a rule reads them, so nothing is held in memory.

Only the impressions of one user are read, by the index on user and time, and no more than `MOST_ROWS` of them.
"""

import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from recsys_assets.errors import EventsUnavailableError

MOST_ROWS: Final = 5_000
"""Newest impressions of a user that are counted, at most: about 2 ms."""
_BUSY_SECONDS: Final = 2.0
_SHOWN: Final = """
SELECT item_id, COUNT(*), MIN(timestamp) FROM (
    SELECT item_id, timestamp FROM impressions WHERE user_id = ? AND timestamp >= ? ORDER BY timestamp DESC LIMIT ?
) GROUP BY item_id
"""
_TABLE: Final = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'impressions'"


class Shown(NamedTuple):
    """The showings of one item to one user."""

    times: int
    """Answers with it that were shown, >= 1."""
    since: int
    """Time of the first of them, us since 1970, UTC."""


class ShownCounts:
    """Counts the impressions of a home; threads may share it."""

    def __init__(self, path: Path) -> None:
        """Take the path of `events.sqlite`, which need not be there."""
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0

    def of(self, user_id: str, *, since: int) -> Mapping[str, Shown]:
        """Return the items that were shown to a user from a time on; none where nothing was shown.

        Args:
            user_id: the user.
            since: us since 1970, UTC.

        Raises:
            EventsUnavailableError: the file is there and cannot be read.
        """
        with self._lock:
            try:
                connection = self._open()
                if connection is None or connection.execute(_TABLE).fetchone() is None:
                    return {}
                rows = connection.execute(_SHOWN, (user_id, since, MOST_ROWS)).fetchall()
            except sqlite3.Error as error:
                self._close()
                raise EventsUnavailableError(
                    f"{self._path}: impressions cannot be read ({error}); see its permissions, or `recsys build`, "
                    "which moves a damaged file away"
                ) from error
        return {item_id: Shown(times, first) for item_id, times, first in rows}

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
            self._connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=ro",
                uri=True,
                check_same_thread=False,
                timeout=_BUSY_SECONDS,
            )
            self._inode = inode
        return self._connection
