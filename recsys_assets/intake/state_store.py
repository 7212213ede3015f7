"""`item_states.sqlite`: the states of items, the log of their changes, and snapshots that follow both.

Writers wait for one another by SQLite's own lock; each change is on the disk before its call returns. The version is
the number of the last change and of the states that have ended since, so every process sees the same one.
"""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import msgspec

from recsys_assets.errors import ItemStatesUnavailableError
from recsys_assets.intake.item_states import ItemState, Mark, StateChange, changed, same
from recsys_assets.intake.shared_states import SharedStates
from recsys_assets.intake.state_rows import (
    EXPIRED,
    SCHEMA,
    LoggedChange,
    decoded,
    logged_change,
    sortable,
    state_of,
    store_change,
)
from recsys_assets.intake.states_copy import SHARED_SCHEMA, keep_unsent, last_version, states_in
from recsys_assets.intake.states_database import BUSY_SECONDS, writing_states
from recsys_assets.intake.states_record import ChangeGroup
from recsys_assets.storage.database_urls import open_to_read


@dataclass(frozen=True, kw_only=True)
class StatesSnapshot:
    """The states at one moment."""

    version: int = 0
    """Grows with every change and every state that ends."""
    states: Mapping[str, ItemState] = field(default_factory=dict)
    """By item id, without those that have ended."""


