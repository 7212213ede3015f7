"""`recsys build`: whatever is missing or stale, materialised through Dagster in the order of the data.

Planning reads fingerprints (`fingerprints.py`) and Dagster's record of its materialisations; running is one
in-process Dagster run a stage (and, for days, one a stretch of stale days). Nothing is computed here.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Final

import dagster as dg

from recsys_assets.errors import BuildInterruptedError
from recsys_assets.evaluation.model_choice import ModelChoice
from recsys_assets.interactions.report_page import last_reported_days
from recsys_assets.lake.home_account import write_home_account
from recsys_assets.orchestration.build_notices import noticed
from recsys_assets.orchestration.build_outcome import BuildOutcome, StageRow, Watcher
from recsys_assets.orchestration.fingerprints import INPUTS_KEY, Inputs
from recsys_assets.orchestration.instance import build_definitions, open_instance, settle_history
from recsys_assets.orchestration.interrupts import (
    BUILD_TAG,
    InterruptibleProgress,
    Interrupts,
    close_killed_runs,
)
from recsys_assets.orchestration.jobs import DAILY_INCREMENT, EXPORTED_LISTS, RETRAIN_AND_RELEASE
from recsys_assets.orchestration.landing_plan import follow, kept_days, stretches, with_touched
from recsys_assets.orchestration.partitions import range_tags
from recsys_assets.orchestration.promotion_gate import gate_inputs, newest_candidate
from recsys_assets.orchestration.recall_home import finish_recalls
from recsys_assets.orchestration.recalled_days import left_out, left_out_in_words
from recsys_assets.orchestration.repair.damage import clear_places, mend
from recsys_assets.orchestration.repair.made_artifacts import written_inputs
from recsys_assets.orchestration.retention import in_words, prune_locked
from recsys_assets.orchestration.run_results import answer_in_words, counted, reason_of, was_interrupted
from recsys_assets.settings import Settings
from recsys_assets.storage.day_journal import DayFile
from recsys_assets.storage.home import Home, day_folder
from recsys_assets.storage.locks import build_lock

_GAP_DAYS: Final = 7
"""Most fresh days between stale ones that are built again: another run would cost half a second."""

_QUIET: Final = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def build(home: Home, settings: Settings, watcher: Watcher, *, landed_only: bool = False) -> BuildOutcome:
    """Materialise whatever is missing or stale, and stop at the first stage that fails.

    Args:
        home: the home to build, whatever `RECSYS_HOME` and `DAGSTER_HOME` say.
        settings: its settings.
        watcher: shows each stage.
        landed_only: do not look at the source, and land no new day; train and release on the landed ones.

    Raises:
        BuildRunningError: another process builds this home.
        InputError: the source cannot be read.
        SourceChangedError: landed days changed in the source, and `changed_past` is `reject`.
        BuildInterruptedError: Ctrl-C or SIGTERM.
    """
    with noticed(home, settings, watcher.say) as noted, build_lock(home):
        clear_places(home, watcher.say)
        finish_recalls(home, settings, watcher.say)
        settings = settings if landed_only else follow(home, settings, watcher)
        with _builder(home, settings, watcher) as builder:
            noted.outcome = builder.run(landed_only=landed_only)
    return builder.outcome


def land(home: Home, settings: Settings, watcher: Watcher, days: Sequence[date]) -> BuildOutcome:
    """Land and clean `days`, stale or not, and report on the last of them (`[report]`).

    Cleaned days that their returns touch are cleaned again.

    Raises:
        BuildRunningError: another process builds this home.
        BuildInterruptedError: Ctrl-C or SIGTERM.
    """
    with noticed(home, settings, watcher.say) as noted, build_lock(home):
        clear_places(home, watcher.say)
        finish_recalls(home, settings, watcher.say)
        with _builder(home, settings, watcher) as builder:
            noted.outcome, recalled = builder.outcome, left_out(builder.inputs)
            wrong = {day: recalled[day] for day in days if day in recalled}
            days = [day for day in days if day not in wrong]
            builder.build_days("raw_interactions", days)
            if not builder.outcome.failed:
                builder.build_days("interactions", with_touched(days, builder.inputs, watcher))
            if not builder.outcome.failed:  # chosen after the audit, which `[report] when` may ask for
                reported = last_reported_days(days, settings.report, quality_db=home.quality_db)
                builder.build_days("increment_report", reported)
            if wrong:
                builder.end(StageRow(stage="recalled", status="failed", detail=left_out_in_words(wrong)))
    return builder.outcome


@contextmanager
def _builder(home: Home, settings: Settings, watcher: Watcher) -> Iterator["_Builder"]:
    mend(home, settings, watcher.say)
    with open_instance(home) as instance, Interrupts() as interrupts:
        close_killed_runs(instance)
        builder = _Builder(
            home=home, settings=settings, watcher=watcher, instance=instance, interrupts=interrupts
        )
        yield builder
        if builder.outcome.built:
            mend(home, settings, watcher.say)  # a release that a new one replaced as the current one
        builder.outcome.rows_left_out = write_home_account(home, settings.source).in_words()
    settle_history(home)


@dataclass(kw_only=True)
class _Builder:
    home: Home
    settings: Settings
    watcher: Watcher
    instance: dg.DagsterInstance
    interrupts: Interrupts
    outcome: BuildOutcome = field(default_factory=BuildOutcome)
    _notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.definitions = build_definitions(
            self.home, progress=InterruptibleProgress(self.watcher, self.interrupts)
        )

    @cached_property
    def inputs(self) -> Inputs:
        """The inputs of all assets, looked at again after something was built."""
        return Inputs(self.home, self.settings)

    def run(self, *, landed_only: bool) -> BuildOutcome:
        self._catalogue()  # first: the audit of raw days looks items up in it
        self._raw(landed_only=landed_only)
        self._interactions()
        for stage in (self._train, self._report, self._prune):
            if not self.outcome.failed:
                stage()
        return self.outcome

    def build_days(self, asset: str, days: Sequence[date], *, without: Collection[date] = ()) -> None:
        """Materialise `asset` for `days`, one run a stretch of days, and not for days `without`."""
        if not days:
            self.end(StageRow(stage=asset, status="fresh", detail=""))
            return
        self.watcher.begin(asset, counted(len(days), "day"))
        started, problems = time.monotonic(), []
        for first, last in stretches(days, gap=_GAP_DAYS, without=without):
            problems += self._materialise(DAILY_INCREMENT, [asset], tags=range_tags(first, last))
        self.end(
            StageRow(
                stage=asset,
                status="failed" if problems else "built",
                detail="\n".join(problems) or counted(len(days), "day"),
                seconds=time.monotonic() - started,
            )
        )

    def _raw(self, *, landed_only: bool) -> None:
        inputs = self.inputs
        days = inputs.raw_files if landed_only else self.settings.source.days()
        stale = self._stale("raw_interactions", inputs.raw_files, days, inputs.raw_interactions)
        kept = kept_days(inputs, stale)
        self.build_days("raw_interactions", [day for day in stale if day not in kept], without=kept)

    def _catalogue(self) -> None:
        self._build(["item_catalogue"], self.home.catalogue, self.inputs.item_catalogue)

    def _interactions(self) -> None:
        inputs = self.inputs
        stale = self._stale("interactions", inputs.interaction_files, inputs.raw_files, inputs.interactions)
        self.build_days("interactions", stale)

    def _train(self) -> None:
        inputs, stages = self.inputs, dict(self.inputs.artifacts)
        if self.settings.export.to and self.settings.export.after_build:
            stages[EXPORTED_LISTS] = ([EXPORTED_LISTS], inputs.exported_lists)
        for name, (assets, wanted) in stages.items():
            if not self.outcome.failed:
                self._build(assets, self.home.artifact(name), wanted)
        if not self.outcome.failed:
            self.outcome.model = ModelChoice.load(self.home.artifact("choice")).in_words()

    def _report(self) -> None:
        inputs = self.inputs
        report, quality_db = self.settings.report, self.home.quality_db
        days = last_reported_days(inputs.interaction_files, report, quality_db=quality_db)
        recorded = self._recorded_days("increment_report")
        stale = [
            day
            for day in days
            if day not in recorded
            or written_inputs(day_folder(self.home.reports, day)) != inputs.increment_report(day)
        ]
        self.build_days("increment_report", stale)

    def _build(self, assets: Sequence[str], artifact: Path, inputs: str) -> None:
        stage = " + ".join(assets)
        recorded = all(self.instance.get_latest_materialization_event(dg.AssetKey(asset)) for asset in assets)
        if recorded and written_inputs(artifact) == inputs:
            kept_back = newest_candidate(self.home) if artifact == self.home.artifact("release") else None
            if kept_back is None:
                self.end(StageRow(stage=stage, status="fresh", detail=""))
                return
            if kept_back.inputs == gate_inputs(self.home, self.settings):
                self.end(StageRow(stage=stage, status="failed", detail=kept_back.in_words()))
                return
        self.watcher.begin(stage, "")
        started = time.monotonic()
        problems = self._materialise(RETRAIN_AND_RELEASE, assets)
        self.end(
            StageRow(
                stage=stage,
                status="failed" if problems else "built",
                detail="\n".join(problems),
                seconds=time.monotonic() - started,
            )
        )

    def _materialise(
        self, job: str, assets: Sequence[str], *, tags: dict[str, str] | None = None
    ) -> list[str]:
        vars(self).pop("inputs", None)
        result = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(asset) for asset in assets],
            run_config=_QUIET,
            tags={BUILD_TAG: "true", **(tags or {})},
            raise_on_error=False,
        )
        failures = [event for event in result.all_events if event.is_step_failure]
        if self.interrupts.received() or any(was_interrupted(event) for event in failures):
            raise BuildInterruptedError(
                "interrupted; what was finished is kept, `recsys build` goes on from there"
            )
        # of a check, a run's own answer comes after those of single days
        last = {check.asset_check_key: check for check in result.get_asset_check_evaluations()}
        self._notes += [answer_in_words(check, home=self.home) for check in last.values() if not check.passed]
        return [reason_of(event) for event in failures]

    def _prune(self) -> None:
        if self.settings.retention.after_build:
            removed = in_words(prune_locked(self.home, self.settings, self.instance, now=datetime.now(UTC)))
            self.end(StageRow(stage="prune", status="built" if removed else "fresh", detail=removed))

    def _stale(
        self,
        asset: str,
        files: Mapping[date, DayFile],
        days: Iterable[date],
        inputs: Callable[[date], str],
    ) -> list[date]:
        recorded = self._recorded_days(asset)

        def is_fresh(day: date) -> bool:
            return day in recorded and day in files and files[day].provenance.get(INPUTS_KEY) == inputs(day)

        return [day for day in days if not is_fresh(day)]

    def _recorded_days(self, asset: str) -> set[date]:
        return {
            date.fromisoformat(key) for key in self.instance.get_materialized_partitions(dg.AssetKey(asset))
        }

    def end(self, row: StageRow) -> None:
        """Add the result of a stage, with the checks that did not pass in it."""
        row = replace(row, warnings=tuple(self._notes))
        self._notes.clear()
        self.outcome.rows.append(row)
        self.watcher.end(row)
