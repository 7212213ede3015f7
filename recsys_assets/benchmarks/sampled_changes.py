"""Ten changes of a recipe, each compared on a sample of the users and on all of them, to see if the first foretells.

`recsys bench plan` counts the changes whose difference on all users is in the interval of the sample's.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import msgspec
import polars as pl

from recsys_assets.embeddings.factorisation import with_strengths
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_spec import ALL_TIME, ModelSpec
from recsys_assets.evaluation.recipe_comparison import compare_recipes
from recsys_assets.evaluation.recipe_result import MetricChange
from recsys_assets.evaluation.recipe_sample import Recipe
from recsys_assets.training_settings import TrainingSettings

_NO_LIMIT: Final = 1e9
"""Seconds."""
Strengths = TrainingSettings
"""Settings with the strengths that the density chooses."""

CHANGES: Final[dict[str, Callable[[Strengths], dict[str, Any]]]] = {
    "regularization x 3": lambda found: {"regularization": 3 * found.regularization},
    "regularization / 3": lambda found: {"regularization": found.regularization / 3},
    "unobserved_weight x 4": lambda found: {"unobserved_weight": 4 * found.unobserved_weight},
    "unobserved_weight / 4": lambda found: {"unobserved_weight": found.unobserved_weight / 4},
    "epochs = 1": lambda _: {"epochs": 1},
    "embedding_size = 8": lambda _: {"embedding_size": 8},
    "count_exponent = 1": lambda _: {"count_exponent": 1.0},
    "half_life_days = 60": lambda _: {"half_life_days": 60.0},
}
"""Name -> what it sets in `[training]`."""
SCORE_CHANGES: Final[dict[str, dict[str, Any]]] = {
    "prior_weight = 0": {"prior_weight": 0.0},
    "popularity of all time": {"model": "popular", "prior_half_life_days": ALL_TIME},
}
"""Name -> what it sets in the model's spec."""


def sample_against_full(
    interactions: pl.LazyFrame,
    spec: ModelSpec,
    training: TrainingSettings,
    *,
    catalogue: pl.DataFrame | None = None,
    hides: pl.Expr | None = None,
    share: float = 0.5,
    on_step: Callable[[int, int], None] = lambda _, __: None,
) -> dict[str, Any]:
    """Compare ten changes on a sample and on all users; each change has a sample of its own.

    Args:
        interactions: the columns of the INTERACTIONS contract, collected.
        spec: the present model, with a factorisation of iALS.
        training: the present settings.
        catalogue: the columns of the ITEM_CATALOGUE contract, where there is one.
        hides: true for the events that hide an item.
        share: share of the users in the samples, 0-1.
        on_step: called after each change with the number done and the number of all.

    Returns:
        `share`, `within`: number of changes whose difference on all users is in the sample's interval, `of` all,
        and `changes`: NDCG@10 differences of each.
    """
    present = Recipe(
        interactions=interactions, training=training, spec=spec, catalogue=catalogue, hides=hides
    )
    rows = []
    changes = proposals(present)
    for seed, (name, proposed) in enumerate(changes.items()):
        full = _difference(present, proposed, share=1.0, seed=seed)
        sample = _difference(present, proposed, share=share, seed=seed)
        rows.append(
            {
                "change": name,
                "full": full.difference,
                "sample": sample.difference,
                "low": sample.low,
                "high": sample.high,
                "within": sample.low <= full.difference <= sample.high,
            }
        )
        on_step(seed + 1, len(changes))
    return {"share": share, "within": sum(row["within"] for row in rows), "of": len(rows), "changes": rows}


def proposals(present: Recipe) -> dict[str, Recipe]:
    """Return name -> the recipe changed, of the ten changes."""
    assert present.spec is not None  # noqa: S101  the caller gives it
    matrix = InteractionMatrix.from_interactions(present.interactions, hides=present.hides)
    found = with_strengths(present.training, matrix)
    changed = msgspec.structs.replace
    of_training = {name: changed(present.training, **change(found)) for name, change in CHANGES.items()}
    of_score = {name: changed(present.spec, **change) for name, change in SCORE_CHANGES.items()}
    return {name: replace(present, training=training) for name, training in of_training.items()} | {
        name: replace(present, spec=spec) for name, spec in of_score.items()
    }


def _difference(present: Recipe, proposed: Recipe, *, share: float, seed: int) -> MetricChange:
    found = compare_recipes(
        present, proposed, seconds=_NO_LIMIT, seed=seed, most_share=share, with_lists=False
    )
    return found.metrics[0]
