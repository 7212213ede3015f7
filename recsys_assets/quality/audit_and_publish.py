"""Write, audit, publish: a day becomes visible only when no result of its audit blocks it.

A rejected day goes to quarantine with its failing rows and the reasons; the file that was published before
stays as it is, and the other days go on. What is audited belongs to the audits, file layout to the stores.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, NamedTuple, Protocol, runtime_checkable

import polars as pl

from recsys_assets.quality.check_ledger import CheckLedger
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.quarantine import (
    RECALLED,
    content_fingerprint,
    end_quarantine,
    quarantine_day,
    recalled_result,
)
from recsys_assets.quality.row_account import RowAccount
from recsys_assets.storage.day_frames import in_chunks

_FLUSH_DAYS: Final = 200
"""Days that are put on the disk together, and then made visible in the ledger."""
RECENT_DAYS: Final = 30
"""Days whose results an outcome keeps though they are ok: the history that is shown beside a check."""


class RecalledRows(NamedTuple):
    """Rows of a day that were recalled."""

    fingerprint: str
    """Their `content_fingerprint`."""
    why: str
    """Reason given."""


class DayStore(Protocol):
    """The part of a partition store that publishing needs."""

    def write(self, day: date, frame: pl.DataFrame) -> Path:
        """Replace `day`'s file by `frame`, atomically."""

    def settle(self) -> None:
        """Wait until every file that was written is on the disk."""


@runtime_checkable
class HistoryAudit(Protocol):
    """An audit that compares a day with those published before it, and so must learn how each day ended."""

    def published(self, day: date, frame: pl.DataFrame) -> None:
        """`day` is visible now, as `frame`."""

    def rejected(self, day: date) -> None:
        """`day` went to quarantine; what was there before stays."""


class PreparingAudit(Protocol):
    """An audit that measures many days by one pass, before it judges them one after the other."""

    def prepare(self, frames: Sequence[tuple[date, pl.DataFrame]]) -> None:
        """`frames` are the next days that will be audited, in this order."""


@dataclass(kw_only=True)
class PublishOutcome:
    """The days of one run: published or rejected, with their results."""

    rows: dict[date, int] = field(default_factory=dict)
    """Published days and their rows."""
    rejected: dict[date, list[CheckResult]] = field(default_factory=dict)
    """Rejected days and the results that blocked them."""
    warned: dict[date, list[CheckResult]] = field(default_factory=dict)
    """Published days that somebody should look at, and the results that warn."""
    results: list[CheckResult] = field(default_factory=list)
    """Every result of days with any that is not ok, and of the last RECENT_DAYS others, by day. The ledger has all;
    of thousands of days they would be hundreds of megabytes."""


