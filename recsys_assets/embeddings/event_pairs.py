"""Events gathered into pairs of a user and an item, for the interaction matrix: the part of it that needs polars."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_assets import columns
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, SeenPairs
from recsys_assets.errors import NothingHeldOutError, NoWishError, TrainingDataError
from recsys_assets.interactions.wish_rule import AGAINST
from recsys_assets.storage.arrays import Int64
from recsys_assets.storage.string_table import Vocabulary

_DAY: Final = "day"
_HIDES: Final = "hides"


def gather(
    frame: pl.LazyFrame, *, users: Vocabulary | None, items: Vocabulary | None, hides: pl.Expr | None
) -> InteractionMatrix:
    """Gather events into pairs; arguments and errors as of `InteractionMatrix.from_interactions`, which calls it."""
    pairs = _pairs(frame, hides)
    _reject_bad_weights(pairs)
    wished = pairs[columns.WEIGHT] > 0
    users = users or _vocabulary(pairs[columns.USER_ID])
    items = items or _vocabulary(pairs.filter(wished)[columns.ITEM_ID])
    pairs = _numbered(_numbered(pairs, columns.USER_ID, users), columns.ITEM_ID, items)
    pairs = pairs.sort(columns.USER_ID, columns.ITEM_ID)
    wishes = pairs.filter(pl.col(columns.WEIGHT) > 0)
    if wishes.is_empty():
        raise NothingHeldOutError("none of the interactions is of a known user and item")
    seen = pairs.filter(_HIDES)
    same = wishes.height == pairs.height == seen.height
    return InteractionMatrix(
        users=users,
        items=items,
        indptr=_starts(wishes, users),
        item_nums=_array(wishes[columns.ITEM_ID], np.int32),
        weights=_array(wishes[columns.WEIGHT], np.float32),
        last_day=_array(wishes[_DAY], np.int32),
        others_seen=None
        if same
        else SeenPairs(indptr=_starts(seen, users), item_nums=_array(seen[columns.ITEM_ID], np.int32)),
    )


def _pairs(frame: pl.LazyFrame, hides: pl.Expr | None) -> pl.DataFrame:
    """Return a row a pair: ids, summed weight, least weight, day of the last wish, and whether an event hides it.

    An opinion against the item that comes after the last wish takes the wish back: the weight is 0.
    """
    hiding = pl.lit(value=True) if hides is None else hides
    wish = pl.col(columns.WEIGHT) != 0  # keeps NaN, which is rejected
    last = pl.when(wish.any()).then(pl.col(columns.TIMESTAMP).filter(wish).max())
    there = frame.collect_schema().names()
    opinions = [pl.col(columns.RATING).is_not_null()] if columns.RATING in there else []
    opinions += [pl.col(columns.KIND).is_in(AGAINST)] if columns.KIND in there else []
    against = wish.not_() & pl.any_horizontal(pl.lit(value=False), *opinions).fill_null(value=False)
    taken_back = pl.col(columns.TIMESTAMP).filter(against).max() > last
    weight = _exact_sum(columns.WEIGHT)
    return (
        frame.with_columns(hiding.alias(_HIDES))
        .group_by(columns.USER_ID, columns.ITEM_ID)
        .agg(
            pl.when(taken_back.fill_null(value=False)).then(0.0).otherwise(weight).alias(columns.WEIGHT),
            pl.col(columns.WEIGHT).min().alias("least"),
            last.dt.date().to_physical().alias(_DAY),
            pl.col(_HIDES).any(),
        )
        .collect()
    )


def _starts(pairs: pl.DataFrame, users: Vocabulary) -> Int64:
    counts = np.bincount(pairs[columns.USER_ID].to_numpy(), minlength=len(users))
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _exact_sum(column: str) -> pl.Expr:
    """Sum float32 values to the same bits in whatever order the threads add them.

    Float64 has 29 bits more than float32, so that no addition is rounded while a pair's weights are within a
    factor of 2^29 of their sum. Added as float32 they had other last bits in every run.
    """
    return pl.col(column).cast(pl.Float64).sum()


def _reject_bad_weights(pairs: pl.DataFrame) -> None:
    if not (pairs[columns.WEIGHT] != 0).any():
        raise NoWishError(
            "none of the interactions is a wish, nothing to learn from: land more days, lower `[interactions]"
            " rating_positive`, or give their kinds a weight in `[interactions] kinds`"
        )
    bad = pairs.filter(~pl.col(columns.WEIGHT).is_finite() | (pl.col("least") < 0))
    if len(bad):
        row = bad.row(0, named=True)
        raise TrainingDataError(
            f"{len(bad)} user-item pairs have a weight that is NaN, infinite or negative, e.g. user"
            f" {row[columns.USER_ID]!r}, item {row[columns.ITEM_ID]!r}: {row[columns.WEIGHT]};"
            " mend `interactions`"
        )


def _vocabulary(ids: pl.Series) -> Vocabulary:
    return Vocabulary.from_strings(ids.unique().to_list())


def _numbered(pairs: pl.DataFrame, column: str, vocabulary: Vocabulary) -> pl.DataFrame:
    numbers = pl.DataFrame({column: list(vocabulary)}, schema={column: pl.String}).with_row_index("num")
    return pairs.join(numbers, on=column).drop(column).rename({"num": column})


def _array(series: pl.Series, dtype: Any) -> npt.NDArray[Any]:
    return np.ascontiguousarray(series.to_numpy(), dtype=dtype)
