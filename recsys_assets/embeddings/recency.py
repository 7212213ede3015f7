"""The recency prior: an item's part of every score, from its time-decayed popularity. No torch.

Shapes: I items.
"""

from collections.abc import Callable

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, popularity
from recsys_assets.storage.arrays import Float64, Int64
from recsys_assets.storage.string_table import Vocabulary

Categories = Callable[[Vocabulary], Int64 | None]
"""Maps items to the codes of their categories, (I,); None where there are none."""

UNKNOWN_CATEGORY = -1
"""Code of an item without a category."""


def log_popularity(
    matrix: InteractionMatrix, *, half_life_days: float, categories_I: Int64 | None = None
) -> Float64:
    """Return the log of each item's time-decayed number of users, (I,), with mean 0.

    A touch counts 0.5 ** (age / half life). To an item's count that of one mean item of its category is added, and
    to a category's that of one mean item of all: so a rare item has about the popularity of its category, and none
    has a count of 0.

    Args:
        matrix: the observed pairs.
        half_life_days: days after which a touch counts half, > 0.
        categories_I: code of each item's category from 0, `UNKNOWN_CATEGORY` where it has none; None: no categories.
    """
    counts_I = popularity(matrix, half_life_days=half_life_days)
    mean = _mean_item(counts_I)
    expected_I = np.full(len(counts_I), mean)
    if categories_I is not None and (categories_I != UNKNOWN_CATEGORY).any():
        known = categories_I != UNKNOWN_CATEGORY
        codes = categories_I[known]
        total_C = np.bincount(codes, weights=counts_I[known])
        size_C = np.bincount(codes)
        expected_I[known] = ((total_C + mean) / (size_C + 1))[codes]
    logs_I = np.log(counts_I + expected_I)
    return np.asarray(logs_I - logs_I.mean(), dtype=np.float64)


def log_popularity_of(users: float, matrix: InteractionMatrix, *, half_life_days: float) -> float:
    """Return log popularity on the scale of `log_popularity` without categories, for a decayed number of users."""
    counts_I = popularity(matrix, half_life_days=half_life_days)
    mean = _mean_item(counts_I)
    return float(np.log(users + mean) - np.log(counts_I + mean).mean())


def _mean_item(counts_I: Float64) -> float:
    return max(float(counts_I.mean()), float(np.finfo(np.float64).tiny))


def categories_in(catalogue: pl.DataFrame | None) -> Categories:
    """Return a function from items to the codes of their categories in the catalogue."""

    def codes(items: Vocabulary) -> Int64 | None:
        if catalogue is None or catalogue[columns.CATEGORY].null_count() == catalogue.height:
            return None
        numbered = catalogue.select(
            columns.ITEM_ID, pl.col(columns.CATEGORY).rank("dense").cast(pl.Int64).alias("code") - 1
        )
        listed = pl.DataFrame({columns.ITEM_ID: list(items)}, schema={columns.ITEM_ID: pl.String})
        joined = listed.join(numbered, on=columns.ITEM_ID, how="left", maintain_order="left")
        return joined["code"].fill_null(UNKNOWN_CATEGORY).to_numpy()

    return codes
