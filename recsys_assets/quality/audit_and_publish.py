"""Write, audit, publish: a day becomes visible only when its audit does not block it.

A refused day goes to quarantine with its failing rows and the reasons; the file that was published before
stays as it is, and the other days go on. Where partitions lie is the store's matter, what a day must
satisfy the audit's.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

import polars as pl

from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.ledger import Acceptance, Ledger
from recsys_assets.quality.quarantine import clear, content_fingerprint, put_aside

_FLUSH_DAYS = 50


class DayStore(Protocol):
    """What publishing needs of a partition store."""

    def write(self, day: date, frame: pl.DataFrame) -> Path:
        """Replace `day`'s file by `frame`, atomically."""


@runtime_checkable
class Remembers(Protocol):
    """An audit that judges a day by what was published before it, and so is told what became of each."""

    def published(self, day: date, frame: pl.DataFrame) -> None:
        """`day` is visible now, as `frame`."""

    def refused(self, day: date) -> None:
        """`day` went to quarantine; what was there before stays."""


@dataclass(kw_only=True)
class PublishOutcome:
    """What became of the days of one run."""

    rows: dict[date, int] = field(default_factory=dict)
    """Published days and their rows."""
    blocked: dict[date, list[CheckResult]] = field(default_factory=dict)
    """Refused days and the checks that blocked them."""
    warned: dict[date, list[CheckResult]] = field(default_factory=dict)
    """Published days that somebody should look at, and why."""
    results: list[CheckResult] = field(default_factory=list)
    """Every result of every day."""


def publish_days(
    frames: Iterable[tuple[date, pl.DataFrame]],
    *,
    store: DayStore,
    audit: Callable[[date, pl.DataFrame], list[CheckResult]],
    quarantine: Path,
    ledger: Ledger | None = None,
    progress: Callable[[date], None] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> PublishOutcome:
    """Audit each day's frame and publish it, or put it in quarantine.

    Args:
        frames: days in ascending order, each with its collected frame (empty where nothing happened).
        store: where a passing day is written.
        audit: judges one day; sees the days in the same order. One that `Remembers` is told how each ended.
        quarantine: folder for refused days, `date=…/` each.
        ledger: keeps every result; also knows which refused deliveries a person accepted.
        progress: called with each day when it is done.
        now: the time written beside the results.
    """
    outcome = PublishOutcome()
    accepted = {(a.table, a.day, a.fingerprint): a for a in ledger.acceptances()} if ledger else {}
    for count, (day, frame) in enumerate(frames, start=1):
        results = _honour(audit(day, frame), accepted, day, frame)
        if any(result.verdict == "block" for result in results):
            _refuse(day, frame, results, audit=audit, quarantine=quarantine, outcome=outcome)
        else:
            store.write(day, frame)
            _publish(day, frame, results, audit=audit, quarantine=quarantine, outcome=outcome)
        if ledger is not None:
            ledger.record(results, at=now())
            if count % _FLUSH_DAYS == 0:
                ledger.flush()
        if progress is not None:
            progress(day)
    if ledger is not None:
        ledger.flush()
    return outcome


def _publish(
    day: date,
    frame: pl.DataFrame,
    results: list[CheckResult],
    *,
    audit: object,
    quarantine: Path,
    outcome: PublishOutcome,
) -> None:
    outcome.rows[day] = frame.height
    outcome.results.extend(results)
    warnings = [result for result in results if result.verdict == "warn"]
    if warnings:
        outcome.warned[day] = warnings
    clear(quarantine, day, results)
    if isinstance(audit, Remembers):
        audit.published(day, frame)


def _refuse(
    day: date,
    frame: pl.DataFrame,
    results: list[CheckResult],
    *,
    audit: object,
    quarantine: Path,
    outcome: PublishOutcome,
) -> None:
    blocking = [result for result in results if result.verdict == "block"]
    put_aside(quarantine, day, frame, blocking)
    outcome.blocked[day] = blocking
    outcome.results.extend(results)
    if isinstance(audit, Remembers):
        audit.refused(day)


def _honour(
    results: list[CheckResult],
    accepted: dict[tuple[str, date, str], Acceptance],
    day: date,
    frame: pl.DataFrame,
) -> list[CheckResult]:
    """Blocks become warnings where a person accepted this very delivery."""
    blocking = [result for result in results if result.verdict == "block"]
    if not blocking or not accepted:
        return results
    acceptance = accepted.get((blocking[0].table, day, content_fingerprint(frame)))
    if acceptance is None:
        return results
    note = f" (accepted by {acceptance.who}: {acceptance.why})"
    return [
        replace(result, verdict="warn", detail=result.detail + note) if result.verdict == "block" else result
        for result in results
    ]
