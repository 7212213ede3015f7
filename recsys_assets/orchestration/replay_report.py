"""The report on a replay, and the record of one that was begun: a replay that is cut off is reported all the same.

The report is kept in the home, for the people who used the days. It compares with the newest release that was built on
the days, since that is what they saw. Where another release is served after the replay, or a stage failed, there is a
notice.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from recsys_assets.errors import BrokenReleaseError, InputError, RecsysError
from recsys_assets.notices.delivery import send_notice
from recsys_assets.orchestration.build_outcome import BuildOutcome, Watcher
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.recall_words import replay_notice
from recsys_assets.quality.quarantine import rejected_days
from recsys_assets.quality.rejected_in_words import in_one_line
from recsys_assets.release.release_diff import ReleaseDiff, diff_releases
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.settings import Settings
from recsys_assets.storage.atomic import read_file, remove_file, replace_file
from recsys_assets.storage.day_journal import DayFile
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import locked

_IMPACT: Final = "impact"
_LANDING: Final = {"item_catalogue", "raw_interactions", "interactions"}
"""Stages that a replay may run though nothing that follows from them is stale."""
_BEGUN: Final = "begun.json"
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


DayVersion = tuple[int | None, str]
"""Number of rows, None of a broken file, and checksum of the rows."""


class BegunReplay(msgspec.Struct, frozen=True, kw_only=True):
    """A replay that was begun, and the home before it."""

    at: datetime
    """Start, UTC."""
    who: str
    """Login of the person; empty where unknown."""
    training: Training
    """`full` or `warm`."""
    days: list[date]
    """The days requested, oldest first."""
    raw: dict[date, DayVersion]
    """Day -> its raw rows."""
    cleaned: dict[date, DayVersion]
    """Day -> its interactions."""
    release: str
    """The release to compare with, as `ReplayReport.compared_with`."""
    current: str
    """The release served; empty where there was none."""


def begin_replay(
    home: Home, settings: Settings, days: Sequence[date], *, at: datetime, training: Training, who: str
) -> BegunReplay:
    """Record a replay before anything changes, and return it; the caller holds the build lock.

    One that was cut off goes on in it: its days are replayed too, and the report compares with the home before it.
    """
    begun = _read_begun(home)
    if begun is not None:
        days = sorted({*begun.days, *days} & set(settings.source.days()))
        begun = msgspec.structs.replace(begun, days=days, training=training)
    else:
        inputs = Inputs(home, settings)
        begun = BegunReplay(
            at=at,
            who=who,
            training=training,
            days=list(days),
            raw=_versions(inputs.raw_files),
            cleaned=_versions(inputs.interaction_files),
            release=_built_on(home, days),
            current=_served(home),
        )
    with locked(home.lock("reports")):
        replace_file(home.replays / _BEGUN, msgspec.json.encode(begun))
    return begun


def end_replay(
    home: Home, settings: Settings, watcher: Watcher, begun: BegunReplay, outcome: BuildOutcome
) -> ReplayReport:
    """Return the report on a replay; keep it and its notice where anything changed. The caller holds the build lock."""
    started = time.monotonic()
    report = ReplayReport(
        replay=f"{begun.at:{_NAME}}",
        at=begun.at,
        who=begun.who,
        training=begun.training,
        days=_replayed(home, settings, begun),
        made={row.stage: row.seconds for row in outcome.rows if row.status == "built"},
        problems=[row.detail for row in outcome.rows if row.status == "failed"],
        compared_with=begun.release,
        release=_made_now(home) if not outcome.failed or outcome.rows[-1].stage == "release" else "",
        current=_served(home),
    )
    if report.changed or report.current != begun.current:
        watcher.begin(_IMPACT, "")
        report = _with_diff(home, report)
        seconds = sum(row.seconds for row in outcome.rows) + time.monotonic() - started
        report = msgspec.structs.replace(report, seconds=seconds)
        _keep(home, report)
        if report.problems or report.current != begun.current:
            send_notice(home, settings.notify, replay_notice(home, report))
    with locked(home.lock("reports")):
        remove_file(home.replays / _BEGUN)
    return report


def finish_replay(home: Home, settings: Settings, watcher: Watcher, outcome: BuildOutcome) -> None:
    """Report on a replay that was cut off, now that a build went well; the caller holds the build lock."""
    begun = _read_begun(home)
    if begun is not None and not outcome.failed:
        end_replay(home, settings, watcher, begun, outcome)


def _read_begun(home: Home) -> BegunReplay | None:
    """Return the replay that was cut off; None where there is none, or its record is broken."""
    try:
        return msgspec.json.decode(read_file(home.replays / _BEGUN), type=BegunReplay)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _versions(files: Mapping[date, DayFile]) -> dict[date, DayVersion]:
    return {day: (file.rows, file.content) for day, file in files.items()}


def _served(home: Home) -> str:
    try:
        return ReleaseStore(home.releases).served_id() or ""
    except BrokenReleaseError:
        return ""


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
    store, served = ReleaseStore(home.releases), _served(home)
    built = [one.release_id for one in store.list() if not one.lineage.keys().isdisjoint(days)]
    return served if served in built or not built else built[0]


def _made_now(home: Home) -> str:
    """Return the release of the artifacts as they are now; empty where there is none."""
    try:
        return home.artifact("release").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def _replayed(home: Home, settings: Settings, before: BegunReplay) -> list[ReplayedDay]:
    inputs = Inputs(home, settings)
    rejected = {one.day: in_one_line(one) for one in rejected_days(home.quarantine)}

    raw, cleaned = _versions(inputs.raw_files), _versions(inputs.interaction_files)

    def state(day: date) -> Literal["changed", "same", "gone", "rejected"]:
        if day in rejected:
            return "rejected"
        if (
            inputs.source_days is not None
            and not inputs.source_days.of_day(day).rows
            and _rows(before.raw, day)
        ):
            return "gone"
        pairs = ((before.raw, raw), (before.cleaned, cleaned))
        return "changed" if any(_differs(one, other, day) for one, other in pairs) else "same"

    def replayed(day: date) -> ReplayedDay:
        return ReplayedDay(
            day=day,
            state=state(day),
            raw_before=_rows(before.raw, day),
            raw_after=_rows(raw, day),
            rows_before=_rows(before.cleaned, day),
            rows_after=_rows(cleaned, day),
            problem=rejected.get(day, ""),
        )

    others = [day for day in cleaned if day not in before.days and _differs(before.cleaned, cleaned, day)]
    touched = [msgspec.structs.replace(replayed(day), state="cleaned") for day in others]
    return [*map(replayed, before.days), *touched]


def _rows(versions: Mapping[date, DayVersion], day: date) -> int | None:
    return versions[day][0] if day in versions else None


def _differs(before: Mapping[date, DayVersion], after: Mapping[date, DayVersion], day: date) -> bool:
    return (before[day][1] if day in before else "") != (after[day][1] if day in after else "")


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
    with locked(home.lock("reports")):
        replace_file(home.replays / f"{report.replay}.json", content)
