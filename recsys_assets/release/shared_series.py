"""Series of answers that several machines share, by the log of their events.

An impression may arrive at another machine than the one that gave the answer, and lands on a third. So each machine
adds the series that it began to the log, and those of the others to its `answers.sqlite`.
"""

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, cast

from recsys_assets.intake.copied_entries import series_known, take_new_series
from recsys_assets.intake.log_entries import Entry, Series
from recsys_assets.intake.shared_events import SharedEvents
from recsys_assets.release.answer_series import AnswerSeries, add_series, series_of

_BUSY_SECONDS: Final = 2.0


def series_exchange(shared: SharedEvents | None, answers_db: Path) -> Callable[[], None] | None:
    """Return `exchange_series` over a log and a home's `answers.sqlite`; None where there is no shared log."""
    return None if shared is None else partial(exchange_series, shared, answers_db)


def exchange_series(shared: SharedEvents, answers_db: Path) -> None:
    """Give the series that this machine began to the others, and take theirs.

    A series that retention removed here is not taken again.

    Args:
        shared: the log.
        answers_db: `answers.sqlite` of the home; created by the first series.

    Raises:
        EventsUnavailableError: the server does not answer, or the copy cannot be written.
        AnswersUnavailableError: the file cannot be read or written.
    """
    shared.copy.catch_up()
    own, known = series_of(answers_db), shared.copy.using(series_known)
    new = [row for series, row in own.items() if series not in known]
    if new:
        shared.add(Entry(series=[cast("Series", tuple(row)) for row in new]))

    def add_others(connection: sqlite3.Connection) -> None:
        found = [AnswerSeries(*one) for one in take_new_series(connection) if one[0] not in own]
        if found:
            add_series(answers_db, found, wait_seconds=_BUSY_SECONDS)

    shared.copy.using(add_others)
