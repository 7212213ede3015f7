"""Popularity of items, recency-weighted: what an unknown user is recommended, and a baseline."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from recsys_assets.embeddings.matrix import InteractionMatrix

HALF_LIFE_DAYS = 30.0
"""A user's touch counts half after so many days."""


def popularity(
    matrix: "InteractionMatrix", *, half_life_days: float | None = HALF_LIFE_DAYS
) -> npt.NDArray[np.float64]:
    """Users who touched each item, each 0.5 ** (days since the last touch / half life); (I,), float64.

    Without a half life every user counts 1.
    """
    if half_life_days is None:
        share = np.ones(matrix.entries)
    else:
        share = 0.5 ** ((matrix.through_day - matrix.last_day) / half_life_days)
    return np.asarray(
        np.bincount(matrix.item_nums, weights=share, minlength=len(matrix.items)), dtype=np.float64
    )


def by_popularity(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """Item numbers, most popular first; equal ones in the order of their numbers."""
    return np.argsort(-scores, kind="stable").astype(np.int32)
