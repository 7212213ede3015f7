"""The intake: events, impressions and merges, durable in the event log before their sender gets an answer.

A thread of its own writes what arrived within a few milliseconds as one group, with one sync of the disk (a group
commit). Several processes may write the same log.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple

from recsys_assets.errors import EventConflictError, EventsUnavailableError, IntakeFullError, RecsysError
from recsys_assets.event_settings import EventsSettings
from recsys_assets.intake.event_logs import EventLog, LocalEvents
from recsys_assets.intake.events_database import Clock, utc_now
from recsys_assets.intake.group import IntakeRow, Receipt, Submission

_GROUP_ROWS: Final = 5_000
"""Rows from which on a group does not wait for more."""
_STOPPING_SECONDS: Final = 30.0


class IntakeCounts(NamedTuple):
    """Rows since the start of this process."""

    accepted: int
    duplicates: int
    conflicts: int
    """Batches that were rejected since an event's id was there with another content."""
    waiting: int
    """Rows that wait to be written now."""


class Intake:
    """Writes rows to one event log; threads may share it. The first row creates `events.sqlite`."""

    def __init__(
        self,
        path: Path,
        settings: EventsSettings,
        *,
        now: Clock,
        stored: Callable[[], object] | None = None,
        log: EventLog | None = None,
    ) -> None:
        """Write nothing yet.

        Args:
            path: the file.
            settings: length of the queue, and least time between two groups.
            now: the time, for the numbers of a new file's rows.
            stored: called after each commit, before the senders learn of it; an error of the package in it is
                ignored, since the rows are stored.
            log: what is written to; the file alone where None.
        """
        self._path = path
        self._settings = settings
        self._log: EventLog = LocalEvents(path, now=now) if log is None else log
        self._stored = stored
        self._changed = threading.Condition()
        self._waiting: list[Submission] = []
        self._rows = 0
        self._began = 0.0
        self._closed = False
        self._thread: threading.Thread | None = None
        self._counts = IntakeCounts(0, 0, 0, 0)

    def submit(self, rows: Sequence[IntakeRow]) -> Future[Receipt]:
        """Queue rows to be stored together, all or none; the future ends once they are on the disk.

        Returns:
            A future with the receipt, or with an `EventConflictError` (an event's id is there with another content)
            or an `EventsUnavailableError` (the file cannot be written); then none of the rows is stored.

        Raises:
            IntakeFullError: too many rows wait.
            EventsUnavailableError: the intake is closed.
        """
        submission = Submission(tuple(rows), Future())
        with self._changed:
            if self._closed:
                raise EventsUnavailableError(f"{self._path}: the server ends; send the events again later")
            if self._rows and self._rows + len(submission.rows) > self._settings.queue_rows:
                raise IntakeFullError(
                    f"{self._rows} rows wait to be stored, and `queue_rows` is {self._settings.queue_rows}; none of"
                    " these was kept: send them again in a second"
                )
            self._waiting.append(submission)
            self._rows += len(submission.rows)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="recsys-intake", daemon=True)
                self._thread.start()
            self._changed.notify()
        return submission.future

    def counts(self) -> IntakeCounts:
        """Return the numbers of rows since the start."""
        return self._counts._replace(waiting=self._rows)

    def open(self) -> None:
        """Take rows again after `close`; a server that starts again does so."""
        with self._changed:
            self._closed = False

    def close(self) -> None:
        """Store what waits, then end the thread and close the file."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(_STOPPING_SECONDS)

    def _run(self) -> None:
        while group := self._next_group():
            self._write(group)
            with self._changed:
                self._rows -= sum(len(one.rows) for one in group)
        self._log.close()

    def _next_group(self) -> list[Submission]:
        """Wait for rows, and until `group_ms` after the last group began; nothing once it is closed and empty.

        So the first rows after a pause are written at once, and a busy intake syncs once in `group_ms`.
        """
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            end = self._began + self._settings.group_ms / 1000
            while not self._closed and self._rows < _GROUP_ROWS and (left := end - monotonic()) > 0:
                self._changed.wait(left)
            group, self._waiting, self._began = self._waiting, [], monotonic()
        return group

    def _write(self, group: Sequence[Submission]) -> None:
        """Store a group; one that fails for its content is stored one batch after another."""
        try:
            outcomes = self._log.append(group)
        except EventsUnavailableError as error:
            outcomes = [error] * len(group)
        except Exception as error:  # noqa: BLE001  whatever it is, it must reach the sender
            if len(group) > 1:
                for one in group:
                    self._write([one])
                return
            failed = EventsUnavailableError(
                f"{self._path}: events cannot be stored ({type(error).__name__}: {error}); see their values, or run"
                " `recsys build`, which moves a damaged file away: none of them was kept"
            )
            failed.__cause__ = error
            outcomes = [failed]
        self._answer(group, outcomes)

    def _answer(self, group: Sequence[Submission], outcomes: Sequence[Receipt | RecsysError]) -> None:
        if self._stored is not None:
            with contextlib.suppress(RecsysError):
                self._stored()
        for one, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, Receipt):
                self._count(accepted=outcome.accepted, duplicates=outcome.duplicates)
            elif isinstance(outcome, EventConflictError):
                self._count(conflicts=1)
            if not one.future.set_running_or_notify_cancel():
                continue  # the sender went away
            if isinstance(outcome, Receipt):
                one.future.set_result(outcome)
            else:
                one.future.set_exception(outcome)

    def _count(self, *, accepted: int = 0, duplicates: int = 0, conflicts: int = 0) -> None:
        before = self._counts
        self._counts = IntakeCounts(
            before.accepted + accepted, before.duplicates + duplicates, before.conflicts + conflicts, 0
        )


def store_rows(path: Path, rows: Sequence[IntakeRow]) -> Receipt:
    """Store rows at once, all or none, as a command does that has them all.

    Raises:
        EventConflictError: an event's id is there with another content.
        EventsUnavailableError: the file cannot be written.
    """
    intake = Intake(path, EventsSettings(group_ms=0.0), now=utc_now)
    try:
        return intake.submit(rows).result()
    finally:
        intake.close()
