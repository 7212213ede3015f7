"""Ids and counts of the answers that a home's releases gave: `answers.sqlite`, a row an hour.

A worker counts in memory and adds to the file every few seconds and at its end; the counts of all workers add up. One
that is killed loses the answers since it wrote last, `FLUSH_SECONDS` at most. A file that cannot be written is tried
again, and the counts are kept until then. An answer that a client keeps after a 304 is counted again, since it is shown
again; what a shared cache gives without asking isn't counted.
"""

import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

from recsys_assets.errors import AnswersUnavailableError
from recsys_assets.release.answer_id import WORKER_DIGITS, AnswerId
from recsys_assets.storage.atomic import make_folder

FLUSH_SECONDS: Final = 2.0
"""Time between two additions to the file; a worker that is killed loses the answers of this time."""
PLAIN: Final = "plain"
"""Lists for a user without rules."""
SESSION: Final = "session"
"""Lists for a session without rules."""
SIMILAR: Final = "similar"
"""Lists of similar items."""
POPULAR: Final = "popular"
"""Lists of popular items."""
WHY: Final = "why"
"""Explanations of one item in a list."""
_MS_AN_HOUR: Final = 3_600_000
_NS_A_MS: Final = 1_000_000
_BUSY_SECONDS: Final = 2.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS answers (
    release TEXT NOT NULL, list TEXT NOT NULL, hour TEXT NOT NULL, answers INTEGER NOT NULL,
    PRIMARY KEY (release, list, hour)
) WITHOUT ROWID
"""
_ADD: Final = (
    "INSERT INTO answers VALUES (?, ?, ?, ?)"
    " ON CONFLICT (release, list, hour) DO UPDATE SET answers = answers + excluded.answers"
)
_HOUR: Final = "%Y-%m-%dT%H"


def by_scenario(name: str) -> str:
    """Return the kind of the lists that a scenario of the rules makes; no other kind is called so."""
    return f"scenario:{name}"


class HourlyAnswers(NamedTuple):
    """The answers of one kind that a release gave in one hour."""

    release: str
    """Its id."""
    list: str
    """`plain`, `session`, `similar`, `popular`, `why`, or `scenario:NAME`."""
    hour: str
    """UTC, as 2026-11-27T05."""
    answers: int
    """Their number."""

    @property
    def day(self) -> str:
        """UTC day, as 2026-11-27."""
        return self.hour[:10]


class AnswerCounts:
    """The answers of one process; thread-safe. `flush` adds them to the file."""

    def __init__(self, path: Path, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        """Count for the file `path`, which the first flush creates; `now_ns` returns the time, ns since 1970."""
        self._path = path
        self._now_ns = now_ns
        self._worker = secrets.token_hex(WORKER_DIGITS // 2)
        self._number = 0
        self._pending: dict[tuple[str, str, int], int] = {}
        self._lock = threading.Lock()

    def give(self, release_id: str, kind: str) -> str:
        """Count an answer that is about to be given, and return its id, which no other answer has."""
        ms = self._now_ns() // _NS_A_MS
        key = (release_id, kind, ms // _MS_AN_HOUR)
        with self._lock:
            self._number = number = self._number + 1
            self._pending[key] = self._pending.get(key, 0) + 1
        return (
            f"{release_id}.{ms:x}.{self._worker}{number:x}"  # as `AnswerId` writes it, in a third of the time
        )

    def flush(self) -> None:
        """Add what was counted since the last flush to the file; it stays counted here where that fails.

        Raises:
            AnswersUnavailableError: the file cannot be written (disk full, read-only, damaged, locked).
        """
        with self._lock:
            pending, self._pending = self._pending, {}
        try:
            add_answers(
                self._path,
                (
                    HourlyAnswers(release, kind, _hour_of(hour), count)
                    for (release, kind, hour), count in pending.items()
                ),
            )
        except BaseException:
            with self._lock:
                for key, count in pending.items():
                    self._pending[key] = self._pending.get(key, 0) + count
            raise


def add_answers(path: Path, counted: Iterable[HourlyAnswers]) -> None:
    """Add counts to the file, all or none, durably; nothing is opened where there are none.

    Raises:
        AnswersUnavailableError: the file cannot be written.
    """
    rows = list(counted)
    if not rows:
        return
    try:
        make_folder(path.parent)
        with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            with connection:
                connection.execute(_SCHEMA)
                connection.executemany(_ADD, rows)
    except (sqlite3.Error, OSError) as error:
        raise AnswersUnavailableError(
            f"{path}: answers cannot be counted ({error}); free disk space or mend the permissions: they are kept in"
            " memory till then, while the server runs"
        ) from error


def read_answers(path: Path, *, release: str | None = None) -> Sequence[HourlyAnswers]:
    """Return the counts of one release or of all, by release, list and hour; none where there is no file.

    Raises:
        AnswersUnavailableError: the file cannot be read.
    """
    if not path.exists():
        return []
    where, values = ("", ()) if release is None else (" WHERE release = ?", (release,))
    with _reading(path) as connection:
        rows = connection.execute(f"SELECT * FROM answers{where}", values).fetchall()  # noqa: S608  constants
    return [HourlyAnswers(*row) for row in rows]


def forget_answers(path: Path, *, before: datetime, dry_run: bool = False) -> int:
    """Remove the counts of the hours before a time, and return the number of those hours and kinds.

    Raises:
        AnswersUnavailableError: the file cannot be read or written.
    """
    if not path.exists():
        return 0
    with _reading(path) as connection:
        old = [before.astimezone(UTC).strftime(_HOUR)]
        ((removed,),) = connection.execute("SELECT count(*) FROM answers WHERE hour < ?", old).fetchall()
    if removed and not dry_run:
        with _named(path), closing(sqlite3.connect(path, timeout=30)) as connection, connection:
            connection.execute("DELETE FROM answers WHERE hour < ?", old)
    return int(removed)


def new_answer_id(release_id: str) -> str:
    """Return the id of a list that no server gives; it isn't counted."""
    worker = secrets.token_hex(WORKER_DIGITS // 2)
    return str(AnswerId(release=release_id, ms=time.time_ns() // _NS_A_MS, worker=worker, number=1))


def _hour_of(hours: int) -> str:
    return datetime.fromtimestamp(hours * _MS_AN_HOUR // 1000, UTC).strftime(_HOUR)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise AnswersUnavailableError(
            f"{path}: the counts of answers cannot be read ({error}); see its permissions, or run `recsys build`,"
            " which moves a damaged file away"
        ) from error


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection that changes nothing, also where the folder cannot be written."""
    if os.access(path.parent, os.W_OK) and os.access(path, os.W_OK):
        options = (
            "mode=rw"  # it removes the files that SQLite keeps beside, which one that only reads leaves there
        )
    else:
        options = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "mode=ro&immutable=1"
    with (
        _named(path),
        closing(sqlite3.connect(f"file:{quote(str(path))}?{options}", uri=True, timeout=30)) as connection,
    ):
        connection.execute("PRAGMA query_only = ON")
        yield connection
