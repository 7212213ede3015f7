"""The embeddings' folder: plain arrays that a release copies and the API memory-maps."""

import json
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from recsys_assets.embeddings.fold_in import FoldIn
from recsys_assets.embeddings.popularity import by_popularity, popularity
from recsys_assets.embeddings.strengths import activity_scale
from recsys_assets.storage.string_table import Vocabulary

if TYPE_CHECKING:
    from recsys_assets.embeddings.ials import Factorisation
    from recsys_assets.embeddings.matrix import InteractionMatrix


@dataclass(frozen=True, kw_only=True)
class Embeddings:
    """A saved factorisation, memory-mapped. Shapes: U users, I items, n pairs, D embedding_size."""

    users: Vocabulary
    """U ids."""
    items: Vocabulary
    """I ids."""
    user_embeddings: npt.NDArray[np.float32]
    """(U, D)."""
    item_embeddings: npt.NDArray[np.float32]
    """(I, D)."""
    history_indptr: npt.NDArray[np.int64]
    """Where each user's history starts, U + 1."""
    history_items: npt.NDArray[np.int32]
    """Item numbers, most recent first within a user, n."""
    history_days: npt.NDArray[np.int32]
    """Day of the last event with each, days since 1970-01-01, n."""
    history_weights: npt.NDArray[np.float32]
    """Confidence in each, mean 1, n."""
    popular_items: npt.NDArray[np.int32]
    """Item numbers, most popular first, I."""
    popular_scores: npt.NDArray[np.float32]
    """Their recency-weighted popularity, I."""
    fold_in: FoldIn
    """Embeds users and sessions without retraining."""
    training: dict[str, Any]
    """`training.json`: settings, losses, seconds, memory, counts, through_day."""


def save_embeddings(
    folder: Path,
    *,
    matrix: "InteractionMatrix",
    factorisation: "Factorisation",
    notes: dict[str, Any] | None = None,
) -> None:
    """Write every array of `Embeddings` and `training.json` into `folder`, made where it isn't there.

    The bytes depend on the matrix and the factorisation only, but for `training.json`, which
    holds the wall time too.

    Args:
        folder: where to; files there are overwritten, so give a new folder and swap it in.
        matrix: what was factorised.
        factorisation: what training found.
        notes: what else `training.json` should say, e.g. predicted and measured memory.
    """
    folder.mkdir(parents=True, exist_ok=True)
    matrix.users.save(folder, "users")
    matrix.items.save(folder, "items")
    recent_first = np.lexsort((matrix.item_nums, -matrix.last_day, matrix.user_nums()))
    scores = popularity(matrix)
    popular = by_popularity(scores)
    arrays: dict[str, npt.NDArray[Any]] = {
        "user_embeddings": factorisation.user_embeddings,
        "item_embeddings": factorisation.item_embeddings,
        "history_indptr": matrix.indptr,
        "history_items": matrix.item_nums[recent_first],
        "history_days": matrix.last_day[recent_first],
        "history_weights": factorisation.confidences[recent_first],
        "popular_items": popular,
        "popular_scores": scores[popular].astype(np.float32),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    items_ID, settings = factorisation.item_embeddings, factorisation.settings
    FoldIn(
        item_embeddings=items_ID,
        gram_DD=settings.unobserved_weight * (items_ID.T @ items_ID),
        unobserved_weight=settings.unobserved_weight,
        regularization=settings.regularization,
        frequency_exponent=settings.frequency_exponent,
        activity_exponent=settings.activity_exponent,
        activity_scale=activity_scale(np.diff(matrix.indptr), settings.activity_exponent),
    ).save(folder)
    training = {
        "settings": msgspec.to_builtins(settings),
        "losses": factorisation.losses,
        "seconds": factorisation.seconds,
        **factorisation.memory_mb,
        "users": len(matrix.users),
        "items": len(matrix.items),
        "entries": matrix.entries,
        "through_day": (date(1970, 1, 1) + timedelta(days=matrix.through_day)).isoformat(),
        **(notes or {}),
    }
    (folder / "training.json").write_text(json.dumps(training, indent=2) + "\n", encoding="utf-8")


def load_embeddings(folder: Path) -> Embeddings:
    """Memory-map what `save_embeddings` wrote.

    Raises:
        FileNotFoundError: a file is missing.
    """
    arrays = {
        name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        for name in (
            "user_embeddings",
            "item_embeddings",
            "history_indptr",
            "history_items",
            "history_days",
            "history_weights",
            "popular_items",
            "popular_scores",
        )
    }
    return Embeddings(
        users=Vocabulary.load(folder, "users"),
        items=Vocabulary.load(folder, "items"),
        fold_in=FoldIn.load(folder, arrays["item_embeddings"]),
        training=json.loads((folder / "training.json").read_text(encoding="utf-8")),
        **arrays,
    )
