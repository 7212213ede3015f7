"""The choice of a model on held-out days: every component, the best blends of two, each with its recency.

It never sees the days that the evaluation reports on: it splits the days before them once more by time. A log with
few users to compare on is split at earlier days too, since a choice among hundreds of models by thirty users is luck.
The same data and settings give the same choice: the time allowed is compared with what the sizes foretell, not with
a clock.
"""

from collections.abc import Callable
from itertools import count
from typing import Final

import msgspec
import polars as pl

from recsys_assets import columns as names
from recsys_assets.embeddings.components import COMPONENTS, FittedComponent
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.embeddings.recency import Categories
from recsys_assets.errors import MemoryBudgetError, NothingHeldOutError, TrainingDataError
from recsys_assets.evaluation.held_out import sampled_users, validation_splits
from recsys_assets.evaluation.model_choice import ModelChoice
from recsys_assets.evaluation.model_search import LEAST_USERS, compare, search_space
from recsys_assets.training_settings import TrainingSettings

_LEAST_DAYS: Final = 3
"""Days to train on, to compare on and to evaluate on."""


def choose_model(
    interactions: pl.LazyFrame,
    settings: TrainingSettings,
    *,
    categories: Categories = lambda _: None,
    hides: pl.Expr | None = None,
    on_step: Callable[[int, int], None] = lambda _, __: None,
) -> ModelChoice:
    """Compare the models that the settings allow on held-out days, and choose.

    Args:
        interactions: the columns of the INTERACTIONS contract.
        settings: `model` is what to compare, `score` what is fixed; `held_out_share`, `choice_seconds`, `seed`.
        categories: codes of the categories of items, for the prior of rare ones.
        hides: true for the events that hide an item, see `InteractionMatrix.from_interactions`.
        on_step: called after each component was fitted, with the number done and the number of all.
    """
    space = search_space(settings)
    try:
        splits = list(validation_splits(interactions, settings, hides=hides))
    except NothingHeldOutError as error:
        return _without_comparison(interactions, settings, _not_measured(interactions, error))
    except TrainingDataError as error:
        return _without_comparison(interactions, settings, str(error))
    users = sum(len(split.users()) for split in splits)
    if users < LEAST_USERS:
        return _without_comparison(
            interactions,
            settings,
            f"{users} users touched something new on held-out days, and at least {LEAST_USERS} must: too few to "
            "measure on",
        )
    share = min(_affordable(split.train, settings, space.components, splits=len(splits)) for split in splits)
    sampled = [sampled_users(split, share, seed=settings.seed) for split in splits]
    fitted: list[dict[str, FittedComponent]] = [{} for _ in sampled]
    steps = count(1)
    for name in space.components:
        for split, of_split in zip(sampled, fitted, strict=True):
            try:
                of_split[name] = COMPONENTS[name].fit(split.train, settings)
            except MemoryBudgetError:
                if settings.model != "auto" or name == "ials":
                    raise
            on_step(next(steps), len(splits) * len(space.components))
    codes = [categories(split.train.items) for split in sampled]
    return msgspec.structs.replace(
        compare(sampled, fitted, settings, categories_I=codes).choice(),
        first_held_out_days=[split.first_held_out_day for split in splits],
        user_share=share,
    )


def _not_measured(interactions: pl.LazyFrame, error: NothingHeldOutError) -> str:
    days = interactions.select(pl.col(names.TIMESTAMP).dt.date().n_unique()).collect().item()
    if days < _LEAST_DAYS:
        return f"{days} day{'' if days == 1 else 's'}: no split by time, so nothing was measured"
    return f"{error}; so nothing was measured"


def _without_comparison(interactions: pl.LazyFrame, settings: TrainingSettings, problem: str) -> ModelChoice:
    """Return the model given or, where `auto` cannot measure, one by the size of the log.

    A factorisation learns from users with several items. With few of those it is noise: popular items are listed.
    """
    model = settings.model
    if model == "auto":
        of_user = interactions.filter(pl.col(names.WEIGHT) > 0).group_by(names.USER_ID)
        several = of_user.agg(pl.col(names.ITEM_ID).n_unique()).filter(pl.col(names.ITEM_ID) > 1)
        model = "ials" if several.select(pl.len()).collect().item() >= LEAST_USERS else "popular"
    share = 0.5 if "+" in model else 1.0
    return ModelChoice(spec=ModelSpec(model=model, first_share=share).given(settings.score), problem=problem)


def _affordable(
    matrix: InteractionMatrix, settings: TrainingSettings, components: tuple[str, ...], *, splits: int
) -> float:
    """Return the share of the users that all components can be fitted to in the time allowed, 0-1."""
    foreseen = splits * sum(COMPONENTS[name].seconds(matrix, settings) for name in components)
    return min(1.0, settings.choice_seconds / foreseen) if foreseen else 1.0
