"""The steps of a build: each stage that is missing or stale, and why. A build runs them; a plan shows them.

Both ask `Stages` for one stage after the other, since a step's fingerprint depends on those that ran before it.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol, overload

import dagster as dg
import msgspec

from recsys_assets.interactions.report_page import last_reported_days
from recsys_assets.orchestration.fingerprints import INPUTS_KEY, Inputs
from recsys_assets.orchestration.jobs import EXPORTED_LISTS
from recsys_assets.orchestration.landing_plan import GAP_DAYS, kept_days, lost_days, runs_for, stretches
from recsys_assets.orchestration.online_inputs import ONLINE, ONLINE_ASSETS, OnlineInputs, has_impressions
from recsys_assets.orchestration.planning.artifact_parts import ASSETS, parts_of
from recsys_assets.orchestration.planning.reasons import (
    days_in_words,
    grouped,
    why_artifact,
    why_cleaned,
    why_raw,
)
from recsys_assets.orchestration.promotion_gate import gate_inputs
from recsys_assets.orchestration.repair.damaged_releases import release_folders
from recsys_assets.orchestration.repair.made_artifacts import mended_inputs, written_inputs, written_parts
from recsys_assets.quality.ledger_place import ledger_place
from recsys_assets.release.gate_report import newest_candidate
from recsys_assets.settings import Settings
from recsys_assets.storage.day_folders import day_folder
from recsys_assets.storage.home import Home
from recsys_assets.storage.store_place import place_of

CATALOGUE: Final = "item_catalogue"
RAW: Final = "raw_interactions"
CLEANED: Final = "interactions"
REPORT: Final = "increment_report"
RELEASE: Final = "release"
DAILY: Final = (RAW, CLEANED, REPORT)
"""The stages whose steps have days."""
_GO_ON_AFTER_FAILURE: Final = (CATALOGUE, RAW, CLEANED, ONLINE)


class BuildStep(msgspec.Struct, frozen=True, kw_only=True):
    """A stage that a build runs."""

    stage: str
    """Its name: `item_catalogue`, a daily table, an artifact, or `increment_report`."""
    assets: list[str]
    """The assets that it makes."""
    why: list[str]
    """Reasons, a line each."""
    days: list[date] = []
    """The days that are missing or stale; none of a stage without days."""
    stretches: list[tuple[date, date]] = []
    """First and last day of each run; a few fresh days in between are built too."""
    lost: list[date] = []
    """Days whose broken raw file is moved away first."""


class History(Protocol):
    """The record of what was made."""

    def has(self, asset: str) -> bool:
        """Return whether an asset was ever materialised."""

    def days(self, asset: str) -> Collection[date]:
        """Return the days of an asset that were ever materialised."""


@dataclass(frozen=True)
class DagsterHistory:
    """The record of a Dagster instance."""

    instance: dg.DagsterInstance
    """The home's."""

    def has(self, asset: str) -> bool:
        """Return whether an asset was ever materialised."""
        return self.instance.get_latest_materialization_event(dg.AssetKey(asset)) is not None

    def days(self, asset: str) -> set[date]:
        """Return the days of an asset that were ever materialised."""
        keys = self.instance.get_materialized_partitions(dg.AssetKey(asset))
        return {date.fromisoformat(key) for key in keys}


@dataclass(frozen=True)
class FilesOfStore:
    """The record of a home with an object store: what its files say, whichever machine's Dagster made them."""

    inputs: Inputs
    """The fingerprints now."""

    def has(self, asset: str) -> bool:  # noqa: ARG002  of each asset its own record decides
        """Return True: what is there was made."""
        return True

    def days(self, asset: str) -> Collection[date]:
        """Return the days that the table has; for the others there is no file that could be fresh."""
        if asset == RAW:
            return self.inputs.raw_files.keys()
        if asset == CLEANED:
            return self.inputs.interaction_files.keys()
        return [day for day in self.inputs.raw_files if day_folder(self.inputs.home.reports, day).is_dir()]


@overload
def history_of(inputs: Inputs, instance: dg.DagsterInstance) -> History: ...


@overload
def history_of(inputs: Inputs, instance: None) -> History | None: ...


def history_of(inputs: Inputs, instance: dg.DagsterInstance | None) -> History | None:
    """Return the record of what was made: Dagster's, or that of the files where several machines make them.

    None where there is neither: nothing was ever made.
    """
    if place_of(inputs.home.root) is not None:
        return FilesOfStore(inputs)
    return None if instance is None else DagsterHistory(instance)


def stage_names(settings: Settings, home: Home) -> list[str]:
    """Return the names of a build's stages, in their order; the catalogue is first: the audit looks items up in it.

    What came of the answers is measured last, also where training failed; not in a home that never reported any shown.
    """
    exported = [EXPORTED_LISTS] if settings.export.to and settings.export.after_build else []
    measured = [ONLINE] if has_impressions(home) else []
    return [CATALOGUE, RAW, CLEANED, *ASSETS, *exported, REPORT, *measured]


def walk(
    names: Iterable[str],
    ask: Callable[[str], BuildStep | None],
    perform: Callable[[str, BuildStep | None], bool],
) -> list[str]:
    """Ask for each stage's step, in order, and perform it; return the stages left out after a failure.

    Args:
        names: the stages, in the order of `stage_names`.
        ask: returns the step of a stage; None where all of it is fresh.
        perform: runs it, or notes it; returns False where it failed. The other daily tables are still built then.
    """
    left_out, failed = [], False
    for name in names:
        if failed and name not in _GO_ON_AFTER_FAILURE:
            left_out.append(name)
        else:
            failed |= not perform(name, ask(name))
    return left_out


