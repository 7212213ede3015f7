"""The log that the intake writes to: one interface, over `events.sqlite` alone or over a server that machines share.

Whatever the form, `events.sqlite` is what readers read. Of a shared log it is a copy, with the same numbers everywhere.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from recsys_assets.errors import EventsUnavailableError, RecsysError
from recsys_assets.intake.events_database import Clock, open_events
from recsys_assets.intake.group import Receipt, Submission, write_group
from recsys_assets.intake.rows import EventRow
from recsys_assets.intake.stored_events import read_events


class EventLog(Protocol):
    """Keeps rows durably; the intake's thread alone appends."""

    def append(self, group: Sequence[Submission]) -> Sequence[Receipt | RecsysError]:
        """Store the rows of several senders, each sender's all or none, and return an outcome each.

        When it returns, what was accepted is durable, and `events.sqlite` has it.

        Raises:
            EventsUnavailableError: nothing is known to be stored; the message says what to do.
        """
        ...

    def read(self, after_seq: int) -> Iterator[tuple[int, EventRow]]:
        """Yield the events of every writer with a greater sequence number, ascending.

        Raises:
            EventsUnavailableError: the log does not answer, or the file cannot be read.
        """
        ...

    def close(self) -> None:
        """Close files and connections; a later call opens them again."""
        ...


class LocalEvents:
    """The log of one machine: `events.sqlite` itself."""

    def __init__(self, path: Path, *, now: Clock) -> None:
        """Take the file's path, and the time from which on a new file's rows are numbered; open nothing yet."""
        self._path = path
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self._inode = 0

    def append(self, group: Sequence[Submission]) -> Sequence[Receipt | RecsysError]:
        """Commit a group to the file that has the name after the commit as before it.

        A build may move a damaged file away meanwhile: then the rows go to its successor as well.
        """
        try:
            while True:
                connection = self._connect()
                outcomes = write_group(connection, group)
                if self._path.exists() and self._path.stat().st_ino == self._inode:
                    return outcomes
        except (sqlite3.OperationalError, OSError) as error:
            self.close()
            raise EventsUnavailableError(
                f"{self._path}: events cannot be stored ({error}); free disk space or mend the permissions, then send"
                " them again: none of them was kept"
            ) from error
        except Exception:
            self.close()
            raise

    def read(self, after_seq: int) -> Iterator[tuple[int, EventRow]]:
        """Yield the file's events."""
        return read_events(self._path, after_seq=after_seq)

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> sqlite3.Connection:
        inode = self._path.stat().st_ino if self._path.exists() else 0
        if self._connection is not None and inode != self._inode:
            self.close()
        if self._connection is None:
            self._connection = open_events(self._path, now=self._now)
            self._inode = self._path.stat().st_ino
        return self._connection
