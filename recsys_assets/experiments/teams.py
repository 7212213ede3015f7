"""The teams of interleaved answers: in `answers.sqlite`, a row an item that an arm picked.

A worker keeps them in memory and adds them to the file every `FLUSH_SECONDS`, and at its end. One that is killed loses
those since; clicks on such answers then count for no arm.
"""

import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from recsys_assets.release.answer_id import parse_answer_id
from recsys_assets.release.answer_series import reading, writing
from recsys_assets.storage.database_urls import open_to_read

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS teams (
    answer_id TEXT NOT NULL, item_id TEXT NOT NULL, arm TEXT NOT NULL, PRIMARY KEY (answer_id, item_id)
) WITHOUT ROWID
"""
_ADD: Final = "INSERT OR IGNORE INTO teams VALUES (?, ?, ?)"
_MOST_WAITING: Final = 1_000_000
"""Rows kept in memory while the file cannot be written; older ones are dropped beyond them."""
_BUSY_SECONDS: Final = 2.0
_PATIENCE_SECONDS: Final = 30.0


class TeamRow(NamedTuple):
    """One item of an interleaved answer."""

    answer_id: str
    item_id: str
    arm: str
    """Name of the arm that picked it."""


class AnswerTeams:
    """The teams of one process's answers; thread-safe."""

    def __init__(self, path: Path) -> None:
        """Collect for the file `path`, which the first flush creates."""
        self._path = path
        self._waiting: list[TeamRow] = []
        self._changing = threading.Lock()

    def add(self, rows: Iterable[TeamRow]) -> None:
        """Keep the teams of an answer for the next flush."""
        with self._changing:
            self._waiting.extend(rows)
            del self._waiting[:-_MOST_WAITING]

    def flush(self) -> None:
        """Add what waits to the file, durably; it waits on where that fails.

        Raises:
            AnswersUnavailableError: the file cannot be written.
        """
        with self._changing:
            rows, self._waiting = self._waiting, []
        if not rows:
            return
        try:
            with writing(self._path, wait_seconds=_BUSY_SECONDS) as connection:
                connection.execute(_SCHEMA)
                connection.executemany(_ADD, rows)
        except Exception:
            with self._changing:
                self._waiting = [*rows, *self._waiting][-_MOST_WAITING:]
            raise


def remove_teams(path: Path, *, before: datetime, dry_run: bool = False) -> int:
    """Remove the teams of answers that were given before a time, and return the number of those answers.

    Raises:
        AnswersUnavailableError: the file cannot be read or written.
    """
    old = {row.answer_id for row in read_teams(path) if _is_before(row.answer_id, before)}
    if old and not dry_run:
        with writing(path, wait_seconds=_PATIENCE_SECONDS) as connection:
            connection.executemany("DELETE FROM teams WHERE answer_id = ?", [(answer,) for answer in old])
    return len(old)


def _is_before(answer_id: str, before: datetime) -> bool:
    parsed = parse_answer_id(answer_id)
    return parsed is not None and parsed.at < before


def read_teams(path: Path) -> Iterator[TeamRow]:
    """Yield every item of an interleaved answer, by answer; none where there is no file, or no such answer.

    Raises:
        AnswersUnavailableError: the file cannot be read.
    """
    if not path.exists():
        return
    with reading(path), closing(open_to_read(path)) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'teams'").fetchone():
            yield from (TeamRow(*row) for row in connection.execute("SELECT * FROM teams"))
