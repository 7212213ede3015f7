"""The embeddings' folder: plain arrays that a release copies and the API memory-maps."""

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from recsys_assets.embeddings.factorisation import Factorisation, Start, activity_scale
from recsys_assets.embeddings.fold_in import FoldIn, FoldInEquations
from recsys_assets.embeddings.interaction_matrix import (
    HALF_LIFE_DAYS,
    InteractionMatrix,
    by_popularity,
    popularity,
)
from recsys_assets.embeddings.score_parts import ScoreParts
from recsys_assets.embeddings.score_recipe import ScoreRecipe
from recsys_assets.storage.arrays import EPOCH, Float32, Int32, Int64, map_array
from recsys_assets.storage.string_table import Vocabulary
from recsys_assets.training_settings import TrainingSettings

_ARRAYS: Final = (
    "user_embeddings",
    "item_embeddings",
    "history_indptr",
    "history_items",
    "history_days",
    "history_weights",
    "seen_indptr",
    "seen_items",
    "popular_items",
    "popular_scores",
)


@dataclass(frozen=True, kw_only=True)
class Embeddings:
    """A saved model, memory-mapped. Shapes: U users, I items, n wishes, s seen pairs, D embedding_size."""

    users: Vocabulary
    """U ids."""
    items: Vocabulary
    """I ids."""
    user_embeddings: Float32
    """(U, D)."""
    item_embeddings: Float32
    """(I, D)."""
    history_indptr: Int64
    """Where each user's history, the wishes, starts, U + 1."""
    history_items: Int32
    """Item numbers, most recent first within a user, n."""
    history_days: Int32
    """Day of the last event with each, days since 1970-01-01, n."""
    history_weights: Float32
    """Confidence in each, mean 1, n."""
    seen_indptr: Int64
    """Where each user's seen items start, U + 1."""
    seen_items: Int32
    """Item numbers that are not recommended to the user again: wishes and all else seen, ascending, s."""
    popular_items: Int32
    """Item numbers, most popular first, I."""
    popular_scores: Float32
    """Their recency-weighted popularity, I."""
    score: ScoreParts
    """The parts of the score beside the vectors."""
    training: dict[str, Any]
    """`training.json`: settings, losses, seconds, memory, counts, through_day."""


def save_embeddings(
    folder: Path,
    *,
    matrix: InteractionMatrix,
    factorisation: Factorisation,
    parts: ScoreParts | None = None,
    seen: tuple[Int64, Int32] | None = None,
    notes: dict[str, Any] | None = None,
) -> None:
    """Write every array of `Embeddings` and `training.json` into `folder`, which is made where it is missing.

    The bytes depend on the matrix and the factorisation only, but for `training.json`, which also holds the wall
    time.

    Args:
        folder: files in it are overwritten, so give a new folder and put it in place afterwards.
        matrix: the matrix that was factorised.
        factorisation: the result of the training.
        parts: the parts of the score beside the vectors; None: the factorisation is all of it.
        seen: `seen_indptr` and `seen_items`; None: the pairs of the matrix.
        notes: further entries of `training.json`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    matrix.users.save(folder, "users")
    matrix.items.save(folder, "items")
    recent_first = np.lexsort((matrix.item_nums, -matrix.last_day, matrix.user_nums()))
    prior = None if parts is None else parts.recipe.prior
    scores = popularity(matrix, half_life_days=HALF_LIFE_DAYS if prior is None else prior.half_life_days)
    popular = by_popularity(scores)
    arrays: dict[str, npt.NDArray[Any]] = {
        "user_embeddings": factorisation.user_embeddings,
        "item_embeddings": factorisation.item_embeddings,
        "history_indptr": matrix.indptr,
        "history_items": matrix.item_nums[recent_first],
        "history_days": matrix.last_day[recent_first],
        "history_weights": factorisation.confidences[recent_first],
        "seen_indptr": matrix.indptr if seen is None else seen[0],
        "seen_items": matrix.item_nums if seen is None else seen[1],
        "popular_items": popular,
        "popular_scores": scores[popular].astype(np.float32),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    (parts or parts_of_one(matrix, factorisation)).save(folder)
    training = {
        "settings": msgspec.to_builtins(factorisation.settings),
        "losses": factorisation.losses,
        "seconds": factorisation.seconds,
        **factorisation.memory_mb,
        "users": len(matrix.users),
        "items": len(matrix.items),
        "entries": matrix.entries,
        "through_day": (EPOCH + timedelta(days=matrix.through_day)).isoformat(),
        **(notes or {}),
    }
    (folder / "training.json").write_text(json.dumps(training, indent=2) + "\n", encoding="utf-8")


def parts_of_one(matrix: InteractionMatrix, factorisation: Factorisation) -> ScoreParts:
    """Return the parts of a score that is the inner product of one factorisation's vectors."""
    items_ID, settings = factorisation.item_embeddings, factorisation.settings
    recipe = ScoreRecipe.of_one(settings.objective, items_ID.shape[1])
    equations = fold_in_equations(matrix, settings, items_ID)
    return ScoreParts(
        recipe=recipe,
        fold_in=FoldIn(item_embeddings=items_ID, recipe=recipe, equations={settings.objective: equations}),
    )


