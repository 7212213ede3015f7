"""Ids and counts of the answers that a home's releases gave: `answers.sqlite`, a row an hour.

A worker counts in memory and adds to the file every few seconds and at its end, under the hour of that; the counts of
all workers add up. One that is killed loses the answers since it wrote last, `FLUSH_SECONDS` at most. A file that
cannot be written is tried again, and the counts are kept until then. An answer that a client keeps after a 304 is
counted again, since it is shown again; what a shared cache gives by itself isn't counted.
"""

import itertools
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from recsys_assets.errors import AnswersUnavailableError
from recsys_assets.release.answer_id import SERIES_DIGITS, AnswerId
from recsys_assets.release.answer_series import (
    AnswerSeries,
    ArmName,
    add_series,
    delete_series,
    insert_series,
    reading,
    writing,
)
from recsys_assets.storage.database_urls import open_to_read

log = logging.getLogger("recsys.api")

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
_NS_A_MS: Final = 1_000_000
_NS_A_US: Final = 1_000
_BUSY_SECONDS: Final = 2.0
_SERIES_SECONDS: Final = 0.1
"""Longest wait of an answer for another writer, before its series is written with the next flush instead."""
_PRUNING_SECONDS: Final = 30.0
_US_A_SECOND: Final = 1_000_000
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


class _Given:
    """The answers of one release, kind and arm in this process."""

    __slots__ = ("counted", "numbers", "row", "series")

    def __init__(self, release_id: str, kind: str, arm: ArmName | None, *, at: int) -> None:
        self.series = secrets.token_hex(SERIES_DIGITS // 2)
        self.row = AnswerSeries.begin(self.series, release_id, kind, arm, at=at)
        self.numbers = itertools.count(1)
        self.counted = 0


class AnswerCounts:
    """The answers of one process; thread-safe. `flush` adds them to the file.

    An answer takes a number, which is atomic and cheaper than a lock; a flush takes one too, and so learns how many
    there were.
    """

    def __init__(self, path: Path, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        """Count for the file `path`, which the first flush creates; `now_ns` returns the time, ns since 1970."""
        self._path = path
        self._now_ns = now_ns
        self._given: dict[tuple[str, str, ArmName | None], _Given] = {}
        self._pending: dict[tuple[str, str, str], int] = {}
        self._flushing = threading.Lock()
        self._beginning = threading.Lock()

    def give(self, release_id: str, kind: str, arm: ArmName | None = None) -> str:
        """Count an answer that is about to be given, and return its id, which no other answer has.

        The first answer of a release, kind and arm writes their series first, in some milliseconds. Where that fails
        the series is written with the next flush that succeeds.

        Args:
            release_id: the release that answers.
            kind: the kind of list, as `HourlyAnswers.list`.
            arm: the arm of an experiment that the list is of; None outside of one.
        """
        now = self._now_ns()
        given = self._given.get((release_id, kind, arm)) or self._begin(release_id, kind, arm, now)
        # as `AnswerId` writes it, in a third of the time
        return f"{release_id}.{now // _NS_A_MS:x}.{given.series}{next(given.numbers):x}"

    def _begin(self, release_id: str, kind: str, arm: ArmName | None, now: int) -> _Given:
        """Begin a series, and write it before an id of it is given."""
        with self._beginning:
            key = (release_id, kind, arm)
            if key not in self._given:
                given = _Given(release_id, kind, arm, at=now // _NS_A_US)
                try:
                    add_series(self._path, [given.row], wait_seconds=_SERIES_SECONDS)
                except AnswersUnavailableError as error:
                    log.warning("series not written yet", extra={"why": str(error)})
                self._given[key] = given
            return self._given[key]

    def flush(self) -> None:
        """Add what was counted since the last flush to the file, under this hour; it stays counted where that fails.

        Raises:
            AnswersUnavailableError: the file cannot be written (disk full, read-only, damaged, locked).
        """
        with self._flushing:
            hour = datetime.fromtimestamp(self._now_ns() // 10**9, UTC).strftime(_HOUR)
            all_given = list(self._given.items())
            for (release, kind, _), given in all_given:
                number = next(given.numbers)
                key = (release, kind, hour)
                if number > given.counted + 1:
                    self._pending[key] = self._pending.get(key, 0) + number - given.counted - 1
                given.counted = number
            counted = [HourlyAnswers(*key, count) for key, count in self._pending.items()]
            add_answers(self._path, counted, series=[given.row for _, given in all_given])
            self._pending.clear()


def add_answers(path: Path, counted: Iterable[HourlyAnswers], *, series: Iterable[AnswerSeries] = ()) -> None:
    """Add counts to the file, all or none, durably; nothing is opened where there are none.

    Args:
        path: `answers.sqlite`; created where it is missing.
        counted: the counts.
        series: series of these answers; those that the file has already stay as they are.

    Raises:
        AnswersUnavailableError: the file cannot be written.
    """
    rows = list(counted)
    if not rows:
        return
    with writing(path, wait_seconds=_BUSY_SECONDS) as connection:
        connection.execute(_SCHEMA)
        connection.executemany(_ADD, rows)
        insert_series(connection, series)


def read_answers(path: Path, *, release: str | None = None) -> Sequence[HourlyAnswers]:
    """Return the counts of one release or of all, by release, list and hour; none where there is no file.

    Raises:
        AnswersUnavailableError: the file cannot be read.
    """
    where, values = ("", ()) if release is None else (" WHERE release = ?", (release,))
    return [HourlyAnswers(*row) for row in _rows(path, f"SELECT * FROM answers{where}", values)]  # noqa: S608  constants


def forget_answers(path: Path, *, before: datetime, dry_run: bool = False) -> int:
    """Remove the counts of the hours before a time, and return the number of those hours.

    A series goes with the last counts of its release, so that impressions of the time that is kept still find theirs.

    Raises:
        AnswersUnavailableError: the file cannot be read or written.
    """
    old = (before.astimezone(UTC).strftime(_HOUR),)
    removed: int = sum(
        count for (count,) in _rows(path, "SELECT count(DISTINCT hour) FROM answers WHERE hour < ?", old)
    )
    if removed and not dry_run:
        with writing(path, wait_seconds=_PRUNING_SECONDS) as connection:
            connection.execute("DELETE FROM answers WHERE hour < ?", old)
            delete_series(connection, before=int(before.timestamp() * _US_A_SECOND))
    return removed


def new_answer_id(release_id: str) -> str:
    """Return the id of a list that no server gives; it isn't counted."""
    series = secrets.token_hex(SERIES_DIGITS // 2)
    return str(AnswerId(release=release_id, ms=time.time_ns() // _NS_A_MS, series=series, number=1))


def _rows(path: Path, query: str, values: Sequence[str]) -> list[Any]:
    """Return the rows of a query; none where there is no file, or a server is about to make its table."""
    if not path.exists():
        return []
    with reading(path), closing(open_to_read(path)) as connection:
        made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'answers'").fetchone()
        return connection.execute(query, values).fetchall() if made else []
