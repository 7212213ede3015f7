"""Users who are one: an anonymous id and the account that it logged in to, as `events.sqlite` records them.

A merge is checked and stored in one transaction, so that two workers cannot make a circle. It is on the disk before
`add` returns. Merges are rare, and so have no part in the group commit of events. The lake and the API read them:
neither polars nor dagster.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from recsys_assets.errors import EventsUnavailableError, MergeConflictError
from recsys_assets.intake.rows import MergeRow
from recsys_assets.storage.atomic import make_folder
from recsys_assets.storage.database_urls import open_to_read

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS merges (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    from_user TEXT NOT NULL,
    to_user TEXT NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (from_user, to_user)
)
"""
_ALL: Final = "SELECT from_user, to_user, at FROM merges ORDER BY seq"
_ADD: Final = "INSERT INTO merges (from_user, to_user, at) VALUES (?, ?, ?)"
_BUSY_SECONDS: Final = 5.0


class MergedUsers:
    """The merges of one `events.sqlite`, in memory; threads may share it. The first merge creates the file."""

    def __init__(self, path: Path, *, keep: Callable[[MergeRow], bool] | None = None) -> None:
        """Read nothing yet.

        Args:
            path: the file.
            keep: stores a merge elsewhere and in the file, as `add` does; None: the file is all.
        """
        self._path = path
        self._keep = keep
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._data_version = -1
        self._rows: tuple[MergeRow, ...] = ()
        self._last: Mapping[str, str] = {}
        self._into: Mapping[str, tuple[str, ...]] = {}

    def of(self, user_id: str) -> str:
        """Return the user whom an id means now: itself, or the last of the users it was merged into."""
        return self._last.get(user_id, user_id)

    def merged_into(self, user_id: str) -> Sequence[str]:
        """Return the ids that mean a user now, beside the user's own."""
        return self._into.get(user_id, ())

    def mark(self, user_id: str) -> int:
        """Return a number that grows with each merge into a user."""
        return len(self._into.get(user_id, ()))

    def rows(self) -> Sequence[MergeRow]:
        """Return the merges, oldest first."""
        return self._rows

    def add(self, row: MergeRow) -> bool:
        """Store a merge, durably, and return True; False where it is stored already.

        Raises:
            MergeConflictError: `from_user` was merged into another user, or `to_user` is or means `from_user`.
            EventsUnavailableError: the file cannot be written.
        """
        if self._keep is not None:
            is_new = self._keep(row)
            self.refresh()
            return is_new
        with self._lock:
            try:
                make_folder(self._path.parent)
                with closing(_opened(self._path)) as connection:
                    connection.execute("PRAGMA synchronous = FULL")
                    connection.execute("BEGIN IMMEDIATE")
                    with connection:
                        connection.execute(_SCHEMA)
                        is_new = check_merge(row, [MergeRow(*found) for found in connection.execute(_ALL)])
                        if is_new:
                            connection.execute(_ADD, row)
                self._take_over()
            except (sqlite3.Error, OSError) as error:
                raise EventsUnavailableError(
                    f"{self._path}: the merge cannot be stored ({error}); free disk space or mend the permissions, "
                    "then send it again: nothing was kept"
                ) from error
        return is_new

    def refresh(self) -> None:
        """Take over merges that others stored, and let go of those that were taken out. Microseconds without any.

        Raises:
            EventsUnavailableError: the file is there and cannot be read.
        """
        with self._lock:
            try:
                self._take_over()
            except (sqlite3.Error, OSError) as error:
                self._disconnect()
                raise EventsUnavailableError(
                    f"{self._path}: merges cannot be read ({error}); see its permissions, or `recsys build`, which "
                    "moves a damaged file away"
                ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._disconnect()

    def _take_over(self) -> None:
        if not self._path.exists():
            return
        inode = self._path.stat().st_ino
        if self._connection is not None and inode != self._inode:  # a build moved a damaged file away
            self._disconnect()
        if self._connection is None:
            self._connection, self._inode = _opened(self._path), inode
        ((version,),) = self._connection.execute("PRAGMA data_version").fetchall()
        if version != self._data_version:
            self._set(_read(self._connection))
            self._data_version = version

    def _set(self, rows: Sequence[MergeRow]) -> None:
        if tuple(rows) == self._rows:
            return
        last = last_users(rows)
        into: dict[str, tuple[str, ...]] = {}
        for user, now in last.items():
            into[now] = (*into.get(now, ()), user)
        self._rows, self._last, self._into = tuple(rows), last, into

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection, self._data_version = None, -1


def check_merge(row: MergeRow, stored: Sequence[MergeRow]) -> bool:
    """Return whether a merge is new.

    Args:
        row: the merge.
        stored: those before, oldest first.

    Raises:
        MergeConflictError: it contradicts a stored one.
    """
    if row.from_user == row.to_user:
        raise MergeConflictError(f"user {row.from_user!r} cannot be merged into itself; name two users")
    before = next((one for one in stored if one.from_user == row.from_user), None)
    if before is not None and before.to_user == row.to_user:
        return False
    if before is not None:
        raise MergeConflictError(
            f"user {row.from_user!r} was merged into {before.to_user!r} before; merge {before.to_user!r} instead"
        )
    if last_users(stored).get(row.to_user, row.to_user) == row.from_user:
        raise MergeConflictError(
            f"user {row.to_user!r} means {row.from_user!r} since an earlier merge; send the merge the other "
            "way round"
        )
    return True


def last_users(rows: Iterable[MergeRow]) -> dict[str, str]:
    """Return merged user -> the user whom the id means now, through all merges; a circle ends where it began."""
    next_of = {row.from_user: row.to_user for row in rows}
    found = {}
    for user, to in next_of.items():
        now, seen = to, {user}
        while now in next_of and now not in seen:
            seen.add(now)
            now = next_of[now]
        if now != user:
            found[user] = now
    return found


def stored_merges(path: Path) -> Sequence[MergeRow]:
    """Return the merges of a file, oldest first; none where there is no file, or none was ever stored.

    Raises:
        EventsUnavailableError: the file cannot be read.
    """
    if not path.exists():
        return ()
    try:
        with closing(open_to_read(path)) as connection:
            return _read(connection)
    except sqlite3.Error as error:
        raise EventsUnavailableError(
            f"{path}: merges cannot be read ({error}); see its permissions, or `recsys build`, which moves a damaged "
            "file away"
        ) from error


def with_merged(rows: Iterable[MergeRow], ids: Iterable[str]) -> frozenset[str]:
    """Return users with every id that means one of them: who forgets a user forgets these."""
    last, wanted = last_users(rows), set(ids)
    wanted |= {last[user] for user in ids if user in last}
    return frozenset(wanted | {user for user, now in last.items() if now in wanted})


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, check_same_thread=False, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    return connection


def _read(connection: sqlite3.Connection) -> Sequence[MergeRow]:
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'merges'").fetchone()
    return tuple(MergeRow(*row) for row in connection.execute(_ALL)) if known else ()
