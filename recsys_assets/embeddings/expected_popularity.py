"""The popularity to expect of items without a past: that of earlier new items of their category.

Estimated on the log and the catalogue alone, so that a new item enters lists where the data says so.
Shapes: N new items, C categories.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.embeddings.interaction_matrix import HALF_LIFE_DAYS
from recsys_assets.embeddings.item_text import category_codes
from recsys_assets.storage.arrays import Float64, Int64

FIRST_DAYS = 28
"""Days from an item's first event in which its users are counted: whole weeks."""

_USERS, _FIRST = "users", "first"


def expected_popularity(
    interactions: pl.LazyFrame,
    catalogue: pl.DataFrame,
    new_ids: Sequence[str],
    *,
    half_life_days: float = HALF_LIFE_DAYS,
) -> Float64:
    """Return the users to expect of each new item, in the unit of `interaction_matrix.popularity`, (N,), >= 0.

    An item counts that had no event in the first half of the log: with its users in its first 28 days, or with
    none where it is in the catalogue and has had no event to this day. Their mean by category is drawn towards the
    mean over all as far as the categories' differences are chance (gamma-Poisson, by moments). The daily rate
    is turned into the decayed number that an item with that rate would have.

    Args:
        interactions: the columns of the INTERACTIONS contract; events of weight 0 are left out.
        catalogue: the columns of the ITEM_CATALOGUE contract.
        new_ids: ids of the new items. Without a category, or in one that had no new items, one gets the mean over
            all. All are 0 where no item of the log came in its second half.
        half_life_days: of the popularity, days.
    """
    touches, span = _first_touches(interactions)
    days = max(1, min(FIRST_DAYS, span // 4))
    arrived = _arrived(touches, days=days, middle=(span + 1) // 2, last=span - days)
    known = set(touches[columns.ITEM_ID])
    waiting = [item for item in catalogue[columns.ITEM_ID] if item not in known]
    cold_ids = [*arrived[columns.ITEM_ID], *waiting]
    codes = category_codes(catalogue, [*cold_ids, *new_ids])
    users = np.concatenate([arrived[_USERS].to_numpy(), np.zeros(len(waiting))]).astype(np.float64)
    rates_N = _rates(users, codes[: len(cold_ids)], codes[len(cold_ids) :])
    return rates_N / days * float((0.5 ** (np.arange(span) / half_life_days)).sum())


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


def _arrived(touches: pl.DataFrame, *, days: int, middle: int, last: int) -> pl.DataFrame:
    """Return the users in the first `days` of the items first touched from `middle` to `last`, by id."""
    item_first = pl.col(_FIRST).min().over(columns.ITEM_ID)
    return (
        touches.with_columns(item_first.alias("item_first"))
        .filter(pl.col("item_first").is_between(middle, last), pl.col(_FIRST) < pl.col("item_first") + days)
        .group_by(columns.ITEM_ID)
        .agg(pl.len().alias(_USERS))
        .sort(columns.ITEM_ID)
    )


def _rates(users: Float64, codes: Int64, wanted_N: Int64) -> Float64:
    """Return the mean users of the wanted categories, drawn towards the mean over all."""
    if not users.any():
        return np.zeros(len(wanted_N))
    size = 1 + int(max(codes.max(), wanted_N.max(initial=0)))
    items_C = np.bincount(codes, minlength=size).astype(np.float64)
    users_C = np.bincount(codes, weights=users, minlength=size)
    # Category 0 is no category: it says nothing.
    items_C[0] = users_C[0] = 0
    overall = float(users.mean())
    mean_C = np.divide(users_C, items_C, out=np.full(size, overall), where=items_C > 0)
    named = items_C.sum()
    spread = float((items_C * (mean_C - overall) ** 2).sum()) - (np.count_nonzero(items_C) - 1) * overall
    room = named - float((items_C**2).sum()) / named if named else 0.0
    between = max(spread, 0.0) / room if room > 0 else 0.0
    if between == 0:
        return np.full(len(wanted_N), overall)
    weight = overall / between
    drawn_C = (users_C + weight * overall) / (items_C + weight)
    return np.asarray(drawn_C[wanted_N], dtype=np.float64)