@dataclass(frozen=True, kw_only=True)
class Stages:
    """The stages of a home as they are now; after anything was built take others."""

    inputs: Inputs
    """The fingerprints now."""
    history: History
    """Dagster's record."""
    landed_only: bool = False
    """Land no new day."""
    through: date | None = None
    """Land no day after this one; None lands all."""
    before_mending: bool = False
    """A build will mend damaged artifacts from releases before it looks at its stages."""

    def step(self, name: str) -> BuildStep | None:
        """Return the step of a stage; None where all of it is fresh."""
        if name == RAW:
            return self._raw()
        if name == CLEANED:
            return self._cleaned()
        if name == REPORT:
            return self._reports()
        if name == CATALOGUE:
            home = self.inputs.home
            return self._made(name, [CATALOGUE], home.catalogue, "catalogue", self.inputs.item_catalogue)
        if name == ONLINE:
            return self._online()
        wanted = self.inputs.exported_lists if name == EXPORTED_LISTS else self.inputs.of_artifact(name)
        assets = list(ASSETS.get(name, [name]))
        return self._made(name, assets, self.inputs.home.artifact(name), name, wanted)

    def _online(self) -> BuildStep | None:
        """Return the step that lands impressions and measures online; its only stale input may be in the intake."""
        online, artifact = OnlineInputs(self.inputs), self.inputs.home.artifact(ONLINE)
        parts = online.parts(waiting=True)
        recorded, written = all(map(self.history.has, ONLINE_ASSETS)), written_inputs(artifact)
        if recorded and written == online.fingerprint(waiting=True):
            return None
        why = why_artifact(
            written_parts(artifact), parts, exists=artifact.exists(), written=bool(written), recorded=recorded
        )
        return BuildStep(stage=ONLINE, assets=list(ONLINE_ASSETS), why=why)

    def _judged_again(self) -> BuildStep | None:
        """Return the step of a release that the gate kept back, where it would judge by other things now."""
        home, settings = self.inputs.home, self.inputs.settings
        kept_back = newest_candidate(home)
        if kept_back is None or kept_back.inputs == gate_inputs(home, settings):
            return None
        return BuildStep(
            stage=RELEASE, assets=[RELEASE], why=["kept back by the gate, which judges by other things now"]
        )

    def _written(self, artifact: Path) -> str:
        found = written_inputs(artifact)
        if found or not self.before_mending:
            return found
        return mended_inputs(artifact, release_folders(self.inputs.home))

    @cached_property
    def _source_days(self) -> list[date]:
        days = list(self.inputs.raw_files) if self.landed_only else self.inputs.settings.source.days()
        return [day for day in days if self.through is None or day <= self.through]

    def _raw(self) -> BuildStep | None:
        inputs, recorded = self.inputs, self.history.days(RAW)
        stale = [
            day
            for day in self._source_days
            if day not in recorded
            or day not in inputs.raw_files
            or not inputs.is_landed(inputs.raw_files[day])
        ]
        kept, lost = kept_days(inputs, stale), lost_days(inputs, stale)
        wanted = [day for day in stale if day not in kept]
        if not wanted and not lost & set(inputs.raw_files):
            return None
        why = grouped({day: why_raw(inputs, day, recorded=day in recorded) for day in wanted})
        return BuildStep(
            stage=RAW,
            assets=[RAW],
            why=why,
            days=wanted,
            stretches=stretches(wanted, gap=GAP_DAYS, without=kept),
            lost=sorted(lost & set(inputs.raw_files)),
        )

    def _cleaned(self) -> BuildStep | None:
        inputs, recorded, files = self.inputs, self.history.days(CLEANED), self.inputs.interaction_files
        stale = [
            day
            for day in inputs.raw_files
            if day not in recorded
            or day not in files
            or files[day].provenance.get(INPUTS_KEY) != inputs.interactions(day)
        ]
        why = {day: why_cleaned(inputs, day, recorded=day in recorded) for day in stale}
        return self._of_days(CLEANED, stale, grouped(why))

    def _reports(self) -> BuildStep | None:
        inputs, recorded, home = self.inputs, self.history.days(REPORT), self.inputs.home
        wanted = last_reported_days(
            inputs.interaction_files, inputs.settings.report, ledger=ledger_place(home)
        )
        stale = [
            day
            for day in wanted
            if day not in recorded
            or written_inputs(day_folder(home.reports, day)) != inputs.increment_report(day)
        ]
        why = [f"the last reported days changed: {days_in_words(stale)}"] if stale else []
        return self._of_days(REPORT, stale, why)

    def _of_days(self, name: str, days: list[date], why: Iterable[str]) -> BuildStep | None:
        if not days:
            return None
        runs = runs_for(self.inputs, days, lands=False)
        return BuildStep(stage=name, assets=[name], why=list(why), days=days, stretches=runs)

    def _made(
        self, name: str, assets: list[str], artifact: Path, parts: str, wanted: str
    ) -> BuildStep | None:
        recorded, written = all(map(self.history.has, assets)), self._written(artifact)
        if recorded and written == wanted:
            return self._judged_again() if name == RELEASE else None
        why = why_artifact(
            written_parts(artifact),
            parts_of(self.inputs, parts),
            exists=artifact.exists(),
            written=bool(written),
            recorded=recorded,
        )
        return BuildStep(stage=name, assets=assets, why=why)
