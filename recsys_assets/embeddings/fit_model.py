"""A model from its spec: components fitted, weighed and put together into the arrays that are served.

Shapes: U users, I items, D dimensions served (the factors, then the prior), n entries; R users scored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from recsys_assets.embeddings.components import (
    COMPONENTS,
    PLAIN,
    FittedComponent,
    Run,
    ScoreUsers,
    item_vectors,
    own_weights,
    user_vectors,
)
from recsys_assets.embeddings.factorisation import Factorisation
from recsys_assets.embeddings.fold_in import FoldIn
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.item_item import RelatedItems, by_related_items
from recsys_assets.embeddings.model_files import fold_in_equations
from recsys_assets.embeddings.model_spec import TIE_BREAK, ModelSpec
from recsys_assets.embeddings.recency import log_popularity
from recsys_assets.embeddings.score_parts import ScoreParts
from recsys_assets.embeddings.score_recipe import FactorSlice, Prior, RelatedRows, ScoreRecipe
from recsys_assets.storage.arrays import Float32, Int64
from recsys_assets.training_settings import TrainingSettings

_SPREAD_USERS: Final = 256
"""Users, evenly spaced, that the spread of a component's scores is taken from."""
_LIKENESS: Final = "ials"
"""The factorisation that gives items their vectors where no component of the model is one."""


@dataclass(frozen=True, kw_only=True)
class FittedModel:
    """A model as it is served."""

    matrix: InteractionMatrix
    """The pairs that it was fitted to."""
    factorisation: Factorisation
    """(U, D) and (I, D) as served, with the losses and settings of the factorisation that they came from."""
    parts: ScoreParts
    """The recipe, fold-in and related items."""

    def score(self) -> ScoreUsers:
        """Return the score that is served, as a function of user numbers."""
        users_UD = torch.from_numpy(self.factorisation.user_embeddings)
        items_DI = torch.from_numpy(self.factorisation.item_embeddings).T
        rows = self.parts.related
        if rows is None:
            return lambda user_nums: users_UD[user_nums] @ items_DI
        related = by_related_items(
            self.matrix,
            RelatedItems(items=rows.items_IN, weights=rows.weights_IN),
            values_n=own_weights(self.matrix, self.parts.recipe.own_half_life_days),
        )

        def score(user_nums: Int64) -> Tensor:
            return related(user_nums).addmm_(users_UD[user_nums], items_DI)

        return score


def fit_model(
    matrix: InteractionMatrix,
    spec: ModelSpec,
    settings: TrainingSettings,
    *,
    categories_I: Int64 | None = None,
    purchases: bool = False,
    run: Run = PLAIN,
    fitted: dict[str, FittedComponent] | None = None,
) -> FittedModel:
    """Fit the components of a model and put them together.

    Args:
        matrix: the observed pairs.
        spec: components, shares and recency.
        settings: of the training.
        categories_I: code of each item's category for the prior of rare items; see `log_popularity`.
        purchases: whether every wish is a purchase; words about the scores depend on it.
        run: circumstances of the factorisation.
        fitted: components that were fitted to the same matrix already, by name.

    Raises:
        TrainingDataError: nothing finite can be fitted.
        MemoryBudgetError: fitting would need more memory than its budget.
    """
    parts = dict(fitted or {})
    vectors = _vectors_of(spec)
    for name in components_of(spec):
        if name not in parts:
            parts[name] = COMPONENTS[name].fit(matrix, settings, run)
    own_n = own_weights(matrix, spec.own_half_life_days)
    factors = {name: parts[name] for name in vectors}
    users = {name: user_vectors(one, matrix, own_n) for name, one in factors.items()}
    weights = score_weights(matrix, spec, parts, own_n, users=users)
    prior_I = log_popularity(matrix, half_life_days=spec.prior_half_life_days, categories_I=categories_I)
    users_UD, items_ID, slices = _side_by_side(factors, weights, users)
    users_UD, items_ID, coordinate = _with_prior(users_UD, items_ID, weights["prior"] * prior_I)
    related = next((parts[name].related for name in spec.components if parts[name].related is not None), None)
    recipe = ScoreRecipe(
        model=spec.model,
        factors=slices,
        prior=Prior(
            half_life_days=spec.prior_half_life_days, weight=weights["prior"], user_coordinate=coordinate
        ),
        related_weight=None if related is None else weights["item_item"],
        own_half_life_days=spec.own_half_life_days,
        purchases=purchases,
    )
    return _assembled(matrix, factors, (users_UD, items_ID), recipe, related)


def components_of(spec: ModelSpec) -> tuple[str, ...]:
    """Return the names of the components that `fit_model` fits: the model's, and one for the items' likeness."""
    return tuple(dict.fromkeys((*spec.components, *_vectors_of(spec))))


