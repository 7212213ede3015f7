"""The model that a build will choose, as far as the last choice and a sample foretell it, and its costs.

A build compares all models again where `[training] model` is `auto`, and that takes longer than a plan may. But the
last choice says how good each of them was, and the sample of the plan how much better or worse the present one gets.
"""

from typing import Final

import msgspec

from recsys_assets.evaluation.model_choice import ComparedModel, ModelChoice
from recsys_assets.evaluation.recipe_result import RecipeComparison
from recsys_assets.orchestration.planning.build_plan import BuildPlan
from recsys_assets.orchestration.planning.stage_work import BY_MODEL, DEFAULT_MODEL, Work
from recsys_assets.storage.home import Home
from recsys_assets.training_settings import TrainingSettings

_WORTH: Final = 0.015
"""Share of NDCG by which a blend has to be better than the best single component; the choice takes its own error."""


def present_model(home: Home) -> str:
    """Return the model of the last choice; the default's where there is none."""
    found = _choice(home)
    return DEFAULT_MODEL if found is None else found.spec.model


def expected_model(home: Home, training: TrainingSettings, recipe: RecipeComparison | None) -> str:
    """Return the model that a build will choose by these settings.

    Args:
        home: the home, with its last choice.
        training: the settings as they will be.
        recipe: what the sample shows of the present model; None where no sample was taken.
    """
    if training.model != "auto":
        return training.model
    choice = _choice(home)
    if choice is None or recipe is None or not recipe.metrics or not recipe.metrics[0].before:
        return present_model(home)
    ratio = recipe.metrics[0].after / recipe.metrics[0].before
    present = set(choice.spec.components)
    foreseen = {one.spec.model: one.ndcg * _changed(one, present, ratio) for one in choice.compared}
    single = max((model for model in foreseen if "+" not in model), key=foreseen.__getitem__, default="")
    best = max(foreseen, key=foreseen.__getitem__, default=choice.spec.model)
    if not single or foreseen[best] > (1 + _WORTH) * foreseen[single]:
        return best
    return single


def by_model(plan: BuildPlan, *, training: TrainingSettings, before: str, after: str) -> BuildPlan:
    """Return a plan that was foreseen for one model, foreseen for another."""
    was, now = Work(training=training, model=before), Work(training=training, model=after)
    steps = [
        msgspec.structs.replace(
            step, seconds=round(step.seconds * now.of(step.stage) / was.of(step.stage), 1)
        )
        if step.stage in BY_MODEL
        else step
        for step in plan.steps
    ]
    more = sum(step.seconds for step in steps) - sum(step.seconds for step in plan.steps)
    return msgspec.structs.replace(plan, steps=steps, seconds=round(plan.seconds + more, 1))


def _choice(home: Home) -> ModelChoice | None:
    try:
        return ModelChoice.load(home.artifact("choice"))
    except (OSError, msgspec.MsgspecError):
        return None


def _changed(one: ComparedModel, present: set[str], ratio: float) -> float:
    """Return the factor of a model's NDCG: components that the present model lacks stay as they were."""
    shared = sum(share for name, share in one.spec.shares.items() if name in present)
    return 1 + (ratio - 1) * shared
