"""`recsys build`: whatever is missing or stale, materialised through Dagster in the order of the data.

What is stale, and why, says `planning/stages.py`; running it is one in-process Dagster run a stage (and, for days, one
a stretch of stale days). Nothing is computed here.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property, partial
from typing import Final

import dagster as dg

from recsys_assets.errors import BuildInterruptedError
from recsys_assets.evaluation.model_choice import ModelChoice
from recsys_assets.interactions.report_page import last_reported_days
from recsys_assets.lake.follow import count_now
from recsys_assets.orchestration.begun_build import begun
from recsys_assets.orchestration.build_outcome import BuildOutcome, StageRow, Watcher
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.instance import build_definitions, open_instance, settle_history
from recsys_assets.orchestration.interrupts import (
    BUILD_TAG,
    InterruptibleProgress,
    Interrupts,
    close_killed_runs,
)
from recsys_assets.orchestration.jobs import DAILY_INCREMENT, MEASURE_ONLINE, RETRAIN_AND_RELEASE
from recsys_assets.orchestration.landing_plan import (
    follow,
    move_broken,
    runs_for,
    settle_rows,
    with_touched,
)
from recsys_assets.orchestration.online_inputs import ONLINE
from recsys_assets.orchestration.partitions import range_tags
from recsys_assets.orchestration.planning.artifact_parts import ASSETS
from recsys_assets.orchestration.planning.costs import measured
from recsys_assets.orchestration.planning.stages import (
    DAILY,
    RELEASE,
    BuildStep,
    Stages,
    history_of,
    stage_names,
    walk,
)
from recsys_assets.orchestration.recalled_days import left_out, left_out_in_words
from recsys_assets.orchestration.repair.damage import mend
from recsys_assets.orchestration.replay_report import finish_replay
from recsys_assets.orchestration.retention import in_words, prune_locked
from recsys_assets.orchestration.run_results import answer_in_words, counted, reason_of, was_interrupted
from recsys_assets.quality.ledger_place import ledger_place
from recsys_assets.release.gate_report import newest_candidate
from recsys_assets.settings import Settings
from recsys_assets.storage.home import Home
from recsys_assets.storage.store_writing import push_now

_QUIET: Final = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def build(
    home: Home,
    settings: Settings,
    watcher: Watcher,
    *,
    landed_only: bool = False,
    through: date | None = None,
) -> BuildOutcome:
    """Materialise whatever is missing or stale, and stop at the first stage that fails.

    Args:
        home: the home to build, whatever `RECSYS_HOME` and `DAGSTER_HOME` say.
        settings: its settings.
        watcher: shows each stage.
        landed_only: do not look at the source, and land no new day; train and release on the landed ones.
        through: land no day after this one; None lands all.

    Raises:
        BuildRunningError: another process builds this home.
        LauncherError: no Ray cluster answers, where `[launcher]` names one.
        InputError: the source cannot be read.
        SourceChangedError: landed days changed in the source, and `changed_past` is `reject`.
        BuildInterruptedError: Ctrl-C or SIGTERM.
    """
    with begun(home, settings, watcher) as noted:
        settings = settings if landed_only else follow(home, settings, watcher)
        with builder_of(home, settings, watcher) as builder:
            noted.outcome = builder.run(landed_only=landed_only, through=through)
        finish_replay(home, settings, watcher, builder.outcome)
    return builder.outcome


def land(home: Home, settings: Settings, watcher: Watcher, days: Sequence[date]) -> BuildOutcome:
    """Land and clean `days`, stale or not, and report on the last of them (`[report]`).

    Cleaned days that their returns touch are cleaned again.

    Raises:
        BuildRunningError: another process builds this home.
        BuildInterruptedError: Ctrl-C or SIGTERM.
    """
    launches = len(days) > settings.launcher.stretch_days
    with (
        begun(home, settings, watcher, launches=launches) as noted,
        builder_of(home, settings, watcher) as builder,
    ):
        noted.outcome = builder.outcome
        if recalled := left_out(Inputs(home, settings)):
            count_now(home, settings)  # the source may have been corrected since
            recalled = left_out(Inputs(home, settings))
        wrong = {day: recalled[day] for day in days if day in recalled}
        days = [day for day in days if day not in wrong]
        builder.build_days("raw_interactions", days)
        if not builder.outcome.failed:
            builder.build_days("interactions", with_touched(days, builder.inputs, watcher))
        if not builder.outcome.failed:  # chosen after the audit, which `[report] when` may ask for
            reported = last_reported_days(days, settings.report, ledger=ledger_place(home))
            builder.build_days("increment_report", reported)
        if wrong:
            builder.end(StageRow(stage="recalled", status="failed", detail=left_out_in_words(wrong)))
    return builder.outcome


def rebuild(
    home: Home, settings: Settings, watcher: Watcher, days: Sequence[date], *, warm: bool = False
) -> BuildOutcome:
    """Land and clean `days`, stale or not, then make what follows from the landed days; land no other day.

    Args:
        home: the home.
        settings: its settings.
        watcher: shows each stage.
        days: days of the source.
        warm: keep the chosen model and train on from the last embeddings, see `Inputs`.

    Raises:
        BuildRunningError: another process builds this home.
        BuildInterruptedError: Ctrl-C or SIGTERM.
    """
    with begun(home, settings, watcher) as noted, builder_of(home, settings, watcher, warm=warm) as builder:
        noted.outcome = builder.run_again(days)
    return builder.outcome


@contextmanager
def builder_of(
    home: Home, settings: Settings, watcher: Watcher, *, warm: bool = False
) -> Iterator["Builder"]:
    """Yield what builds a home; after the block the intake is pruned, and the rows are added up."""
    mend(home, settings, watcher.say)
    with open_instance(home) as instance, Interrupts() as interrupts:
        close_killed_runs(instance)
        builder = Builder(
            home=home, settings=settings, watcher=watcher, instance=instance, interrupts=interrupts, warm=warm
        )
        yield builder
        if builder.outcome.built:
            mend(home, settings, watcher.say)  # a release that a new one replaced as the current one
        builder.outcome.rows_left_out = settle_rows(home, settings, now=datetime.now(UTC))
    settle_history(home)


@dataclass(kw_only=True)
class Builder:
    """Builds the stages of one home, under its lock."""

    home: Home
    settings: Settings
    watcher: Watcher
    instance: dg.DagsterInstance
    interrupts: Interrupts
    warm: bool = False
    outcome: BuildOutcome = field(default_factory=BuildOutcome)
    _notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.definitions = build_definitions(
            self.home, progress=InterruptibleProgress(self.watcher, self.interrupts), warm=self.warm
        )

    @cached_property
    def inputs(self) -> Inputs:
        """The inputs of all assets, looked at again after something was built."""
        return Inputs(self.home, self.settings, warm=self.warm)

    def run_again(self, days: Sequence[date]) -> BuildOutcome:
        """Land and clean days, stale or not, then build what follows."""
        first, raw, cleaned, *later = stage_names(self.settings, self.home)
        self._perform(first, self._ask(first))
        self.build_days(raw, days)
        if not self.outcome.failed:
            self.build_days(cleaned, with_touched(days, self.inputs, self.watcher))
        for name in later:
            if not self.outcome.failed:
                self._perform(name, self._ask(name))
        return self.outcome

    def _ask(self, name: str, *, landed_only: bool = True, through: date | None = None) -> BuildStep | None:
        history = history_of(self.inputs, self.instance)
        found = Stages(inputs=self.inputs, history=history, landed_only=landed_only, through=through)
        return found.step(name)

    def run(self, *, landed_only: bool, through: date | None) -> BuildOutcome:
        """Build whatever is stale; arguments as in `build`."""
        ask = partial(self._ask, landed_only=landed_only, through=through)
        walk(stage_names(self.settings, self.home), ask, self._perform)
        if not self.outcome.failed:
            self.outcome.model = ModelChoice.load(self.home.artifact("choice")).in_words()
            self._prune()
        return self.outcome

    def build_days(self, asset: str, days: Sequence[date]) -> None:
        """Materialise `asset` for `days`, stale or not, one run a stretch of days."""
        step = BuildStep(
            stage=asset,
            assets=[asset],
            why=[],
            days=list(days),
            stretches=runs_for(self.inputs, days, lands=asset == "raw_interactions"),
        )
        self._perform(asset, step if days else None)

    def _perform(self, name: str, step: BuildStep | None) -> bool:
        """Run a step, and return whether it succeeded."""
        stage = " + ".join(ASSETS.get(name, [name]))
        if step is None:
            kept_back = newest_candidate(self.home) if name == RELEASE else None
            status, detail = ("failed", kept_back.in_words()) if kept_back else ("fresh", "")
            self.end(StageRow(stage=stage, status=status, detail=detail))
            return kept_back is None
        amount = counted(len(step.days), "day") if name in DAILY else ""
        self.watcher.begin(stage, amount)
        move_broken(self.inputs, step.lost)
        problems = list[str]()
        with measured(lambda: self.inputs, step) as cost:
            if name in DAILY:
                for first, last in step.stretches:
                    problems += self.run_job(DAILY_INCREMENT, step.assets, tags=range_tags(first, last))
            else:
                job = MEASURE_ONLINE if name == ONLINE else RETRAIN_AND_RELEASE
                problems = self.run_job(job, step.assets)
            cost.succeeded = not problems
        self.end(
            StageRow(
                stage=stage,
                status="failed" if problems else "built",
                detail="\n".join(problems) or amount,
                seconds=cost.seconds,
            )
        )
        return not problems

    def run_job(self, job: str, assets: Sequence[str], *, tags: dict[str, str] | None = None) -> list[str]:
        """Run some assets of a job, and return why they failed, a line each; an interrupt raises."""
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
                "interrupted; what is finished is kept, `recsys build` goes on from there"
            )
        # of a check, a run's own answer comes after those of single days
        last = {check.asset_check_key: check for check in result.get_asset_check_evaluations()}
        self._notes += [answer_in_words(check, home=self.home) for check in last.values() if not check.passed]
        return [reason_of(event) for event in failures]

    def _prune(self) -> None:
        if self.settings.retention.after_build:
            removed = in_words(prune_locked(self.home, self.settings, self.instance, now=datetime.now(UTC)))
            self.end(StageRow(stage="prune", status="built" if removed else "fresh", detail=removed))

    def end(self, row: StageRow) -> None:
        """Add the result of a stage, with the checks that did not pass in it."""
        row = replace(row, warnings=tuple(self._notes))
        self._notes.clear()
        self.outcome.rows.append(row)
        push_now(self.home.root)  # a kill loses no more than the next stage
        self.watcher.end(row)