class DayPublisher:
    """Publishes audited days of one table, or puts them in quarantine, one after the other."""

    def __init__(
        self,
        *,
        store: DayStore,
        quarantine: Path,
        ledger: CheckLedger | None = None,
        recalled: Mapping[date, Sequence[RecalledRows]] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Begin a run.

        Args:
            store: where a passing day is written.
            quarantine: folder of rejected days.
            ledger: keeps every result, and knows the rejected deliveries that a person accepted.
            recalled: day -> rows that were recalled: they are rejected, whoever accepted them before.
            now: the time written beside the results.
        """
        self._recalled = recalled or {}
        self._store, self._quarantine, self._ledger, self._now = store, quarantine, ledger, now
        acceptances = ledger.acceptances() if ledger is not None else []
        self._accepted = {(a.table, a.day, a.fingerprint): a for a in acceptances}
        self._outcome, self._days = PublishOutcome(), 0
        self._passed: list[tuple[date, str]] = []
        self._unusual: list[list[CheckResult]] = []
        self._usual: deque[list[CheckResult]] = deque(maxlen=RECENT_DAYS)

    def publish(
        self,
        day: date,
        frame: pl.DataFrame,
        results: list[CheckResult],
        *,
        account: RowAccount | None = None,
    ) -> bool:
        """Publish `day`, or reject it if one of `results` blocks; return whether it was published.

        The account of the rows that `frame` was made from is kept with it: in the ledger, or in quarantine.
        """
        results = self._with_acceptance(day, frame, results)
        if results and (recalled := self._recalled.get(day)):
            results = [*results, judge_recalled(day, frame, recalled, table=results[0].table)]
        blocking = [result for result in results if result.verdict == "block"]
        if blocking:
            quarantine_day(self._quarantine, day, frame, blocking, account=account)
            self._outcome.rejected[day] = blocking
        else:
            self._store.write(day, frame)
            self._outcome.rows[day] = frame.height
            if account is not None and self._ledger is not None:
                self._ledger.put_account(day, account)
            warnings = [result for result in results if result.verdict == "warn"]
            if warnings:
                self._outcome.warned[day] = warnings
            if results:
                self._passed.append((day, results[0].table))
        kept = self._unusual if any(result.verdict != "ok" for result in results) else self._usual
        kept.append(results)
        if self._ledger is not None:
            self._ledger.record(results, at=self._now())
        self._days += 1
        if self._days % _FLUSH_DAYS == 0:
            self._settle()
        return not blocking

    def finish(self) -> PublishOutcome:
        """Put all days on the disk, and their results into the ledger; return how the days ended."""
        self._settle()
        every = [result for results in (*self._unusual, *self._usual) for result in results]
        self._outcome.results = sorted(every, key=lambda result: result.day or date.min)
        return self._outcome

    def _settle(self) -> None:
        """Make the days durable before anything names them, and end the quarantine of those that passed now."""
        self._store.settle()
        for day, table in self._passed:
            end_quarantine(self._quarantine, day, table=table)
        self._passed.clear()
        if self._ledger is not None:
            self._ledger.flush()

    def _with_acceptance(
        self, day: date, frame: pl.DataFrame, results: list[CheckResult]
    ) -> list[CheckResult]:
        """Turn blocking results into warnings where a person accepted this very delivery."""
        blocking = [result for result in results if result.verdict == "block"]
        if not blocking or not self._accepted:
            return results
        acceptance = self._accepted.get((blocking[0].table, day, content_fingerprint(frame)))
        if acceptance is None:
            return results
        note = f" (accepted by {acceptance.who}: {acceptance.why})"
        return [
            replace(result, verdict="warn", detail=result.detail + note)
            if result.verdict == "block"
            else result
            for result in results
        ]


def publish_days(
    chunks: Iterable[Sequence[tuple[date, pl.DataFrame]]],
    *,
    store: DayStore,
    audit: Callable[[date, pl.DataFrame], list[CheckResult]],
    quarantine: Path,
    ledger: CheckLedger | None = None,
    recalled: Mapping[date, Sequence[RecalledRows]] | None = None,
    progress: Callable[[date], None] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> PublishOutcome:
    """Audit each day, and publish it or put it in quarantine.

    Args:
        chunks: days in ascending order, each with its collected frame (empty where nothing happened), in chunks, so
            that memory does not grow with their number; ready for the audit, see `prepared`.
        store: as in `DayPublisher`.
        audit: audits one day; a `HistoryAudit` learns how each day ended before the next is audited.
        quarantine: as in `DayPublisher`.
        ledger: as in `DayPublisher`.
        recalled: as in `DayPublisher`.
        progress: called with each day when it is done.
        now: as in `DayPublisher`.
    """
    publisher = DayPublisher(store=store, quarantine=quarantine, ledger=ledger, recalled=recalled, now=now)
    history = audit if isinstance(audit, HistoryAudit) else None
    for chunk in chunks:
        for day, frame in chunk:
            published = publisher.publish(day, frame, audit(day, frame))
            if history is not None and published:
                history.published(day, frame)
            elif history is not None:
                history.rejected(day)
            if progress is not None:
                progress(day)
    return publisher.finish()


def prepared(
    frames: Iterable[tuple[date, pl.DataFrame]], audit: PreparingAudit
) -> Iterator[list[tuple[date, pl.DataFrame]]]:
    """Yield days in chunks (`in_chunks`), each after the audit prepared it."""
    for chunk in in_chunks(frames, rows=lambda of_day: of_day[1].height):
        audit.prepare(chunk)
        yield chunk


def judge_recalled(
    day: date, frame: pl.DataFrame, recalled: Sequence[RecalledRows], *, table: str
) -> CheckResult:
    """Return whether a delivery of a day that was recalled has the recalled rows; those are blocked.

    Args:
        day: the day.
        frame: its rows.
        recalled: its recalled rows, at least one.
        table: the table.
    """
    found = content_fingerprint(frame)
    why = next((one.why for one in recalled if one.fingerprint == found), None)
    if why is not None:
        return recalled_result(table, day, why)
    detail = "recalled once; these are other rows"
    return CheckResult(table=table, day=day, check=RECALLED, verdict="ok", detail=detail)
