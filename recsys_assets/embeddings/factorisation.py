"""The input and the result of a training run, and the strengths that it fills in. No torch: Dagster imports this."""

from dataclasses import dataclass

import msgspec
import numpy as np

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.storage.arrays import Float32, Int64
from recsys_assets.training_settings import TrainingSettings


@dataclass(frozen=True, kw_only=True)
class Start:
    """Embeddings that a training run starts from. Shapes: U users, I items of the matrix, D embedding_size."""

    user_embeddings: Float32
    """(U, D); zero for a new user."""
    item_embeddings: Float32
    """(I, D); zero for a new item."""


@dataclass(frozen=True, kw_only=True)
class Factorisation:
    """The result of a training run. Shapes as in `Start`; n entries of the matrix."""

    user_embeddings: Float32
    """(U, D)."""
    item_embeddings: Float32
    """(I, D)."""
    confidences: Float32
    """Confidence of each entry of the matrix, n."""
    losses: list[float]
    """The objective after each epoch, divided by the number of entries."""
    seconds: float
    """Wall time of the training."""
    settings: TrainingSettings
    """The settings of the run, with the strengths that were left open filled in, and as `processes` the number of those
    that trained, whichever launcher started them."""
    memory_mb: dict[str, float]
    """Resident memory: `predicted_peak_mb` and `memory_budget_mb`; `measured_peak_mb` where one process trains."""


def epochs_of(settings: TrainingSettings) -> int:
    """Return the number of epochs of the objective that the settings name."""
    return settings.epochs if settings.objective == "ials" else settings.softmax.epochs


def with_epochs(settings: TrainingSettings, epochs: int, *, component: str) -> TrainingSettings:
    """Return the settings with another number of epochs for a factorisation, `ials` or `softmax`."""
    if component == "ials":
        return msgspec.structs.replace(settings, epochs=epochs)
    return msgspec.structs.replace(settings, softmax=msgspec.structs.replace(settings.softmax, epochs=epochs))


_SHARE_OF_NOISE = 0.6
"""On six sets of 0.04 to 3 % density the best share was 0.3 to 1; at 0.6 each is near its best."""
_ITEMS_FOR_ONE = 250
"""Items of a mean user at which α₀ is 1. On the same sets the best α₀, 0.01 to 1.2, grows with their square."""
_LEAST, _MOST = 0.02, 2.0
"""Bounds of α₀."""
_DENSE = 0.5
"""α₀ is at least twice the density, up to this value: where all unobserved pairs together weigh no more than the
observed ones, predicting 1 for everything costs next to nothing."""


def with_strengths(settings: TrainingSettings, matrix: InteractionMatrix) -> TrainingSettings:
    """Return the settings with `unobserved_weight` and `regularization` chosen by density where they are 0.

    Users and items without entries do not count.
    """
    users = int(np.count_nonzero(np.diff(matrix.indptr)))
    items = int(np.count_nonzero(np.bincount(matrix.item_nums)))
    of_user, of_item = matrix.entries / users, matrix.entries / items
    least = max(_LEAST, min(2 * of_user / items, _DENSE))
    alpha = settings.unobserved_weight or min(max((of_user / _ITEMS_FOR_ONE) ** 2, least), _MOST)
    threshold = min(_SHARE_OF_NOISE * (of_user**0.5 + of_item**0.5), 0.5 * (of_user * of_item) ** 0.5)
    frequency = ((of_user + alpha * items) * (of_item + alpha * users)) ** 0.5
    strength = settings.regularization or threshold / frequency
    return msgspec.structs.replace(settings, unobserved_weight=alpha, regularization=strength)


def activity_scale(degrees_U: Int64, exponent: float) -> float:
    """Return 1 / the mean of degree^exponent over the users with items."""
    return float(1 / (degrees_U[degrees_U > 0].astype(np.float64) ** exponent).mean())
