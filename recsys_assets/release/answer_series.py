"""Series of answers: what an answer's id stands for beside its release. In `answers.sqlite`, a row a series.

A worker draws a series for each release, kind of list and arm of an experiment, and writes it before it gives the
first id of it. So an answer's id says which list of which arm it was, and nothing is stored about single answers.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from recsys_assets.errors import AnswersUnavailableError
from recsys_assets.release.answer_id import AnswerId, parse_answer_id
from recsys_assets.storage.database_urls import open_to_read

_SCENARIO: Final = "scenario:"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS series (
    series TEXT PRIMARY KEY, release TEXT NOT NULL, list TEXT NOT NULL,
    experiment TEXT, arm TEXT, scenario TEXT, began INTEGER NOT NULL
) WITHOUT ROWID
"""
_ADD: Final = "INSERT OR IGNORE INTO series VALUES (?, ?, ?, ?, ?, ?, ?)"
_WITHOUT_ANSWERS: Final = (
    "DELETE FROM series WHERE began < ? AND release NOT IN (SELECT release FROM answers)"
)


class ArmName(NamedTuple):
    """One arm of an experiment."""

    experiment: str
    arm: str


class AnswerSeries(NamedTuple):
    """The answers of one worker, release, kind of list and arm."""

    series: str
    """Eight hexadecimal digits, in each answer's id."""
    release: str
    """Id of the release."""
    list: str
    """The kind of list, as `HourlyAnswers.list`."""
    experiment: str | None
    """Name of the experiment; None outside of one."""
    arm: str | None
    """Name of its arm; None outside of an experiment."""
    scenario: str | None
    """Name of the scenario of the rules; None for lists without one."""
    began: int
    """Time of its beginning, us since 1970, UTC."""

    @classmethod
    def begin(cls, series: str, release: str, kind: str, arm: ArmName | None, *, at: int) -> "AnswerSeries":
        """Return the row of a series that begins at `at`, us since 1970."""
        scenario = kind.removeprefix(_SCENARIO) if kind.startswith(_SCENARIO) else None
        experiment, name = arm or (None, None)
        return cls(series, release, kind, experiment, name, scenario, at)


def by_scenario(name: str) -> str:
    """Return the kind of the lists that a scenario of the rules makes; no other kind is called so."""
    return f"{_SCENARIO}{name}"


def add_series(path: Path, rows: Iterable[AnswerSeries], *, wait_seconds: float) -> None:
    """Add series that the file has not, durably.

    Args:
        path: `answers.sqlite`; created where it is missing.
        rows: the series.
        wait_seconds: longest wait for another writer.

    Raises:
        AnswersUnavailableError: the file cannot be written.
    """
    with writing(path, wait_seconds=wait_seconds) as connection:
        insert_series(connection, rows)


def insert_series(connection: sqlite3.Connection, rows: Iterable[AnswerSeries]) -> None:
    """Add series that the file has not, in the connection's transaction."""
    connection.execute(_SCHEMA)
    connection.executemany(_ADD, rows)


def delete_series(connection: sqlite3.Connection, *, before: int) -> None:
    """Remove the series that began before a time, us since 1970, whose release has no counted answers any more."""
    connection.execute(_SCHEMA)
    connection.execute(_WITHOUT_ANSWERS, (before,))


def series_of(path: Path) -> Mapping[str, AnswerSeries]:
    """Return every series by its digits; none where there is no file, or one of an earlier version.

    Raises:
        AnswersUnavailableError: the file cannot be read.
    """
    if not path.exists():
        return {}
    with reading(path), closing(open_to_read(path)) as connection:
        made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'series'").fetchone()
        rows = connection.execute("SELECT * FROM series").fetchall() if made else []
    return {row[0]: AnswerSeries(*row) for row in rows}


def is_given(answer: AnswerId, known: Mapping[str, AnswerSeries]) -> bool:
    """Return whether a server of this home may have given an answer, by the series that it began."""
    found = known.get(answer.series)
    return found is not None and found.release == answer.release


@contextmanager
def writing(path: Path, *, wait_seconds: float) -> Iterator[sqlite3.Connection]:
    """Write the file in one transaction, durably.

    Raises:
        AnswersUnavailableError: it cannot be written.
    """
    try:
        with closing(sqlite3.connect(path, timeout=wait_seconds)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            with connection:
                yield connection
    except sqlite3.Error as error:
        raise AnswersUnavailableError(
            f"{path}: answers cannot be counted ({error}); free disk space or mend the permissions: they are kept in"
            " memory till then, while the server runs"
        ) from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Name the file in the error of a block that reads it.

    Raises:
        AnswersUnavailableError: it cannot be read.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise AnswersUnavailableError(
            f"{path}: the counts of answers cannot be read ({error}); see its permissions, or run `recsys build`,"
            " which moves a damaged file away"
        ) from error


class KnownSeries:
    """The series that this home's servers began, as one worker needs them: kept in memory, looked up when new."""

    def __init__(self, path: Path, *, bring: Callable[[], object] | None = None) -> None:
        """Know none yet.

        Args:
            path: `answers.sqlite`.
            bring: adds series of other machines to the file before it is read, or raises.
        """
        self._path = path
        self._bring = bring
        self._release_of: dict[str, str] = {}

    async def first_unknown(self, answer_ids: Sequence[str]) -> int | None:
        """Return the place of the first id that is no answer of this home; None where all are.

        Only an id of a series that this worker has not met reads the file, beside the event loop.

        Raises:
            AnswersUnavailableError: the file cannot be read.
            EventsUnavailableError: the server does not answer that has the series of other machines.
        """
        unknown = self._first_unknown(answer_ids)
        if unknown is None:
            return None
        found = await asyncio.to_thread(self._read)
        self._release_of = {series: row.release for series, row in found.items()}
        return self._first_unknown(answer_ids)

    def _read(self) -> Mapping[str, AnswerSeries]:
        if self._bring is not None:
            self._bring()
        return series_of(self._path)

    def _first_unknown(self, answer_ids: Sequence[str]) -> int | None:
        for place, text in enumerate(answer_ids):
            answer = parse_answer_id(text)
            if answer is None or self._release_of.get(answer.series) != answer.release:
                return place
        return None