def fold_in_equations(
    matrix: InteractionMatrix, settings: TrainingSettings, items_ID: Float32
) -> FoldInEquations:
    """Return the equations that fold users into one factorisation: its settings and item vectors, (I, D)."""
    return FoldInEquations(
        gram_DD=settings.unobserved_weight * (items_ID.T @ items_ID),
        items=len(items_ID),
        unobserved_weight=settings.unobserved_weight,
        regularization=settings.regularization,
        frequency_exponent=settings.frequency_exponent,
        activity_exponent=settings.activity_exponent,
        activity_scale=activity_scale(np.diff(matrix.indptr), settings.activity_exponent),
    )


def load_embeddings(folder: Path) -> Embeddings:
    """Memory-map the files that `save_embeddings` wrote.

    Raises:
        FileNotFoundError: a file is missing.
        BrokenReleaseError: the recipe of the score is missing.
    """
    arrays = {name: map_array(folder / f"{name}.npy") for name in _ARRAYS}
    return Embeddings(
        users=Vocabulary.load(folder, "users"),
        items=Vocabulary.load(folder, "items"),
        score=ScoreParts.load(folder, arrays["item_embeddings"]),
        training=json.loads((folder / "training.json").read_text(encoding="utf-8")),
        **arrays,
    )


def last_trained(
    folder: Path, matrix: InteractionMatrix, settings: TrainingSettings, *, component: str
) -> Start | None:
    """Return the embeddings in `folder` to go on from; None where `warm_start_epochs` is 0 or none fit.

    By default nothing is taken over: a start makes the result depend on the trainings before it.
    """
    if settings.warm_start_epochs == 0 or not (folder / "training.json").is_file():
        return None
    return start_from(
        load_embeddings(folder),
        users=matrix.users,
        items=matrix.items,
        component=component,
        embedding_size=settings.embedding_size,
    )


def start_from(
    earlier: Embeddings, *, users: Vocabulary, items: Vocabulary, component: str, embedding_size: int
) -> Start | None:
    """Return a factorisation's earlier embeddings in the numbering of `users` and `items`.

    None where it has no part in the earlier model, or another size. New ids are zero. The first half-step of their
    side solves them from their history given the known ones, which is a fold-in.
    """
    part = earlier.score.recipe.factors.get(component)
    if part is None or not part.weight:
        return None
    popularity_dimension = embedding_size - (part.end - part.first)
    if popularity_dimension != (component == "softmax"):
        return None
    sides = (
        carried(earlier.user_embeddings[:, part.first : part.end] / part.weight, earlier.users, users),
        carried(earlier.item_embeddings[:, part.first : part.end], earlier.items, items),
    )
    users_UD, items_ID = (np.pad(side, ((0, 0), (0, popularity_dimension))) for side in sides)
    return Start(user_embeddings=users_UD, item_embeddings=items_ID)


def carried(embeddings: Float32, earlier: Vocabulary, wanted: Vocabulary) -> Float32:
    """Return vectors in the numbering of `wanted`, float32; those of ids that `earlier` lacks are zero."""
    nums = earlier.nums(list(wanted))
    found = np.zeros((len(wanted), embeddings.shape[1]), dtype=np.float32)
    found[nums >= 0] = embeddings[nums[nums >= 0]]
    return found
