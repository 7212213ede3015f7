"""The copy of a shared log in `events.sqlite`: followed from a remembered position, so that all readers read a file.

The position is written in the transaction of the rows. So the copy need not be synced: after a power cut it goes on
from an earlier position, and the server has the rest.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from recsys_assets.errors import EventsUnavailableError
from recsys_assets.intake.copied_entries import (
    NUMBERED,
    first_row,
    make_copy_tables,
    position_of,
    set_position,
    take_over_entry,
)
from recsys_assets.intake.events_database import open_events
from recsys_assets.intake.log_entries import decode_entry, entry_number
from recsys_assets.intake.server_log import ServerLog
from recsys_assets.storage.locks import locked

T = TypeVar("T")

_ENTRIES_AT_ONCE: Final = 64
_REPLICA_SECONDS: Final = 5.0
"""Longest wait for a replica of the server to have an entry that was acknowledged."""
_PAUSE_SECONDS: Final = 0.01
_READER_MS: Final = 500
"""Longest wait for readers of the file before its journal is emptied."""


class EventCopy:
    """Copies one log into one file; threads may share it, and processes the file."""

    def __init__(self, path: Path, log: ServerLog, *, lock: Path) -> None:
        """Copy nothing yet.

        Args:
            path: `events.sqlite`.
            log: the server's; it is closed with this.
            lock: a lock file, for the one process that copies at a time.
        """
        self.path = path
        self.log = log
        self._lock_file = lock
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._identity: tuple[str, int] | None = None

    def catch_up(self, *, through: int = 0) -> int:
        """Take over all entries that the server has, and return their number.

        Args:
            through: an entry's number that an append returned, which the copy has afterwards.

        Raises:
            EventsUnavailableError: the server does not answer, or the file cannot be written or is of another log.
        """
        with self._lock, locked(self._lock_file), self._named():
            connection = self._connected()
            log, position = self._position(connection)
            end, copied = time.monotonic() + _REPLICA_SECONDS, 0
            while True:
                found = self.log.read(position, _ENTRIES_AT_ONCE)
                if found:
                    position = self._take_over(connection, log, found)
                    copied += len(found)
                if len(found) == _ENTRIES_AT_ONCE:
                    continue
                if position >= through:
                    return copied
                if time.monotonic() > end:
                    raise EventsUnavailableError(
                        f"{self.log.shown}: entry {through} was acknowledged and cannot be read; see its replicas"
                    )
                time.sleep(_PAUSE_SECONDS)

    def position(self) -> int:
        """Return the number of the last entry that was taken over; 0 before the first.

        Raises:
            EventsUnavailableError: the file cannot be read.
        """
        found = self.using(position_of)
        return 0 if found is None else found[1]

    def waiting(self) -> int:
        """Return the number of the server's entries that are not copied yet.

        Raises:
            EventsUnavailableError: as `catch_up`.
        """
        with self._lock, self._named():
            return self.log.count_after(self._position(self._connected())[1])

    def using(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return the result of `work` over the file's connection, in a transaction.

        Raises:
            EventsUnavailableError: the file cannot be read or written.
        """
        with self._lock, self._named():
            connection = self._connected()
            connection.execute("BEGIN")
            try:
                found = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            return found

    def on_server(self, work: Callable[[ServerLog], T]) -> T:
        """Return the result of `work` over the server's log; no other thread uses it meanwhile.

        Raises:
            EventsUnavailableError: as `work` does.
        """
        with self._lock, self._named():
            self._position(self._connected())
            return work(self.log)

    def close(self) -> None:
        """Close the file and the server's connection."""
        with self._lock:
            self._disconnect()
            self.log.close()

    def _take_over(self, connection: sqlite3.Connection, log: str, found: Sequence[tuple[int, bytes]]) -> int:
        """Take entries over in one transaction, and return the number of the last."""
        entries = [
            (number, decode_entry(content, number=number, server=self.log.shown)) for number, content in found
        ]
        connection.execute("BEGIN IMMEDIATE")
        try:
            for number, entry in entries:
                take_over_entry(connection, number, entry)
            set_position(connection, log, entries[-1][0])
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        if any(entry.removed for _, entry in entries):
            _empty_journal(connection)
        return entries[-1][0]

    def _position(self, connection: sqlite3.Connection) -> tuple[str, int]:
        """Return the log's id and the last entry that was taken over; a new copy begins before the first one."""
        known = position_of(connection)
        if self._identity is None:
            newest = max(_newest(connection, table) for table in NUMBERED)
            self._identity = self.log.identity(after=entry_number(newest))
        log, before = self._identity
        if known is not None and known[0] == log:
            return known
        newest = max(_newest(connection, table) for table in NUMBERED)
        if newest >= first_row(before):
            raise EventsUnavailableError(
                f"{self.path}: has rows of another log that are numbered among those of {self.log.shown}; give a new"
                " [events] log_name on all machines, or, where no users were merged here, land the rows (`recsys land"
                " --events` with the settings of before) and move the file away"
            )
        set_position(connection, log, before)
        return log, before

    def _connected(self) -> sqlite3.Connection:
        inode = self.path.stat().st_ino if self.path.exists() else 0
        if self._connection is not None and inode != self._inode:  # a build moved a damaged file away
            self._disconnect()
        if self._connection is None:
            connection = open_events(self.path)
            try:
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("PRAGMA secure_delete = ON")
                make_copy_tables(connection)
            except BaseException:
                connection.close()
                raise
            self._connection, self._inode = connection, self.path.stat().st_ino
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except EventsUnavailableError:
            self._identity = None  # another server may be there next time
            raise
        except (sqlite3.Error, OSError) as error:
            self._disconnect()
            raise EventsUnavailableError(
                f"{self.path}: events cannot be copied ({error}); free disk space or mend its permissions, or run"
                " `recsys build`, which moves a damaged file away"
            ) from error


def _newest(connection: sqlite3.Connection, table: str) -> int:
    query = f"SELECT coalesce(max(seq), 0) FROM {table}"  # noqa: S608  constants
    found: int = connection.execute(query).fetchone()[0]
    return found


def _empty_journal(connection: sqlite3.Connection) -> None:
    """Move the journal's pages into the file, where removed rows are overwritten; long readers leave it as it is."""
    ((before,),) = connection.execute("PRAGMA busy_timeout").fetchall()
    connection.execute(f"PRAGMA busy_timeout = {_READER_MS}")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {before}")
