"""The plan of a build: its steps with their reasons, the audit of changed days, and what all of it takes.

The changed days are landed, audited and cleaned in a staged home, so that the fingerprints of all that comes after
them are those of the build. Nothing is published, and no record of the home changes.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Final

from recsys_assets.orchestration.assets.interactions import clean_days
from recsys_assets.orchestration.assets.lake import land_days, make_catalogue
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.instance import open_instance
from recsys_assets.orchestration.landing_plan import follow
from recsys_assets.orchestration.online_inputs import ONLINE, ONLINE_ASSETS
from recsys_assets.orchestration.planning.artifact_parts import ASSETS
from recsys_assets.orchestration.planning.build_plan import BuildPlan, DayVerdict, PlannedStep, ProposedChange
from recsys_assets.orchestration.planning.costs import (
    START_SECONDS,
    Foreseen,
    foresee,
    gate_seconds,
    memory_change,
    read_costs,
    rows_of,
)
from recsys_assets.orchestration.planning.expected_model import expected_model
from recsys_assets.orchestration.planning.reasons import days_in_words
from recsys_assets.orchestration.planning.stage_work import BY_TRAINING, Work
from recsys_assets.orchestration.planning.staged_home import bytes_staged, drop_raw, open_days, staged_home
from recsys_assets.orchestration.planning.stages import (
    CATALOGUE,
    CLEANED,
    RAW,
    RELEASE,
    BuildStep,
    History,
    Stages,
    history_of,
    stage_names,
    walk,
)
from recsys_assets.orchestration.resources import Lake, SilentProgress
from recsys_assets.quality.audit_and_publish import PublishOutcome
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.release.gate_report import newest_candidate
from recsys_assets.rules.rules_file import require_toml
from recsys_assets.settings import Settings, load_or_default_settings, read_settings
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import build_lock

_MOST_DAYS: Final = 400
"""Most days that are staged: the first year of a home."""
_MOST_ROWS: Final = 3_000_000
"""Most rows of the source's files that are read for that, about half a minute."""


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A plan, and the staged home that it was made in."""

    plan: BuildPlan
    """The plan."""
    home: Home
    """The home as it will be, without new artifacts."""
    settings: Settings
    """The settings as they will be."""


@contextmanager
def planned(home: Home, proposal: ProposedChange) -> Iterator[Staged]:
    """Plan the build of a home; the staged home is there while the block runs.

    Raises:
        BuildRunningError: the home is being built.
        SettingsError: the settings, or the proposed ones, cannot be used.
        RulesError: the proposed rules are no TOML.
        InputError: the source cannot be read.
        SourceChangedError: landed days changed in the source, and `changed_past` is `reject`.
    """
    settings = load_or_default_settings(home)
    if proposal.settings_file is not None:
        settings = read_settings(proposal.settings_file)
    if proposal.rules_file is not None:
        require_toml(proposal.rules_file)
    with staged_home(home, settings_file=proposal.settings_file, rules_file=proposal.rules_file) as staged:
        with build_lock(home):
            planner = _Planner(home=home, staged=staged, through=proposal.through)
            settings = follow(staged, settings, planner, named=home)
            plan = planner.run(settings)
        yield Staged(plan=plan, home=staged, settings=settings)


@dataclass(kw_only=True)
class _Simulated:
    """The record of a home's Dagster, and what the plan would add."""

    before: History | None
    more: dict[str, set[date]] = field(default_factory=dict)

    def has(self, asset: str) -> bool:
        return (self.before is not None and self.before.has(asset)) or asset in self.more

    def days(self, asset: str) -> set[date]:
        before = set(self.before.days(asset)) if self.before is not None else set()
        return before | self.more.get(asset, set())


