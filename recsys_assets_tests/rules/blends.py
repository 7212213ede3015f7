"""A model of all parts: weighted factors, a prior, related items, things seen that are no wish, a new item."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from recsys_assets.embeddings.factorisation import Factorisation
from recsys_assets.embeddings.fold_in import FoldIn
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, popularity
from recsys_assets.embeddings.model_files import fold_in_equations, save_embeddings
from recsys_assets.embeddings.score_parts import ScoreParts
from recsys_assets.embeddings.score_recipe import FactorSlice, Prior, RelatedRows, ScoreRecipe
from recsys_assets.release.load import Release

WEIGHT, CONSTANT, HALF_LIFE = 0.8, 0.5, 10.0
NEW, KNOWN = 7, 11
"""Item numbers: one that is said to be new, and the known one it is like."""


def save_blend(
    folder: Path, *, matrix: InteractionMatrix, factorisation: Factorisation, factor_weight: float = WEIGHT
) -> None:
    """Write the embeddings of a blend; the first user has wishes no more, but has seen them all the same."""
    rng = np.random.default_rng(0)
    users, items = matrix.shape
    size = factorisation.item_embeddings.shape[1]
    name = factorisation.settings.objective
    coordinates_I = np.log1p(popularity(matrix)).astype(np.float32)
    items_ID = np.column_stack([factorisation.item_embeddings, coordinates_I - coordinates_I.mean()])
    users_UD = np.column_stack(
        [np.float32(factor_weight) * factorisation.user_embeddings, np.full(users, CONSTANT, np.float32)]
    )
    recipe = ScoreRecipe(
        model=f"{name}+item_item",
        factors={name: FactorSlice(first=0, end=size, weight=factor_weight)},
        prior=Prior(half_life_days=30.0, weight=CONSTANT, user_coordinate=CONSTANT),
        related_weight=1.0,
        own_half_life_days=HALF_LIFE,
        purchases=True,
    )
    seen = [np.unique([*_row(matrix, user), *rng.choice(items, 4)]) for user in range(users)]
    like_items = np.full(items, -1, dtype=np.int32)
    like_items[NEW] = KNOWN
    save_embeddings(
        folder,
        matrix=matrix,
        factorisation=replace(factorisation, user_embeddings=users_UD, item_embeddings=items_ID),
        parts=ScoreParts(
            recipe=recipe,
            fold_in=FoldIn(
                item_embeddings=items_ID,
                recipe=recipe,
                equations={
                    name: fold_in_equations(matrix, factorisation.settings, factorisation.item_embeddings)
                },
            ),
            related=RelatedRows(
                items_IN=np.stack([rng.choice(items, 6, replace=False) for _ in range(items)]).astype(
                    np.int32
                ),
                weights_IN=rng.normal(scale=0.4, size=(items, 6)).astype(np.float32),
            ),
            like_items=like_items,
        ),
        seen=(
            np.concatenate([[0], np.cumsum([len(nums) for nums in seen])]).astype(np.int64),
            np.concatenate(seen).astype(np.int32),
        ),
    )


def _row(matrix: InteractionMatrix, user: int) -> np.ndarray:
    return matrix.item_nums[matrix.indptr[user] : matrix.indptr[user + 1]]


def scores_of(release: Release, x_D: np.ndarray, wishes: dict[int, float]) -> np.ndarray:
    """The score of every item by the formula: slow and obvious, in float64."""
    scores_I = release.item_embeddings.astype(np.float64) @ x_D.astype(np.float64)
    for wish, weight in wishes.items():
        pairs = zip(release.score.related.items_IN[wish], release.score.related.weights_IN[wish], strict=True)
        for item, related in pairs:
            if item >= 0:
                scores_I[item] += weight * float(related)
    return scores_I


def wishes_of(release: Release, user: int, since: tuple[int, ...] = ()) -> dict[int, float]:
    """Item number -> weight of every wish of a user."""
    start, end = release.history_indptr[user : user + 2]
    days = release.history_days[start:end]
    pairs = zip(release.history_items[start:end].tolist(), days.tolist(), strict=True)
    found = {num: 0.5 ** ((max(days) - day) / HALF_LIFE) for num, day in pairs}
    return found | dict.fromkeys(since, 1.0)


def best(scores_I: np.ndarray, hidden: set[int], k: int) -> list[int]:
    """The k best items that are not hidden."""
    kept = [num for num in range(len(scores_I)) if num not in hidden]
    return sorted(kept, key=lambda num: (-scores_I[num], num))[:k]
