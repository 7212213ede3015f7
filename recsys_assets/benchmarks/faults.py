"""Faults of a day's delivery, each a small pure function from a good day to a bad one.

Those that leave most of the day as it was are in `partial_faults`.

Their sizes are realistic; a fault that picks rows does so by the given generator. A fault that cannot happen to a
day (no ratings to shift) returns it unchanged. The checks know nothing of this list.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from recsys_assets import columns


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Input of a fault."""

    day: pl.DataFrame
    """The day's events without a fault."""
    yesterday: pl.DataFrame
    """The events of the day before."""
    earlier: pl.DataFrame
    """The events of the four weeks before."""
    categories: pl.DataFrame
    """`item_id` and `category` of the catalogue; empty without a catalogue."""
    rng: np.random.Generator
    """Source of every random choice."""


Fault = Callable[[Delivery], pl.DataFrame]

HOUR_US: Final = 3_600_000_000
_HASH_SEED: Final = 77
_LARGE_CATEGORY: Final = 0.02


def half_missing(delivery: Delivery) -> pl.DataFrame:
    """Every second row, on average, was lost."""
    return delivery.day.filter(random_rows(delivery, 0.5))


def delivered_twice(delivery: Delivery) -> pl.DataFrame:
    """The file was appended to itself."""
    return pl.concat([delivery.day, delivery.day])


def yesterday_again(delivery: Delivery) -> pl.DataFrame:
    """Yesterday's file came as today's."""
    return delivery.yesterday


def other_currency(delivery: Delivery) -> pl.DataFrame:
    """All prices are in a currency worth a 75th."""
    return delivery.day.with_columns(pl.col(columns.VALUE) * 75)


def other_currency_in_part(delivery: Delivery) -> pl.DataFrame:
    """A tenth of the prices are in a currency worth a 75th."""
    foreign = random_rows(delivery, 0.1)
    return delivery.day.with_columns(
        pl.when(foreign).then(pl.col(columns.VALUE) * 75).otherwise(columns.VALUE).alias(columns.VALUE)
    )


def ratings_shifted(delivery: Delivery) -> pl.DataFrame:
    """Ratings count from 0 instead of 1."""
    return delivery.day.with_columns(pl.col(columns.RATING) - 1)


def local_time(delivery: Delivery) -> pl.DataFrame:
    """Timestamps are in local time, eight hours ahead."""
    return with_timestamps(delivery.day, pl.col(columns.TIMESTAMP).to_physical() + 8 * HOUR_US)


def milliseconds_as_seconds(delivery: Delivery) -> pl.DataFrame:
    """Timestamps in milliseconds were read as seconds."""
    return with_timestamps(delivery.day, pl.col(columns.TIMESTAMP).to_physical() * 1000)


def column_dropped(delivery: Delivery) -> pl.DataFrame:
    """The column `value` is gone."""
    return delivery.day.drop(columns.VALUE)


def column_renamed(delivery: Delivery) -> pl.DataFrame:
    """The column `item_id` is called `sku`."""
    return delivery.day.rename({columns.ITEM_ID: "sku"})


def users_rehashed(delivery: Delivery) -> pl.DataFrame:
    """User ids were hashed with a new salt: every user is new."""
    return delivery.day.with_columns(pl.col(columns.USER_ID).hash(_HASH_SEED).cast(pl.String))


def trailing_spaces(delivery: Delivery) -> pl.DataFrame:
    """User ids are padded with a space."""
    return delivery.day.with_columns(pl.col(columns.USER_ID) + " ")


def null_users(delivery: Delivery) -> pl.DataFrame:
    """One user id in twenty is missing."""
    lost = random_rows(delivery, 0.05)
    return delivery.day.with_columns(pl.when(~lost).then(columns.USER_ID).alias(columns.USER_ID))


def bot(delivery: Delivery) -> pl.DataFrame:
    """One new user accounts for a fifth of the rows, on items and at times of others."""
    rows = delivery.day.height // 4
    places = delivery.rng.integers(0, max(delivery.day.height, 1), rows)
    visits = delivery.day[places].with_columns(pl.lit(_fresh_id(delivery)).alias(columns.USER_ID))
    return pl.concat([delivery.day, visits])