def _vectors_of(spec: ModelSpec) -> tuple[str, ...]:
    """Return the factorisations that give the vectors: those of the model, or the one for likeness."""
    return tuple(name for name in spec.components if name in {"ials", "softmax"}) or (_LIKENESS,)


def score_weights(
    matrix: InteractionMatrix,
    spec: ModelSpec,
    fitted: dict[str, FittedComponent],
    own_n: Float32 | None,
    *,
    users: Mapping[str, Float32],
) -> dict[str, float]:
    """Return the weight that multiplies each component's scores, and `prior`, the weight of log popularity.

    All are divided by the weight of the first component with a score, so that its scores are served as they are.
    `users` are the users' vectors of each factorisation, (U, D): solving them takes as long as an epoch.
    """
    spreads = {
        name: spread(fitted[name].scores(matrix, own_n, users_UD=users.get(name)), matrix)
        for name in spec.components
        if fitted[name].factors is not None or fitted[name].related is not None
    }
    weights = {name: spec.shares[name] / of_it for name, of_it in spreads.items()}
    unit = next((weight for weight in weights.values() if weight > 0), 1.0)
    found = {name: weight / unit for name, weight in weights.items()}
    prior = spec.prior_weight + TIE_BREAK if spreads else 1.0
    return {**found, "prior": prior / unit}


def spread(score: ScoreUsers, matrix: InteractionMatrix) -> float:
    """Return the standard deviation of the scores of all items over a sample of users with wishes, > 0."""
    users = np.flatnonzero(np.diff(matrix.indptr))
    chosen = users[np.linspace(0, len(users) - 1, min(len(users), _SPREAD_USERS)).astype(np.int64)]
    size = max(1, (1 << 22) // len(matrix.items))
    total = squares = 0.0
    for first in range(0, len(chosen), size):
        scores = score(chosen[first : first + size]).double()
        total += float(scores.sum())
        squares += float(scores.square().sum())
    count = len(chosen) * len(matrix.items)
    found = max(squares / count - (total / count) ** 2, 0.0) ** 0.5
    return float(found) or 1.0


def _side_by_side(
    factors: dict[str, FittedComponent], weights: dict[str, float], users: Mapping[str, Float32]
) -> tuple[Float32, Float32, dict[str, FactorSlice]]:
    """Return the users' and items' vectors of all factorisations, the users' multiplied by the weights."""
    sides_U, sides_I, slices, first = [], [], {}, 0
    for name, one in factors.items():
        weight = weights.get(name, 0.0)
        sides_U.append(users[name] * np.float32(weight))
        sides_I.append(item_vectors(one))
        end = first + sides_I[-1].shape[1]
        slices[name] = FactorSlice(first=first, end=end, weight=weight)
        first = end
    return np.hstack(sides_U), np.hstack(sides_I), slices


def _with_prior(users_UD: Float32, items_ID: Float32, prior_I: np.ndarray) -> tuple[Float32, Float32, float]:
    """Return both sides with the prior as the last dimension, and the users' coordinate in it.

    The coordinate is the mean length of the users' vectors, so that the prior lengthens an item's vector by no more
    than it changes its scores, and a search ordered by length stays short.
    """
    coordinate = float(np.linalg.norm(users_UD, axis=1).mean()) or 1.0
    last_U = np.full((len(users_UD), 1), coordinate, np.float32)
    last_I = (prior_I / coordinate).astype(np.float32)[:, None]
    return np.hstack([users_UD, last_U]), np.hstack([items_ID, last_I]), coordinate


def _assembled(
    matrix: InteractionMatrix,
    factors: dict[str, FittedComponent],
    vectors: tuple[Float32, Float32],
    recipe: ScoreRecipe,
    related: RelatedItems | None,
) -> FittedModel:
    users_UD, items_ID = vectors
    runs = [one.factors for one in factors.values() if one.factors is not None]
    first = runs[0]
    equations = {
        name: fold_in_equations(matrix, run.settings, item_vectors(factors[name]))
        for name, run in zip(factors, runs, strict=True)
    }
    weight = np.float32(recipe.related_weight or 0)
    return FittedModel(
        matrix=matrix,
        factorisation=Factorisation(
            user_embeddings=users_UD,
            item_embeddings=items_ID,
            confidences=first.confidences,
            losses=first.losses,
            seconds=sum(run.seconds for run in runs),
            settings=first.settings,
            memory_mb=first.memory_mb,
        ),
        parts=ScoreParts(
            recipe=recipe,
            fold_in=FoldIn(item_embeddings=items_ID, recipe=recipe, equations=equations),
            related=None
            if related is None
            else RelatedRows(items_IN=related.items, weights_IN=related.weights * weight),
        ),
    )
