"""Notices of builds: rejected days, a release that the gate kept back, and failures; each cause once.

A cause is known until it is over: the same rejected delivery is not noticed at each build, and a failure is noticed
again when it comes back after the stage went well.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import dagster as dg

from recsys_assets.errors import BuildInterruptedError, BuildRunningError, RecsysError, StorageError
from recsys_assets.notices.delivery import (
    COMMAND_SECONDS,
    deliver_due,
    forget_causes,
    send_notice,
    unknown_causes,
)
from recsys_assets.notices.outbox import Kind, Notice
from recsys_assets.orchestration.build_outcome import BuildOutcome, StageRow
from recsys_assets.orchestration.recall_words import spans, spans_in_words
from recsys_assets.orchestration.recalled_days import is_recalled
from recsys_assets.orchestration.resources import Lake
from recsys_assets.orchestration.run_results import counted
from recsys_assets.quality.quarantine import RejectedDay, rejected_days
from recsys_assets.quality.rejected_in_words import in_one_line
from recsys_assets.release.gate_report import GateReport, read_gate
from recsys_assets.settings import Settings
from recsys_assets.storage.home import Home

_SHOWN_DAYS: Final = 10
_SENSOR_SECONDS: Final = 20.0
_LONGEST_SUBJECT: Final = 150


class _Words(NamedTuple):
    """A notice in words."""

    subject: str
    lines: Sequence[str]
    details: dict[str, Any]


@dataclass
class Noted:
    """The build that notices are about."""

    outcome: BuildOutcome | None = None
    """Its result; None where it ended by an error."""


@contextmanager
def noticed(home: Home, settings: Settings, say: Callable[[str], None]) -> Iterator[Noted]:
    """Keep and deliver the notices of the build that the block makes; the block sets its outcome.

    A notice that cannot be kept is said, and does not change the end of the build.
    """
    noted = Noted()
    try:
        yield noted
    except (BuildInterruptedError, BuildRunningError):
        raise
    except Exception as error:
        found = error if isinstance(error, RecsysError) else StorageError.found_in(error)
        text = str(found) if found is not None else f"{type(error).__name__}: {error}"
        _kept(say, lambda: _notice_failure(home, settings, "build", text))
        raise
    else:
        outcome = noted.outcome
        if outcome is not None:
            _kept(say, lambda: notice_outcome(home, settings, outcome))
    finally:
        _kept(say, lambda: _deliver(home, settings, say))


def notice_outcome(home: Home, settings: Settings, outcome: BuildOutcome) -> None:
    """Keep the notices of a build that ended: rejected days, a failed gate, failed stages."""
    rejected = notice_rejected(home, settings)
    report = _gate_of_newest(home)
    if report is not None and not report.passed:
        _notice_gate(home, settings, report)
    for row in outcome.rows:
        if row.status != "failed":
            forget_causes(home, f"failed {row.stage} ")
        elif not _explained(row, rejected, report):
            _notice_failure(home, settings, row.stage, row.detail)
    if not outcome.failed:
        forget_causes(home, "failed build ")


def notice_rejected(home: Home, settings: Settings) -> set[str]:
    """Keep one notice of the days in quarantine that none was about, and return the tables that have any there."""
    rejected = [one for one in rejected_days(home.quarantine) if not is_recalled(one.reasons)]
    causes = {f"rejected {one.table} {one.day} {one.fingerprint[:16]}": one for one in rejected}
    if new := unknown_causes(home, causes):
        _send(home, settings, "rejected_day", _of_rejected(home, [causes[cause] for cause in new]), new)
    return {one.table for one in rejected}


def deliver_notices() -> dg.SensorDefinition:
    """Return the sensor that delivers the notices of a home, and notices days that Dagster's own runs rejected."""

    @dg.sensor(
        name="deliver_notices",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Delivers notices of recalls, replays, rejected days and failures, as [notify] says.",
    )
    def deliver(_context: dg.SensorEvaluationContext, lake: Lake) -> dg.SkipReason:
        home, settings = lake.home, lake.settings()
        notice_rejected(home, settings)
        done = deliver_due(home, settings.notify, datetime.now(UTC), seconds=_SENSOR_SECONDS)
        return dg.SkipReason(done.in_words() or "no notice waits")

    return deliver