class StateStore:
    """One home's store; threads may share it. The first write creates the file, a read never does."""

    def __init__(self, path: Path, *, shared: SharedStates | None = None) -> None:
        """Read nothing yet.

        Args:
            path: `item_states.sqlite` of the home.
            shared: what shares them with other machines; None where the home is alone.
        """
        self._path = path
        self.shared = shared
        self._lock = threading.Lock()
        self._reader: sqlite3.Connection | None = None
        self._inode = 0
        self._passing = False
        self._data_version = -1
        self._seq = 0
        self._all: dict[str, ItemState] = {}
        self._next_end: datetime | None = None
        self.snapshot = StatesSnapshot()
        """The states as they were read last."""

    def put(
        self, changes: Mapping[str, StateChange], *, by: str, now: datetime
    ) -> Mapping[str, ItemState | None]:
        """Merge changes into the states of items, all or none, and return the new states.

        Where other machines share them, these have the change too once it returns; `shared.waiting` says so if not.

        Args:
            changes: the fields to change, by item id.
            by: who changes them.
            now: the time of the change, UTC.

        Raises:
            ItemStateError: a change cannot be used; the message names the item.
            ItemStatesUnavailableError: the file cannot be written.
        """
        with self._writing() as connection:
            self._log_expired(connection, now)
            found: dict[str, ItemState | None] = {}
            for item_id, change in changes.items():
                before = state_of(connection, item_id)
                found[item_id] = after = changed(before, change, by=by, now=now)
                if not same(before, after):
                    mark = Mark(at=now, by=by, why=change.why)
                    store_change(connection, item_id, before, after, mark)
            self._keep(connection, ChangeGroup(id=uuid4().hex, at=now, by=by, changes=dict(changes)))
        return self._shared_now(found, now)

    def take_back(self, item_ids: Sequence[str], *, by: str, why: str, now: datetime) -> list[str]:
        """Take back the whole state of items, all or none, and return the ids that had one.

        Raises:
            ItemStatesUnavailableError: the file cannot be written.
        """
        with self._writing() as connection:
            self._log_expired(connection, now)
            befores = {item_id: state_of(connection, item_id) for item_id in item_ids}
            had = {item_id: before for item_id, before in befores.items() if before is not None}
            for item_id, before in had.items():
                store_change(connection, item_id, before, None, Mark(at=now, by=by, why=why))
            changes = dict.fromkeys(item_ids)
            self._keep(connection, ChangeGroup(id=uuid4().hex, at=now, by=by, changes=changes, why=why))
        self._shared_now({}, now)
        return list(had)

    def _writing(self) -> AbstractContextManager[sqlite3.Connection]:
        return writing_states(self._path, more="" if self.shared is None else SHARED_SCHEMA)

    def _keep(self, connection: sqlite3.Connection, group: ChangeGroup) -> None:
        if self.shared is not None:
            keep_unsent(connection, group)

    def _shared_now(
        self, states: Mapping[str, ItemState | None], now: datetime
    ) -> Mapping[str, ItemState | None]:
        """Send what waits, and return these states as they are after it: others may have changed them before."""
        if self.shared is None:
            return states
        with suppress(ItemStatesUnavailableError):  # kept, and `shared.waiting` says so
            self.shared.exchange(now)
        with self._writing() as connection:
            return {item_id: state_of(connection, item_id) for item_id in states}

    def log(
        self, *, item_id: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[LoggedChange]:
        """Return changes, the last first.

        Args:
            item_id: of this item only; of all where None.
            before: only changes with a smaller number.
            limit: most changes.

        Raises:
            ItemStatesUnavailableError: the file is there and cannot be read.
        """
        where, values = ["1"], list[object]()
        for text, value in (("item_id = ?", item_id), ("seq < ?", before)):
            if value is not None:
                where.append(text)
                values.append(value)
        sql = f"SELECT * FROM changes WHERE {' AND '.join(where)} ORDER BY seq DESC LIMIT ?"  # noqa: S608  fixed texts
        with self._lock:
            connection = self._open_reader()
            if connection is None:
                return []
            with self._readable():
                return [logged_change(row) for row in connection.execute(sql, (*values, limit))]

    def refresh(self, now: datetime) -> StatesSnapshot:
        """Take up changes by any process, and the states that have ended, and return the newest snapshot.

        Raises:
            ItemStatesUnavailableError: the file cannot be read; the snapshot before stays.
        """
        with self._lock:
            connection = self._open_reader()
            if connection is None:
                return self.snapshot
            with self._readable():
                version = connection.execute("PRAGMA data_version").fetchone()[0]
                if version != self._data_version:
                    self._take_over(connection)
                    self._data_version = version
                elif self._next_end is None or now < self._next_end:
                    return self.snapshot
            return self._renewed(now)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def _renewed(self, now: datetime) -> StatesSnapshot:
        ended = [name for name, one in self._all.items() if one.until is not None and one.until <= now]
        later = [one.until for one in self._all.values() if one.until is not None and one.until > now]
        self._next_end = min(later, default=None)
        left = dict(self._all)
        for name in ended:
            del left[name]
        self.snapshot = StatesSnapshot(version=self._seq + len(ended), states=left)
        return self.snapshot

    def _take_over(self, connection: sqlite3.Connection) -> None:
        """Read the changes since the last one that was read; at first all states."""
        connection.execute("BEGIN")
        try:
            if not self._seq:
                self._all = states_in(connection)
            sql = "SELECT item_id, after FROM changes WHERE seq > ? ORDER BY seq"
            for item_id, after in connection.execute(sql, (self._seq,)) if self._seq else ():
                if after is None:
                    self._all.pop(item_id, None)
                else:
                    self._all[item_id] = decoded(after)
            self._seq = last_version(connection)
        finally:
            connection.execute("COMMIT")

    def _open_reader(self) -> sqlite3.Connection | None:
        """Return the connection that reads; None where there is no file."""
        with self._readable():
            inode = self._path.stat().st_ino if self._path.exists() else 0
            if self._reader is not None and inode != self._inode:
                self._reader.close()
                self._reader, self._data_version, self._seq, self._all = None, -1, 0, {}
            if self._reader is not None and self._passing:
                self._reader.close()
                self._reader, self._data_version = None, -1
            if self._reader is None and inode:
                self._reader, self._inode = self._opened(), inode
            return self._reader

    def _opened(self) -> sqlite3.Connection | None:
        """Open the file to read it; where nothing can be written, for one look only, since it may be a copy then.

        None where it has no tables yet: its first change found no room.
        """
        connection = sqlite3.connect(self._path, check_same_thread=False, timeout=BUSY_SECONDS)
        self._passing = False
        try:
            connection.executescript(SCHEMA)
        except sqlite3.OperationalError:
            connection.close()
            self._passing = True
            connection = open_to_read(self._path, any_thread=True)
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'changes'").fetchone():
                connection.close()
                return None
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, msgspec.DecodeError) as error:
            raise ItemStatesUnavailableError(
                f"{self._path}: item states cannot be read ({error}); see its permissions, or move the file away"
            ) from error

    @staticmethod
    def _log_expired(connection: sqlite3.Connection, now: datetime) -> None:
        """Remove the states whose time is up; each is a change of its own in the log."""
        sql = (
            "SELECT item_id, state FROM states WHERE until IS NOT NULL AND until <= ? ORDER BY until, item_id"
        )
        for item_id, state in connection.execute(sql, (sortable(now),)).fetchall():
            before = decoded(state)
            store_change(connection, item_id, before, None, Mark(at=before.until or now, by=EXPIRED))
