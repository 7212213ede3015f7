"""The checks of the gate: a candidate measured beside the current release, as one result each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
import polars as pl

from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.embeddings.recency import categories_in
from recsys_assets.errors import BrokenReleaseError, RecsysError, RulesError
from recsys_assets.evaluation.evaluated_users import EvaluatedUsers, read_evaluated_users
from recsys_assets.evaluation.model_choice import ModelChoice
from recsys_assets.index.choose_index import recall_result
from recsys_assets.interactions.wish_rule import hides_item
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.release.gate import (
    ModelOnUsers,
    interval_in_words,
    is_below_baselines,
    judge_baseline,
    judge_held_out,
    nothing_to_compare,
    paired_loss,
)
from recsys_assets.release.gate_report import GateResult
from recsys_assets.release.load import Release
from recsys_assets.release.manifest import Manifest
from recsys_assets.release.promotion_checks import check_lists
from recsys_assets.rules.engine.pipeline import Engine
from recsys_assets.rules.rules_file import load_engine, released_engine
from recsys_assets.rules.testing.cases import CASES_FILE, read_cases, run_case
from recsys_assets.rules.testing.golden import run_golden
from recsys_assets.settings import Settings
from recsys_assets.storage.field_changes import changed_fields
from recsys_assets.storage.home import Home
from recsys_assets.training_settings import TrainingSettings

_UNMEASURED: Final = "nothing was measured: too few days or users to hold out"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A candidate, and what it is compared with; a method a check."""

    home: Home
    """Its home."""
    settings: Settings
    """The settings that it was built with."""
    release: Release
    """The candidate."""
    current: Release | None
    """The release to compare with; None for none."""
    no_current: str
    """Why there is none."""
    interactions: Callable[[], pl.LazyFrame]
    """Returns the interactions that the candidate was built from."""
    catalogue: pl.DataFrame | None
    """Rows of ITEM_CATALOGUE, or None if there is none."""

    def held_out(self) -> GateResult:
        """Compare with the current release on the same users."""
        own = _measured(self.release)
        if own is None:
            return nothing_to_compare("held_out", _UNMEASURED)
        if self.current is None:
            why = f"{self.no_current}, so there is nothing to compare with; {interval_in_words(own)}"
            return nothing_to_compare("held_out", why)
        return self._against(self.current, own)

    def _against(self, current: Release, own: ModelOnUsers) -> GateResult:
        """Compare what both releases stored, where that is of the same days; else have the other recipe fitted."""
        margin, stored = self.settings.gate.margin, _measured(current)
        before, days = current.manifest, f"the held-out days {own.users.first_day} to {own.users.last_day}"
        if stored is not None and _same_split(before, self.release.manifest, stored.users, own.users):
            loss = paired_loss(stored, own)
            return judge_held_out(loss, margin=margin, how=f"both on {days}", other_days=False)
        recipe, changed = _recipe(current), self._changed(current)
        if stored is not None and not changed:
            how = (
                f"by the same recipe as {before.release_id}, {own.model} with the same [training] settings, on other "
                "days or data, so no judgement"
            )
            return judge_held_out(paired_loss(stored, own), margin=margin, how=how, other_days=True)
        refitted = recipe if isinstance(recipe, str) else self._refitted(*recipe)
        if isinstance(refitted, str):
            why = f"the recipe of {before.release_id} cannot be fitted for {days}: {refitted}"
            return nothing_to_compare("held_out", why)
        how = f"the recipe of {before.release_id} fitted for {days}"
        if changed:
            how += f", since it is another one: {changed}"
        return judge_held_out(paired_loss(refitted, own), margin=margin, how=how, other_days=False)

    def _changed(self, current: Release) -> str:
        """Return how the recipe of the current release differs; empty where it is the same, or not known.

        A recipe is what a person sets and the components chosen by it; half-lives, weights and shares, which follow
        the data of each day, make no other one.
        """
        before, after = _recipe(current), _recipe(self.release)
        if isinstance(before, str) or isinstance(after, str):
            return ""
        changes = [
            f"[training] {one.name} {one.before} -> {one.after}"
            for one in changed_fields(*(msgspec.to_builtins(training) for _, training in (before, after)))
        ]
        if before[0].components != after[0].components:
            to_keep = f'`[training] model = "{before[0].model}"` keeps the model before'
            changes.append(f"{before[0].model} -> {after[0].model} ({to_keep})")
        return ", ".join(changes)

    def _refitted(self, spec: ModelSpec, training: TrainingSettings) -> ModelOnUsers | str:
        """Measure another recipe on the candidate's split; else the reason why it cannot be."""
        from recsys_assets.evaluation.refitted_recipe import evaluate_recipe  # noqa: PLC0415  imports torch

        own = self.settings.training
        try:
            users = evaluate_recipe(
                self.interactions(),
                spec,
                training,
                held_out_share=own.held_out_share,
                seed=own.seed,
                categories=categories_in(self.catalogue),
                hides=hides_item(self.settings.interactions),
            )
        except RecsysError as error:
            return str(error)
        return ModelOnUsers(model=spec.model, users=users)

    def best_baseline(self) -> GateResult:
        """Compare with the baselines of its own evaluation."""
        own, margin = _measured(self.release), self.settings.gate.margin
        if own is None:
            return nothing_to_compare("best_baseline", _UNMEASURED)
        excuse = self.no_current
        if self.current is not None:
            recipe, manifest = _recipe(self.current), self.current.manifest
            below = not isinstance(recipe, str) and is_below_baselines(
                manifest.metrics, model=recipe[0].model, margin=margin
            )
            excuse = f"the current release {manifest.release_id} is below its baselines too" if below else ""
        return judge_baseline(own, margin=margin, excuse=excuse)

    def index_recall(self) -> GateResult:
        """Compare the measured recall of the search with its target."""
        recall, target = self.release.manifest.index.get("recall"), self.settings.index.recall_target
        if not isinstance(recall, float | int):
            return nothing_to_compare("index_recall", "the index has no report")
        verdict = recall_result(recall, target=target).verdict
        return GateResult(
            name="index_recall",
            passed=verdict != "block",
            value=float(recall),
            bound=target,
            detail=f"recall {recall:.4f}, [index] recall_target {target:g}"
            + (", a little less" if verdict == "warn" else ""),
        )

    def lists(self, found: list[CheckResult]) -> GateResult:
        """Count the checks of the lists that block."""
        faults = [f"{one.check}: {one.detail}" for one in found if one.verdict == "block"]
        try:
            check_lists(self.release)
        except BrokenReleaseError as error:
            faults.append(str(error))
        detail = faults[0] if faults else f"{len(found)} checks of the lists, none blocks"
        return GateResult(name="lists", passed=not faults, value=len(faults), bound=0, detail=detail)

    def golden_users(self) -> GateResult:
        """Judge the lists of golden users."""
        if not self.home.golden_file.is_file():
            return nothing_to_compare(
                "golden_users", f"no golden users: there is no {self.home.golden_file.name}"
            )
        try:
            current = None if self.current is None else load_engine(self.current, home=self.home)
            found = run_golden(self.home, self._engine(), current)
        except RulesError as error:
            return GateResult(name="golden_users", passed=False, detail=str(error))
        failures = [f"user {one.user}: {failure}" for one in found for failure in one.failures]
        unknown = [f"user {one.user}: {line}" for one in found for line in one.unknown]
        said = failures or [f"{len(found)} golden users are as expected"]
        return GateResult(
            name="golden_users",
            passed=not failures,
            value=len([one for one in found if one.failures]),
            bound=0,
            detail="\n".join([*said, *unknown]),
        )

    def rules_cases(self) -> GateResult:
        """Run the cases of the rules on the candidate."""
        file = self.home.rules_file.with_name(CASES_FILE)
        if not file.is_file():
            return nothing_to_compare("rules_cases", f"no cases: there is no {file.name}")
        try:
            engine = self._engine()
            found = [run_case(case, engine) for case in read_cases(file)]
        except RulesError as error:
            return GateResult(name="rules_cases", passed=False, detail=str(error))
        failures = [f"{one.name}: {failure}" for one in found for failure in one.failures]
        return GateResult(
            name="rules_cases",
            passed=not failures,
            value=len([one for one in found if one.failures]),
            bound=0,
            detail="\n".join(failures) or f"{len(found)} cases passed",
        )

    def _engine(self) -> Engine:
        return released_engine(self.release, home=self.home)

    def smoke_test(self) -> GateResult:
        """Serve the candidate by a process of its own."""
        from recsys_assets.api.serving.smoke_test import smoke_test  # noqa: PLC0415  litestar and granian

        gate = self.settings.gate
        if not gate.smoke_test:
            return nothing_to_compare("smoke_test", "not made: [gate] smoke_test is false")
        found = smoke_test(
            self.release.folder,
            lists_folder=self.home.root,
            users=gate.smoke_users,
            seconds=gate.smoke_seconds,
        )
        return GateResult(
            name="smoke_test",
            passed=not found.wrong,
            value=len(found.wrong),
            bound=0,
            detail=found.in_words(),
        )


def _measured(release: Release) -> ModelOnUsers | None:
    """Return the release's model on its evaluated users; None where nothing was measured, or by an older version."""
    users, recipe = read_evaluated_users(release.folder), _recipe(release)
    if users is None or isinstance(recipe, str) or recipe[0].model not in users.ndcg:
        return None
    return ModelOnUsers(model=recipe[0].model, users=users)


def _recipe(release: Release) -> tuple[ModelSpec, TrainingSettings] | str:
    """Return the model and the settings that a release was trained by; else the reason why they are not known."""
    try:
        spec = ModelChoice.load(release.folder).spec
        return spec, msgspec.convert(release.manifest.settings["training"], TrainingSettings)
    except (OSError, KeyError, msgspec.MsgspecError) as error:
        return f"its choice or settings are not of this version ({error})"


def _same_split(before: Manifest, after: Manifest, one: EvaluatedUsers, other: EvaluatedUsers) -> bool:
    """Return True where both were evaluated on the same days of the same data."""
    days = (one.first_day, one.last_day) == (other.first_day, other.last_day)
    return days and before.lineage == after.lineage
