"""α₀ and λ of an untuned run, from how dense the matrix is.

A direction of the matrix is fitted where its singular value is above √(l2 of a user · l2 of an item), and a random
matrix of the same degrees has singular values up to about √(degree of a user) + √(degree of an item). So the former
is set to a share of the latter, each for the mean row, but to no more than half of √(degree · degree), which the
first singular value always reaches: in a tiny matrix nothing else would be left. U users, I items; ν = 1 in the rule.
"""

import msgspec
import numpy as np
import numpy.typing as npt

from recsys_assets.embeddings.matrix import InteractionMatrix
from recsys_assets.settings import TrainingSettings

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
