"""Embeddings to go on from: an earlier run's, carried over to today's numbering by id."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recsys_assets.embeddings.artifact import Embeddings, load_embeddings
from recsys_assets.embeddings.matrix import InteractionMatrix
from recsys_assets.settings import TrainingSettings
from recsys_assets.storage.string_table import Vocabulary


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a training run starts. Shapes: U users, I items of the matrix to train on, D embedding_size."""

    user_embeddings: npt.NDArray[np.float32]
    """(U, D); zero for a new user."""
    item_embeddings: npt.NDArray[np.float32]
    """(I, D); zero for a new item."""


def last_trained(folder: Path, matrix: InteractionMatrix, settings: TrainingSettings) -> Start | None:
    """What to go on from: the embeddings in `folder`; None where the settings want none, or none fit.

    A start makes the result depend on what was trained before, so that only `warm_start_epochs` asks for it.
    """
    if settings.warm_start_epochs == 0 or not (folder / "training.json").is_file():
        return None
    return start_from(
        load_embeddings(folder),
        users=matrix.users,
        items=matrix.items,
        embedding_size=settings.embedding_size,
    )


def start_from(
    earlier: Embeddings, *, users: Vocabulary, items: Vocabulary, embedding_size: int
) -> Start | None:
    """The earlier embeddings in the numbering of `users` and `items`; None where their size is another.

    New ids are zero: the first half-step of their side solves them from their history given the known ones,
    which is a fold-in.
    """
    if earlier.item_embeddings.shape[1] != embedding_size:
        return None
    return Start(
        user_embeddings=_carried(earlier.user_embeddings, earlier.users, users),
        item_embeddings=_carried(earlier.item_embeddings, earlier.items, items),
    )


def _carried(
    embeddings: npt.NDArray[np.float32], earlier: Vocabulary, wanted: Vocabulary
) -> npt.NDArray[np.float32]:
    nums = earlier.nums(list(wanted))
    found = np.zeros((len(wanted), embeddings.shape[1]), dtype=np.float32)
    found[nums >= 0] = embeddings[nums[nums >= 0]]
    return found
