"""A replay: days land again from the source, what follows from them is made again, and a report says what changed.

The report is kept in the home, for the people who used the days. It compares with the newest release that was built on
the days, since that is what they saw.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from recsys_assets.errors import BrokenReleaseError, InputError, RecsysError
from recsys_assets.orchestration.build import rebuild
from recsys_assets.orchestration.build_outcome import BuildOutcome, Watcher
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.landing_plan import follow
from recsys_assets.quality.quarantine import rejected_days
from recsys_assets.quality.rejected_in_words import in_one_line
from recsys_assets.release.release_diff import ReleaseDiff, diff_releases
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.settings import Settings
from recsys_assets.storage.atomic import read_file, replace_file
from recsys_assets.storage.day_journal import DayFile
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import build_lock, locked

_IMPACT: Final = "impact"
_LANDING: Final = {"item_catalogue", "raw_interactions", "interactions"}
"""Stages that a replay may run though nothing that follows from them is stale."""
_NAME: Final = "%Y%m%dT%H%M%SZ"
Training = Literal["full", "warm"]


class ReplayedDay(msgspec.Struct, frozen=True, kw_only=True):
    """One day of a replay."""

    day: date
    """The UTC day."""
    state: Literal["changed", "same", "gone", "rejected", "cleaned"]
    """`changed`: it landed with other rows. `same`: with the same. `gone`: the source has no row of it any more, so it
    stays as it landed. `rejected`: the audit rejected it, so it stays. `cleaned`: it was not requested, and cleaned
    again since returns in a requested day touch it."""
    raw_before: int | None
    """Raw rows before; None where the day had none landed."""
    raw_after: int | None
    """Raw rows after."""
    rows_before: int | None
    """Interactions before."""
    rows_after: int | None
    """Interactions after."""
    problem: str = ""
    """The reason of a rejection."""


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True):
    """The effect of a replay."""

    replay: str
    """Its name: the time of its start."""
    at: datetime
    """Start, UTC."""
    who: str
    """Login of the person; empty where unknown."""
    training: Training
    """`full` or `warm`."""
    days: list[ReplayedDay]
    """The days requested, then those cleaned beside them."""
    made: dict[str, float]
    """Stage -> seconds, of those that were made."""
    problems: list[str] = []
    """Stages that failed, and why, such as the reasons of the gate."""
    compared_with: str = ""
    """The newest release that was built on the days before, else the one served; empty where there was none."""
    release: str = ""
    """The release of the days as they are now; empty where none was made."""
    current: str = ""
    """The release served after the replay; empty where there is none."""
    diff: ReleaseDiff | None = None
    """Features, lists, metrics and the rest of `compared_with` and `release`; None where either is missing or they are
    the same."""
    not_compared: str = ""
    """Reason why releases that differ were not compared; empty where they were."""
    seconds: float = 0.0
    """Wall time."""
    impact_seconds: float = 0.0
    """Wall time of the comparison, a part of `seconds`."""

    @property
    def changed(self) -> bool:
        """True where a day has other rows or was rejected, or anything that follows from the days was made."""
        other = any(day.state in {"changed", "rejected", "cleaned"} for day in self.days)
        return other or bool(self.problems) or bool(self.made.keys() - _LANDING)


@dataclass(frozen=True, kw_only=True)
class _Before:
    """The home before a replay."""

    raw: Mapping[date, DayFile]
    cleaned: Mapping[date, DayFile]
    release: str

    @classmethod
    def of(cls, home: Home, settings: Settings, days: Collection[date]) -> "_Before":
        inputs = Inputs(home, settings)
        return cls(raw=inputs.raw_files, cleaned=inputs.interaction_files, release=_built_on(home, days))


def replay(
    home: Home,
    settings: Settings,
    watcher: Watcher,
    days: Sequence[date],
    *,
    training: Training | None = None,
    who: str = "",
) -> tuple[BuildOutcome, ReplayReport]:
    """Land days again, make what follows from them, and say what changed.

    Where the rows are the same and nothing is stale, nothing is made and no report is kept.

    Args:
        home: the home.
        settings: its settings.
        watcher: shows each stage.
        days: the days, in any order.
        training: `full` or `warm`; None: as `[replay] training` says.
        who: login of the person.

    Raises:
        InputError: none of the days is one of the source, or the source cannot be read.
        BuildRunningError: another process builds this home.
        BuildInterruptedError: Ctrl-C or SIGTERM.
    """
    at, started = datetime.now(UTC), time.monotonic()
    with build_lock(home):
        settings = follow(home, settings, watcher, by_hand=True)
        wanted = sorted(set(days) & set(settings.source.days()))
        if not wanted:
            span = f"{settings.source.first_day} to {settings.source.last_day}"
            raise InputError(f"no day from {min(days)} to {max(days)} is in the source, which has {span}")
        training = training or settings.replay.training
        before = _Before.of(home, settings, wanted)
        outcome = rebuild(home, settings, watcher, wanted, warm=training == "warm")
        report = ReplayReport(
            replay=f"{at:{_NAME}}",
            at=at,
            who=who,
            training=training,
            days=_replayed(home, settings, before, wanted),
            made={row.stage: row.seconds for row in outcome.rows if row.status == "built"},
            problems=[row.detail for row in outcome.rows if row.status == "failed"],
            compared_with=before.release,
            release=_made_now(home) if not outcome.failed or outcome.rows[-1].stage == "release" else "",
            current=ReleaseStore(home.releases).served_id() or "",
        )
        if not report.changed:
            return outcome, msgspec.structs.replace(report, seconds=time.monotonic() - started)
        watcher.begin(_IMPACT, "")
        report = _with_diff(home, report)
        report = msgspec.structs.replace(report, seconds=time.monotonic() - started)
        _keep(home, report)
    return outcome, report


def kept_replays(home: Home) -> list[ReplayReport]:
    """Return the reports that are kept, the last one first.

    Raises:
        InputError: one cannot be read.
    """
    return [_read(file) for file in sorted(home.replays.glob("[0-9]*.json"), reverse=True)]


def _read(file: Path) -> ReplayReport:
    try:
        return msgspec.json.decode(read_file(file), type=ReplayReport)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: no report on a replay ({error}); remove the file") from error


def _built_on(home: Home, days: Collection[date]) -> str:
    """Return the served release if it was built on any of the days, else the newest that was, else the served one."""
    store = ReleaseStore(home.releases)
    try:
        served = store.served_id() or ""
    except BrokenReleaseError:
        served = ""
    built = [one.release_id for one in store.list() if not one.lineage.keys().isdisjoint(days)]
    return served if served in built or not built else built[0]


def _made_now(home: Home) -> str:
    """Return the release of the artifacts as they are now; empty where there is none."""
    try:
        return home.artifact("release").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def _replayed(home: Home, settings: Settings, before: _Before, days: Sequence[date]) -> list[ReplayedDay]:
    inputs = Inputs(home, settings)
    rejected = {one.day: in_one_line(one) for one in rejected_days(home.quarantine)}

    def rows(files: Mapping[date, DayFile], day: date) -> int | None:
        return files[day].rows if day in files else None

    def state(day: date) -> Literal["changed", "same", "gone", "rejected"]:
        if day in rejected:
            return "rejected"
        if (
            inputs.source_days is not None
            and not inputs.source_days.of_day(day).rows
            and rows(before.raw, day)
        ):
            return "gone"
        pairs = ((before.raw, inputs.raw_files), (before.cleaned, inputs.interaction_files))
        return (
            "changed" if any(_content(one, day) != _content(other, day) for one, other in pairs) else "same"
        )

    def replayed(day: date) -> ReplayedDay:
        return ReplayedDay(
            day=day,
            state=state(day),
            raw_before=rows(before.raw, day),
            raw_after=rows(inputs.raw_files, day),
            rows_before=rows(before.cleaned, day),
            rows_after=rows(inputs.interaction_files, day),
            problem=rejected.get(day, ""),
        )

    others = [
        day
        for day in inputs.interaction_files
        if day not in days and _content(before.cleaned, day) != _content(inputs.interaction_files, day)
    ]
    touched = [msgspec.structs.replace(replayed(day), state="cleaned") for day in others]
    return [*map(replayed, days), *touched]


def _content(files: Mapping[date, DayFile], day: date) -> str:
    return files[day].content if day in files else ""


def _with_diff(home: Home, report: ReplayReport) -> ReplayReport:
    """Return the report with the difference between the two releases."""
    if not report.release or not report.compared_with or report.release == report.compared_with:
        return report
    started = time.monotonic()
    try:
        diff = diff_releases(ReleaseStore(home.releases), report.compared_with, report.release)
    except RecsysError as error:  # the release before may be broken; the new one was made all the same
        return msgspec.structs.replace(report, not_compared=str(error))
    return msgspec.structs.replace(report, diff=diff, impact_seconds=time.monotonic() - started)


def _keep(home: Home, report: ReplayReport) -> None:
    content = msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"
    with locked(home.reports_lock):
        replace_file(home.replays / f"{report.replay}.json", content)
