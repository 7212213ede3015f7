"""The outbox `notices.sqlite`: notices, and the state of each at each of its targets.

A notice is on the disk before the command that causes it says so, and stays until every target has it: it arrives at
least once. Targets are kept by a hash: their addresses are secrets, and stay in `recsys.toml`.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Self

import msgspec

from recsys_assets.storage.atomic import make_folder, named, sync
from recsys_assets.storage.database_urls import open_to_read

Kind = Literal[
    "recall", "recall_taken_back", "rejected_day", "failed_gate", "failed_build", "replay", "ended_arm"
]
State = Literal["waiting", "sent", "given up"]
LONGEST_WAIT: Final = 6 * 3600.0
"""Most seconds between two attempts."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS notices (
    id TEXT PRIMARY KEY, at REAL NOT NULL, notice BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deliveries (
    notice TEXT NOT NULL, target TEXT NOT NULL, shown TEXT NOT NULL, state TEXT NOT NULL,
    attempts INTEGER NOT NULL, next_at REAL NOT NULL, changed_at REAL NOT NULL, problem TEXT NOT NULL,
    PRIMARY KEY (notice, target)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deliveries_waiting ON deliveries (next_at) WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS causes (cause TEXT PRIMARY KEY, notice TEXT NOT NULL) WITHOUT ROWID;
"""
"""Times in seconds since 1970; `causes` holds what was noticed already."""
_COLUMNS: Final = "notice, target, shown, state, attempts, next_at, changed_at, problem"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that people should know."""

    id: str
    """Name of this notice, which its receivers see; a second one of the same id is the same notice."""
    at: datetime
    """Time of its cause, UTC."""
    kind: Kind
    """Kind of its cause."""
    subject: str
    """One line."""
    text: str
    """The event, what was done about it and what to do next, in words."""
    details: dict[str, Any] = msgspec.field(default_factory=dict)
    """The same as JSON, for programs."""


class QueuedNotice(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one notice at one target."""

    notice: str
    """Id of the notice."""
    target: str
    """Key of the target (`targets.Target`)."""
    shown: str
    """The target without its secrets."""
    state: State
    """`waiting` for an attempt, `sent`, or `given up`."""
    attempts: int
    """Number of attempts."""
    next_at: float
    """Time of the next attempt, seconds since 1970."""
    changed_at: float
    """Time of the last attempt, or of the notice, seconds since 1970."""
    problem: str
    """Why the last attempt failed; empty where it did not."""


class Outbox:
    """Reads and writes the outbox; SQLite's own lock keeps processes apart."""

    def __init__(self, path: Path, *, reading: bool = False) -> None:
        """Open the outbox at `path`; create it, and its folder, where it is missing.

        With `reading`, one that cannot be written is no error.
        """
        is_new = not path.exists()
        self._path = path
        try:
            make_folder(path.parent)
            with named(path):
                self._connection = sqlite3.connect(path, timeout=30, check_same_thread=False)
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = FULL")
                self._connection.executescript(_SCHEMA)
        except (OSError, sqlite3.OperationalError):
            if not reading:
                raise
            with named(path):
                self._connection = open_to_read(path)
        if is_new:
            sync(path.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection in a transaction that is on the disk when the block has ended."""
        with named(self._path), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection

    def add(self, notice: Notice, targets: Iterable[tuple[str, str]], *, causes: Iterable[str] = ()) -> None:
        """Keep a notice for its targets, each a key and the words to show, durably; one that is there stays as it is.

        Args:
            notice: the notice.
            targets: where it goes.
            causes: what it is about; `unknown` leaves these out from now on.
        """
        at = notice.at.timestamp()
        with self._changing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO notices VALUES (?,?,?)", (notice.id, at, msgspec.json.encode(notice))
            )
            connection.executemany(
                "INSERT OR IGNORE INTO deliveries VALUES (?,?,?,'waiting',0,?,?,'')",
                [(notice.id, key, shown, at, at) for key, shown in targets],
            )
            connection.executemany(
                "INSERT OR IGNORE INTO causes VALUES (?,?)", [(cause, notice.id) for cause in causes]
            )

    def unknown(self, causes: Iterable[str]) -> list[str]:
        """Return the causes that no notice is about yet."""
        with named(self._path):
            found = (
                (c, self._connection.execute("SELECT 1 FROM causes WHERE cause = ?", [c]).fetchone())
                for c in causes
            )
            return [cause for cause, known in found if known is None]

    def forget(self, prefix: str) -> None:
        """Forget the causes that start with `prefix`: they are over, and are noticed again where they come back."""
        with self._changing() as connection:
            connection.execute("DELETE FROM causes WHERE substr(cause, 1, ?) = ?", (len(prefix), prefix))

    def has(self, notice_id: str) -> bool:
        """Return True where the notice is kept."""
        with named(self._path):
            return bool(
                self._connection.execute("SELECT 1 FROM notices WHERE id = ?", [notice_id]).fetchone()
            )

    def notices(self) -> list[Notice]:
        """Return every notice, oldest first."""
        with named(self._path):
            rows = self._connection.execute("SELECT notice FROM notices ORDER BY at, id").fetchall()
        return [msgspec.json.decode(row[0], type=Notice) for row in rows]

    def notice(self, notice_id: str) -> Notice:
        """Return a notice that a delivery names."""
        with named(self._path):
            (encoded,) = self._connection.execute(
                "SELECT notice FROM notices WHERE id = ?", [notice_id]
            ).fetchone()
        return msgspec.json.decode(encoded, type=Notice)

    def deliveries(self, state: State | None = None) -> list[QueuedNotice]:
        """Return the state of each notice at each target, oldest notice first; only those in one state if given."""
        where, values = ("", ()) if state is None else (" WHERE state = ?", (state,))
        query = f"SELECT {_COLUMNS} FROM deliveries{where} ORDER BY notice, target"  # noqa: S608  constants
        with named(self._path), closing(self._connection.execute(query, values)) as rows:
            found = [
                QueuedNotice(**dict(zip(QueuedNotice.__struct_fields__, row, strict=True))) for row in rows
            ]
        return sorted(found, key=lambda one: (one.changed_at if one.attempts == 0 else 0.0, one.next_at))

    def due(self, now: datetime) -> list[QueuedNotice]:
        """Return what is to be tried now, the longest waiting first; a clock that was put back delays nothing."""
        seconds = now.timestamp()
        return [
            one
            for one in self.deliveries("waiting")
            if one.next_at <= seconds or one.next_at > seconds + LONGEST_WAIT
        ]

    def set(
        self, delivery: QueuedNotice, state: State, *, now: datetime, wait: float = 0.0, problem: str = ""
    ) -> None:
        """Record an attempt, durably.

        Args:
            delivery: the state before.
            state: the state now.
            now: the time of the attempt.
            wait: seconds to the next one.
            problem: why it failed.
        """
        at = now.timestamp()
        with self._changing() as connection:
            connection.execute(
                "UPDATE deliveries SET state = ?, attempts = attempts + 1, next_at = ?, changed_at = ?, problem = ?"
                " WHERE notice = ? AND target = ?",
                (state, at + wait, at, problem, delivery.notice, delivery.target),
            )

    def remove_old(self, before: datetime, *, dry_run: bool = False) -> int:
        """Remove the notices from before a time that wait nowhere, and return their number; causes stay known.

        A dry run only counts them.
        """
        old = "at < ? AND id NOT IN (SELECT notice FROM deliveries WHERE state = 'waiting')"
        with self._changing() as connection:
            found = connection.execute(f"SELECT id FROM notices WHERE {old}", [before.timestamp()]).fetchall()  # noqa: S608  constants
            if not dry_run:
                connection.executemany("DELETE FROM deliveries WHERE notice = ?", found)
                connection.executemany("DELETE FROM notices WHERE id = ?", found)
        return len(found)

    def wake(self, states: Sequence[State], *, now: datetime) -> None:
        """Have everything in these states tried at the next delivery."""
        with self._changing() as connection:
            connection.executemany(
                "UPDATE deliveries SET state = 'waiting', next_at = ? WHERE state = ?",
                [(now.timestamp(), state) for state in states],
            )


def short_time(seconds: float) -> str:
    """Return a time of the outbox for people, UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
