"""What every objective's training starts from and ends with."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
from torch import Tensor

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.settings import TrainingSettings


@dataclass(frozen=True, kw_only=True)
class Factorisation:
    """What a training run found."""

    user_embeddings: npt.NDArray[np.float32]
    """(U, D)."""
    item_embeddings: npt.NDArray[np.float32]
    """(I, D)."""
    confidences: npt.NDArray[np.float32]
    """Of each entry of the matrix, n."""
    losses: list[float]
    """The objective after each epoch, divided by the number of entries."""
    seconds: float
    """Wall time of the training."""
    settings: TrainingSettings
    """What it was trained with; strengths that were left open are filled in."""
    memory_mb: dict[str, float]
    """Resident memory: `predicted_peak_mb` and `memory_budget_mb` before, `measured_peak_mb` meanwhile."""


StopAfter = Callable[[int, Tensor, Tensor], bool]
"""From the epoch and both sides' present embeddings, (U, D) and (I, D), to whether to stop."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a training run starts. Shapes: U users, I items of the matrix to train on, D embedding_size."""

    user_embeddings: npt.NDArray[np.float32]
    """(U, D); zero for a new user."""
    item_embeddings: npt.NDArray[np.float32]
    """(I, D); zero for a new item."""


_SHARE_OF_NOISE = 0.6
"""On six sets of 0.04 to 3 % density the best share was 0.3 to 1; at 0.6 each is near its best."""
_ITEMS_OF_ONE = 250
"""Of a mean user whose α₀ is 1: the same sets' best α₀ grow with the square of her items, from 0.01 to 1.2."""
_LEAST, _MOST = 0.02, 2.0
_DENSE = 0.5
"""Bounds of α₀. It is not less than twice the density either, up to `_DENSE`: where the unobserved pairs together weigh
no more than the observed ones, predicting 1 for everything costs next to nothing."""


def with_strengths(settings: TrainingSettings, matrix: InteractionMatrix) -> TrainingSettings:
    """The settings with `unobserved_weight` and `regularization` as given, or chosen where they are 0."""
    users, items = matrix.shape
    of_user, of_item = matrix.entries / users, matrix.entries / items
    least = max(_LEAST, min(2 * of_user / items, _DENSE))
    alpha = settings.unobserved_weight or min(max((of_user / _ITEMS_OF_ONE) ** 2, least), _MOST)
    threshold = min(_SHARE_OF_NOISE * (of_user**0.5 + of_item**0.5), 0.5 * (of_user * of_item) ** 0.5)
    frequency = ((of_user + alpha * items) * (of_item + alpha * users)) ** 0.5
    strength = settings.regularization or threshold / frequency
    return msgspec.structs.replace(settings, unobserved_weight=alpha, regularization=strength)


def activity_scale(degrees_U: npt.NDArray[np.int64], exponent: float) -> float:
    """1 / the mean of degree^exponent over the users; a user without items counts as one with one."""
    return float(1 / (np.maximum(degrees_U, 1.0) ** exponent).mean())
