"""The effect of a plan on people's lists and on the quality, before anything is built.

A change of the model is measured on a sample of users, a change of the rules on the current release.
"""

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from recsys_assets.errors import ReleaseError
from recsys_assets.evaluation.changed_lists import ListChanges, changes_of
from recsys_assets.evaluation.recipe_result import RecipeComparison
from recsys_assets.orchestration.planning.build_plan import BuildPlan, ProposedChange
from recsys_assets.orchestration.planning.plan import Staged
from recsys_assets.orchestration.planning.stages import CLEANED
from recsys_assets.release.load import Release, load_current
from recsys_assets.rules.engine.pipeline import Engine
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.last_good_rules import RULES_FILE
from recsys_assets.rules.rules_file import load_engine, rules_source
from recsys_assets.rules.testing.cases import CASES_FILE, read_cases, run_case
from recsys_assets.rules.testing.golden import GoldenResult, run_golden
from recsys_assets.settings import Settings, load_or_default_settings
from recsys_assets.storage.home import Home
from recsys_assets.training_settings import TrainingSettings

_USERS: int = 500
_K: int = 10
_MODEL_STAGES = ("choice", "embeddings")
_DECIDES_MODEL = ("model", "score")
"""Fields of `[training]` that fix the model or parts of it."""


class CaseFailure(msgspec.Struct, frozen=True, kw_only=True):
    """A case of the rules that does not hold."""

    name: str
    """The case."""
    failures: list[str]
    """Expected and found, a line each."""


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """The effect of a plan, as far as it can be known before."""

    recipe: RecipeComparison | None = None
    """Both recipes on the same sample of users; None where the model stays, or no sample was wanted."""
    lists: ListChanges | None = None
    """Lists of the current release by both rules files; None where the rules stay."""
    golden: list[GoldenResult] = []
    """The golden users, by the current release and the proposed rules."""
    cases: int = 0
    """Cases of the rules that were run."""
    failed_cases: list[CaseFailure] = []
    """Those that do not hold by the proposed rules."""
    by_present_model: bool = False
    """Golden users and cases are by the present model, and the plan replaces it; the gate judges the new one."""
    notes: list[str] = []
    """Lines on what could not be known, and why."""


def preview(home: Home, staged: Staged, proposal: ProposedChange, *, seconds: float) -> Preview:
    """Measure the effect of a plan.

    Args:
        home: the real home.
        staged: the plan and its staged home.
        proposal: the proposed files.
        seconds: time of the sample of users, foreseen from its sizes; 0 takes none.

    Raises:
        RulesError: the proposed rules, golden users or cases are not valid.
    """
    try:
        release = load_current(home.releases)
    except ReleaseError as error:
        return Preview(notes=[f"nothing to compare with: {error}"])
    found = _of_rules(home, release, proposal)
    if not any(step.stage in _MODEL_STAGES for step in staged.plan.steps):
        return found
    found = msgspec.structs.replace(found, by_present_model=True)
    if not seconds:
        return msgspec.structs.replace(found, notes=[*found.notes, "no sample was wanted, so no quality"])
    if staged.plan.not_staged or staged.plan.left_out:
        why = "days are not staged" if staged.plan.not_staged else "the build stops before the model"
        return msgspec.structs.replace(found, notes=[*found.notes, f"{why}, so no quality"])
    found = msgspec.structs.replace(
        found, notes=[*found.notes, *limits_of_sample(staged.settings.training, staged.plan)]
    )
    return msgspec.structs.replace(found, recipe=_of_recipe(home, release, staged, seconds=seconds))


def limits_of_sample(training: TrainingSettings, plan: BuildPlan) -> list[str]:
    """Return a line where the build may end with another model than the one on the sample."""
    if training.model == "auto" and any(step.stage == "choice" for step in plan.steps):
        return [
            "the sample keeps the present model; the build compares all models again, and may choose another"
        ]
    return []


def _of_rules(home: Home, release: Release, proposal: ProposedChange) -> Preview:
    proposed = proposal.rules_file or rules_source(home)
    released = release.folder / RULES_FILE
    same = released.is_file() and proposed.is_file() and _checksum(released) == _checksum(proposed)
    cases_file = proposed.with_name(CASES_FILE)
    if not cases_file.is_file():
        cases_file = home.rules_file.with_name(CASES_FILE)
    if same and not cases_file.is_file() and not home.golden_file.is_file():
        return Preview()  # nothing to compare: opening rules reads the facts of all items
    before = load_engine(release, home=home, path=released if released.is_file() else None)
    after = before if same else load_engine(release, home=home, path=proposed)
    results = [run_case(case, after) for case in read_cases(cases_file)] if cases_file.is_file() else []
    failed = [CaseFailure(name=one.name, failures=one.failures) for one in results if one.failures]
    return Preview(
        lists=None if same else _lists(release, before, after),
        golden=run_golden(home, after, before),
        cases=len(results),
        failed_cases=failed,
    )


def _checksum(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _lists(release: Release, before: Engine, after: Engine) -> ListChanges:
    ids = release.users
    drawn = np.sort(np.random.default_rng(0).choice(len(ids), min(_USERS, len(ids)), replace=False)).tolist()
    titles = partial(_title, release)

    def of(engine: Engine) -> list[list[str]]:
        pipeline = engine.scenario(None)
        answers = (pipeline.recommend(Request(k=_K, user_id=ids[num], user_num=num)).nums for num in drawn)
        return [[release.items[item] for item in nums] for nums in answers]

    names = [ids[num] for num in drawn]
    return changes_of(names, of(before), of(after), k=_K, titles=(titles, titles))


def _title(release: Release, item_id: str) -> str:
    num = release.items.num(item_id)
    return "" if num is None else release.titles[num]


def _of_recipe(home: Home, release: Release, staged: Staged, *, seconds: float) -> RecipeComparison:
    """Compare the recipe of the current release with the proposed one, each on its own days."""
    from recsys_assets.evaluation.model_choice import ModelChoice  # noqa: PLC0415
    from recsys_assets.evaluation.recipe_comparison import compare_recipes  # noqa: PLC0415  torch
    from recsys_assets.evaluation.recipe_sample import Recipe  # noqa: PLC0415
    from recsys_assets.interactions.wish_rule import hides_item  # noqa: PLC0415
    from recsys_assets.lake.item_catalogue import read_catalogue  # noqa: PLC0415
    from recsys_assets.orchestration.fingerprints import Inputs  # noqa: PLC0415

    def recipe(place: Home, settings: Settings, training: TrainingSettings, *, given: bool) -> Recipe:
        store = Inputs(place, settings).interaction_store
        return Recipe(
            interactions=store.scan(store.days()),
            training=training,
            spec=ModelChoice.load(release.folder).spec if given else None,
            catalogue=read_catalogue(place.catalogue) if place.catalogue.exists() else None,
            hides=hides_item(settings.interactions),
        )

    training, present = staged.settings.training, _training_of(release)
    stays = all(getattr(training, name) == getattr(present, name) for name in _DECIDES_MODEL)
    after = recipe(staged.home, staged.settings, training, given=stays)
    days_change = any(step.stage == CLEANED for step in staged.plan.steps)
    before = recipe(
        home if days_change else staged.home, load_or_default_settings(home), present, given=stays
    )
    if not days_change:
        before = replace(before, interactions=after.interactions, catalogue=after.catalogue)
    return compare_recipes(before, after, seconds=seconds, seed=0)


def _training_of(release: Release) -> TrainingSettings:
    return msgspec.convert(release.manifest.settings["training"], TrainingSettings, strict=False)
