"""From a pair's summed weight and last day to the confidence that the factorisation gives it."""

import numpy as np
import numpy.typing as npt

from recsys_assets.embeddings.matrix import InteractionMatrix
from recsys_assets.settings import TrainingSettings


def confidence(matrix: InteractionMatrix, settings: TrainingSettings) -> npt.NDArray[np.float32]:
    """One confidence an entry, float32, > 0, mean 1.

    weight ** count_exponent * 0.5 ** (age / half_life_days), divided by its mean, so that α₀ and λ mean the
    same whatever the units of the weights. An entry's age is counted from the matrix's last day.
    """
    found = matrix.weights.astype(np.float64) ** settings.count_exponent
    if settings.half_life_days is not None:
        found *= 0.5 ** ((matrix.through_day - matrix.last_day) / settings.half_life_days)
    # An ancient entry must not vanish by underflow: it is still an observed pair.
    scaled: npt.NDArray[np.float32] = np.maximum(found / found.mean(), 1e-6).astype(np.float32)
    return scaled