def _explained(row: StageRow, rejected: set[str], report: GateReport | None) -> bool:
    """Return True where another notice is about the failure."""
    return row.stage in rejected or (row.stage == "release" and report is not None and not report.passed)


def _of_rejected(home: Home, rejected: Sequence[RejectedDay]) -> _Words:
    days = sorted({one.day for one in rejected})
    shown = [in_one_line(one) for one in rejected[:_SHOWN_DAYS]]
    more = [f"… and {len(rejected) - _SHOWN_DAYS:,} more"] if len(rejected) > _SHOWN_DAYS else []
    text = [
        f"{counted(len(days), 'day')} rejected:",
        *shown,
        *more,
        "The rows are in quarantine; the release and the days that were good before stay in use.",
        f"Look: recsys quarantine show {days[0]}{home.option}",
        f"Next: mend the source and run `recsys build{home.option}`, or publish the days as they are:",
        f"recsys quarantine accept {spans(days)}{home.option} --why TEXT",
    ]
    details = {
        "days": [str(day) for day in days],
        "rejected": [
            {
                "table": one.table,
                "day": str(one.day),
                "rows": one.rows,
                "checks": [r.check for r in one.reasons],
            }
            for one in rejected
        ],
    }
    return _Words(f"Rejected: {spans_in_words(days)}", text, details)


def _gate_of_newest(home: Home) -> GateReport | None:
    """Return the gate's report on the release that was built last; None where there is none."""
    marker = home.artifact("release")
    return read_gate(home.releases, marker.read_text().strip()) if marker.is_file() else None


def _notice_gate(home: Home, settings: Settings, report: GateReport) -> None:
    cause = f"gate {report.release} {report.inputs}"
    if not unknown_causes(home, [cause]):
        return
    text = [
        report.in_words(),
        f"Current stays {report.against or 'none'}.",
        f"Next: mend the cause and run `recsys build{home.option}`, or promote it all the same:",
        f"recsys releases promote {report.release}{home.option} --force --why TEXT",
    ]
    details = {"release": report.release, "current": report.against, "reasons": report.reasons()}
    subject = f"Release {report.release} did not pass the gate"
    _send(home, settings, "failed_gate", _Words(subject, text, details), [cause])


def _notice_failure(home: Home, settings: Settings, stage: str, why: str) -> None:
    cause = f"failed {stage} {hashlib.sha256(why.encode()).hexdigest()[:16]}"
    if not unknown_causes(home, [cause]):
        return
    where = "The build" if stage == "build" else f"The build, at {stage},"
    text = [
        f"{where} failed: {why}",
        "The release in use stays.",
        f"Next: mend the cause, then run `recsys build{home.option}`; it goes on from there.",
    ]
    subject = f"Build failed at {stage}: {' '.join(why.split())}"[:_LONGEST_SUBJECT]
    _send(home, settings, "failed_build", _Words(subject, text, {"stage": stage, "why": why}), [cause])


def _send(home: Home, settings: Settings, kind: Kind, words: _Words, causes: Sequence[str]) -> None:
    now = datetime.now(UTC)
    notice = Notice(
        id=f"{kind.replace('_', '-')}-{now:%Y%m%dT%H%M%S%f}",
        at=now,
        kind=kind,
        subject=words.subject,
        text="\n".join(words.lines),
        details={"home": str(home.root), **words.details},
    )
    send_notice(home, settings.notify, notice, causes=causes)


def _deliver(home: Home, settings: Settings, say: Callable[[str], None]) -> None:
    done = deliver_due(home, settings.notify, datetime.now(UTC), seconds=COMMAND_SECONDS)
    if said := done.in_words():
        say(said)


def _kept(say: Callable[[str], None], act: Callable[[], object]) -> None:
    try:
        act()
    except (RecsysError, OSError, sqlite3.Error) as error:
        say(f"Notices cannot be kept or delivered: {StorageError.found_in(error) or error}")