def flooded_item(delivery: Delivery) -> pl.DataFrame:
    """Three rows in ten are of one item."""
    one = delivery.day[columns.ITEM_ID][int(delivery.rng.integers(delivery.day.height))]
    return delivery.day.with_columns(
        pl.when(random_rows(delivery, 0.3))
        .then(pl.lit(one))
        .otherwise(columns.ITEM_ID)
        .alias(columns.ITEM_ID)
    )


def category_missing(delivery: Delivery) -> pl.DataFrame:
    """A random category with at least 2 % of the day's rows is missing."""
    rows = delivery.day.select(columns.ITEM_ID).join(delivery.categories, on=columns.ITEM_ID, how="left")
    shares = rows[columns.CATEGORY].drop_nulls().value_counts(normalize=True, name="share")
    large = shares.filter(pl.col("share") >= _LARGE_CATEGORY)[columns.CATEGORY].sort()
    if not len(large):
        return delivery.day
    gone = large[int(delivery.rng.integers(len(large)))]
    return delivery.day.filter((rows[columns.CATEGORY] != gone).fill_null(value=True))


def empty_file(delivery: Delivery) -> pl.DataFrame:
    """The file came without a row."""
    return delivery.day.clear()


def negative_quantities(delivery: Delivery) -> pl.DataFrame:
    """Three quantities in a hundred are negative."""
    wrong = random_rows(delivery, 0.03)
    return delivery.day.with_columns(
        pl.when(wrong).then(-pl.col(columns.QUANTITY)).otherwise(columns.QUANTITY).alias(columns.QUANTITY)
    )


def account_of_tests(delivery: Delivery) -> pl.DataFrame:
    """A test account left 500 identical rows."""
    row = delivery.day[int(delivery.rng.integers(delivery.day.height))]
    row = row.with_columns(pl.lit(_fresh_id(delivery)).alias(columns.USER_ID))
    return pl.concat([delivery.day, pl.concat([row] * 500)])


def broken_encoding(delivery: Delivery) -> pl.DataFrame:
    """In two item ids of a hundred a byte was decoded with the wrong table."""
    broken = random_rows(delivery, 0.02)
    return delivery.day.with_columns(
        pl.when(broken)
        .then(pl.col(columns.ITEM_ID).str.slice(0, 2) + "Ã©" + pl.col(columns.ITEM_ID).str.slice(3))
        .otherwise(columns.ITEM_ID)
        .alias(columns.ITEM_ID)
    )


FAULTS: Final[dict[str, Fault]] = {
    fault.__name__: fault
    for fault in (
        half_missing,
        delivered_twice,
        yesterday_again,
        other_currency,
        other_currency_in_part,
        ratings_shifted,
        local_time,
        milliseconds_as_seconds,
        column_dropped,
        column_renamed,
        users_rehashed,
        trailing_spaces,
        null_users,
        bot,
        flooded_item,
        category_missing,
        empty_file,
        negative_quantities,
        account_of_tests,
        broken_encoding,
    )
}
"""Name -> fault."""

DESTRUCTIVE: Final = (
    "delivered_twice",
    "yesterday_again",
    "users_rehashed",
    "other_currency",
    "column_dropped",
    "empty_file",
    "milliseconds_as_seconds",
)
"""Faults that would spoil the training on the day: they must be rejected, not only detected."""


def random_rows(delivery: Delivery, share: float) -> pl.Series:
    """Mark each of the day's rows with probability `share`."""
    return pl.Series(delivery.rng.random(delivery.day.height) < share)


def with_timestamps(day: pl.DataFrame, microseconds: pl.Expr) -> pl.DataFrame:
    """Replace the timestamps by `microseconds` since 1970."""
    dtype = day.schema[columns.TIMESTAMP]
    return day.with_columns(microseconds.cast(dtype).alias(columns.TIMESTAMP))


def _fresh_id(delivery: Delivery) -> str:
    """Return a new id that looks like the day's others."""
    longest = delivery.day[columns.USER_ID].str.len_chars().max()
    return "9" * int(str(longest or 4))
