"""The popularity to expect of an item without a past: that of earlier new items.

Estimated on the log and the catalogue alone, so that a new item enters lists where the data says so.
"""

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.embeddings.interaction_matrix import HALF_LIFE_DAYS

FIRST_DAYS = 28
"""Days from an item's first event in which its users are counted: whole weeks."""

_USERS, _FIRST = "users", "first"


def expected_popularity(
    interactions: pl.LazyFrame, catalogue: pl.DataFrame, *, half_life_days: float = HALF_LIFE_DAYS
) -> float:
    """Return the users to expect of a new item, in the unit of `interaction_matrix.popularity`, >= 0.

    The mean over the items that had no event in the first half of the log: each with its users in its first 28
    days, or with none where it is in the catalogue and has had no event to this day. The daily rate is turned into
    the decayed number that an item with that rate would have. Not by category: on later days of the default a
    category's earlier new items say nothing about its later ones (ranked by them, new items had a recall@50 of
    0.007, at random 0.008), and as a prior they drown what an item's words say about its users.

    Args:
        interactions: the columns of the INTERACTIONS contract; events of weight 0 are left out.
        catalogue: the columns of the ITEM_CATALOGUE contract; only ids are read.
        half_life_days: of the popularity, days.

    Returns:
        0 where no item of the log came in its second half, four weeks or more before its end.
    """
    touches, span = _first_touches(interactions)
    days = max(1, min(FIRST_DAYS, span // 4))
    users = _arrived(touches, days=days, middle=(span + 1) // 2, last=span - days)
    if users.is_empty():
        return 0.0
    known = touches.select(pl.col(columns.ITEM_ID).unique())
    waiting = len(catalogue.join(known, on=columns.ITEM_ID, how="anti"))
    rate = float(users.sum()) / (len(users) + waiting) / days
    return rate * float((0.5 ** (np.arange(span) / half_life_days)).sum())


def _first_touches(interactions: pl.LazyFrame) -> tuple[pl.DataFrame, int]:
    """Return the first day of each user and item together, days from the log's first one, and the log's days."""
    day = pl.col(columns.TIMESTAMP).dt.date().to_physical()
    wishes = interactions.filter(pl.col(columns.WEIGHT) > 0)
    touches = (
        wishes.group_by(columns.USER_ID, columns.ITEM_ID)
        .agg(day.min().alias(_FIRST))
        .with_columns(pl.col(_FIRST) - pl.col(_FIRST).min())
        .collect()
    )
    last = wishes.select(day.max() - day.min()).collect().item()
    return touches, 1 + (last or 0)


def _arrived(touches: pl.DataFrame, *, days: int, middle: int, last: int) -> pl.Series:
    """Return the users in the first `days` of each item first touched from `middle` to `last`."""
    item_first = pl.col(_FIRST).min().over(columns.ITEM_ID)
    return (
        touches.with_columns(item_first.alias("item_first"))
        .filter(pl.col("item_first").is_between(middle, last), pl.col(_FIRST) < pl.col("item_first") + days)
        .group_by(columns.ITEM_ID)
        .agg(pl.len().alias(_USERS))
    )[_USERS]