@dataclass(kw_only=True)
class _Planner:
    home: Home
    staged: Home
    through: date | None
    steps: list[BuildStep] = field(default_factory=list)
    verdicts: list[DayVerdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    not_staged: int = 0

    def begin(self, stage: str, detail: str) -> None:
        """Ignore it: the command shows that it is busy."""

    def say(self, text: str) -> None:
        """Keep a line on the source."""
        self.notes.append(text)

    def run(self, settings: Settings) -> BuildPlan:
        self.settings = settings
        if self.home.dagster_yaml.exists():
            with open_instance(self.home) as instance:
                left_out = self._walk(history_of(Inputs(self.home, settings), instance))
        else:  # nothing was ever built on this machine
            left_out = self._walk(history_of(Inputs(self.home, settings), None))
        return self._with_costs(left_out)

    def _walk(self, before: History | None) -> list[str]:
        self.history = _Simulated(before=before)
        return walk(stage_names(self.settings, self.home), self._ask, self._perform)

    @cached_property
    def _inputs(self) -> Inputs:
        """The inputs of the staged home, looked at again after something was staged."""
        return Inputs(self.staged, self.settings)

    def _ask(self, name: str) -> BuildStep | None:
        stages = Stages(inputs=self._inputs, history=self.history, through=self.through, before_mending=True)
        step = stages.step(name)
        return self._assumed(name, step) if self.not_staged else step

    def _assumed(self, name: str, step: BuildStep | None) -> BuildStep | None:
        """Return the step of a stage after days that were not staged: all that is made from them."""
        landed = self.steps[-1].days if name == CLEANED else []
        days = sorted({*landed, *(step.days if step else [])})
        why = [f"the raw days are landed first: {days_in_words(landed)}"] if landed else []
        if not why:
            why = ["days that are not staged come before it"]
        if step is None and name == CATALOGUE:
            return None
        assets = list(ONLINE_ASSETS if name == ONLINE else ASSETS.get(name, [name]))
        return BuildStep(stage=name, assets=assets, why=[*(step.why if step else []), *why], days=days)

    def _perform(self, name: str, step: BuildStep | None) -> bool:
        if step is None:
            return True
        self.steps.append(step)
        for asset in step.assets:
            self.history.more.setdefault(asset, set())
        lake = Lake(home_path=str(self.staged.root))
        if name == CATALOGUE:
            _, results = make_catalogue(lake)
            self._look_again()
            return not self._rejected(name, results)
        if name == RAW and self._is_too_much(step):
            self.not_staged = len(step.days)
            return True
        if name in (RAW, CLEANED) and not self.not_staged:
            return self._stage_days(lake, step)
        return True

    def _stage_days(self, lake: Lake, step: BuildStep) -> bool:
        inputs = self._inputs
        files = inputs.raw_files if step.stage == RAW else inputs.interaction_files
        rows = {day: file.rows for day, file in files.items()}
        drop_raw(self.staged, step.lost)
        partitions, passed = self.settings.source.days(), True
        for first, last in step.stretches:
            days = [day for day in partitions if first <= day <= last]
            open_days(self.staged, self.home, days)
            if step.stage == RAW:
                outcome, _ = land_days(lake, days, SilentProgress())
            else:
                outcome = clean_days(lake, days, SilentProgress()).published
            self.history.more[step.stage] |= set(outcome.rows)
            self.verdicts += _verdicts(step.stage, outcome, rows, wanted=set(step.days))
            passed &= not outcome.rejected
        self._look_again()
        return passed

    def _look_again(self) -> None:
        vars(self).pop("_inputs", None)

    def _rejected(self, name: str, results: list[CheckResult]) -> bool:
        blocking = [result.detail for result in results if result.verdict == "block"]
        self.notes += [f"{name}: rejected: {detail}" for detail in blocking[:1]]
        return bool(blocking)

    def _is_too_much(self, step: BuildStep) -> bool:
        counted = self._inputs.source_days
        if len(step.days) > _MOST_DAYS or counted is None:
            return True
        files = counted.files_with(step.days)
        rows = counted.counts.filter(counted.counts["file"].is_in(files))["rows"].sum()
        return int(rows) > _MOST_ROWS

    def _with_costs(self, left_out: list[str]) -> BuildPlan:
        inputs, costs, planned_steps = self._inputs, read_costs(self.home), list[PlannedStep]()
        training, stages = self.settings.training, [step.stage for step in self.steps]
        work = Work(training=training, model=expected_model(self.home, training, None))
        more_mb = memory_change(self.home, training) if "embeddings" in stages else 0.0
        kept_back = newest_candidate(self.home)
        if kept_back is not None and RELEASE not in stages:
            self.notes.append(f"a build will say again: {kept_back.in_words()}")
        for step in self.steps:
            landed_first = self.not_staged and step.stage != CATALOGUE
            rows = self._rows_to_land(step) if landed_first else rows_of(inputs, step)
            found = foresee(step, rows=rows, work=work, costs=costs)
            if step.stage == RELEASE:
                more_seconds = gate_seconds(self.home, training, self.steps, costs)
                found = replace(found, seconds=found.seconds + more_seconds)
            planned_steps.append(_planned(step, found, more_mb=more_mb))
        written = sum(step.written for step in planned_steps if step.stage not in (RAW, CLEANED))
        return BuildPlan(
            steps=planned_steps,
            left_out=left_out,
            verdicts=self.verdicts,
            not_staged=self.not_staged,
            notes=self.notes,
            seconds=round(sum(step.seconds for step in planned_steps) + START_SECONDS, 1),
            peak_mb=max((step.peak_mb for step in planned_steps), default=0.0),
            written=written + bytes_staged(self.staged),
            free=shutil.disk_usage(self.home.root).free,
        )

    def _rows_to_land(self, step: BuildStep) -> int:
        counted = self._inputs.source_days
        if counted is None:
            return 1
        days = set(step.days) or set(self.settings.source.days())
        return max(1, sum(counted.of_day(day).rows for day in days))


def _planned(step: BuildStep, found: Foreseen, *, more_mb: float) -> PlannedStep:
    by_settings = more_mb if step.stage in BY_TRAINING else 0.0
    return PlannedStep(
        stage=step.stage,
        assets=step.assets,
        why=step.why,
        days=step.days,
        seconds=round(found.seconds, 1),
        peak_mb=round(max(0.0, found.peak_mb + by_settings)),
        written=found.written,
        measured=found.measured,
    )


def _verdicts(
    table: str, outcome: PublishOutcome, rows: dict[date, int | None], *, wanted: set[date]
) -> Iterator[DayVerdict]:
    """Yield the verdict of each wanted day, and of others that are not ok."""
    for day in sorted({*outcome.rows, *outcome.rejected}):
        found = outcome.rejected.get(day) or outcome.warned.get(day, [])
        if day not in wanted and not found:
            continue
        yield DayVerdict(
            table=table,
            day=day,
            verdict="rejected" if day in outcome.rejected else "warn" if found else "ok",
            rows=outcome.rows.get(day, 0),
            before=rows.get(day),
            reasons=[f"{result.check}: {result.detail}" for result in found],
        )
