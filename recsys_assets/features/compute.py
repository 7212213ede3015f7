"""Computation of `user_features` and `item_features` from interactions and catalogue; nothing is stored here.

The day is an argument and later events are dropped first, so the same code computes today's tables and those of
any day before. Ids and labels are categoricals in between, since numbers are grouped twice as fast as
strings.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

import polars as pl

from recsys_assets import columns
from recsys_assets.features.contract import ITEM_FEATURES, USER_FEATURES
from recsys_assets.features.kind_columns import COUNTS, column_of, kinds_with_columns, with_kinds
from recsys_assets.lake.contract import ITEM_CATALOGUE

LARGEST_BASKET: Final = 100
"""Greatest number of items that a user's day may have to count as a basket: larger ones don't show which items
belong together, and their cost is quadratic."""

_WINDOWS: Final = (7, 28, 90)
"""Lengths of the counting windows, days."""
_MONTH: Final = 28
_DECIMALS: Final = 6
"""Decimals of every float feature."""
_AGE: Final = "age"
_IS_WISH: Final = "is_wish"
_PAID: Final = "paid"
_UNPAID: Final = ("view", "cart", "impression", "rating", "like", "dislike", "hide")
"""Kinds whose value was not paid: it is the price that was shown."""
_PIECE_PRICE: Final = "piece_price"
_LABELS: Final = (columns.DEPARTMENT, columns.CATEGORY, columns.BRAND)


def feature_tables(
    interactions: pl.LazyFrame, catalogue: pl.DataFrame | None, *, as_of: date
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Compute both tables as of the end of a day; the interactions are read once.

    Items of the catalogue without any event have a row too, with counts of 0, so that a reader can
    distinguish an item without events from an unknown id.

    Args:
        interactions: rows of the INTERACTIONS contract; those after `as_of` are ignored.
        catalogue: rows of ITEM_CATALOGUE, or None if the source has none. It has no time: titles and prices are
            today's for any `as_of`.
        as_of: the UTC day; windows of n days end with it.

    Returns:
        USER_FEATURES sorted by user id, and ITEM_FEATURES sorted by item id, both with the columns of the most frequent
        kinds (`with_kinds`).
    """
    events, kinds = _named_kinds(_events_until(interactions, as_of))
    items = _items(events, catalogue, kinds)
    return _user_table(events, items, kinds), _item_table(events, items, kinds)


def _events_until(interactions: pl.LazyFrame, as_of: date) -> pl.DataFrame:
    """Read the events up to the end of `as_of`: ids, kind, value, rating, price of a piece, age in days, and marks."""
    age = (pl.lit(as_of) - pl.col(columns.TIMESTAMP).dt.date()).dt.total_days().cast(pl.Int32)
    return (
        interactions.with_columns(age.alias(_AGE))
        .filter(pl.col(_AGE) >= 0)
        .select(
            pl.col(columns.USER_ID, columns.ITEM_ID).cast(pl.Categorical),
            _AGE,
            columns.VALUE,
            columns.RATING,
            columns.KIND,
            (pl.col(columns.WEIGHT) > 0).alias(_IS_WISH),
            pl.when(~pl.col(columns.KIND).is_in(_UNPAID).fill_null(value=False))
            .then(columns.VALUE)
            .alias(_PAID),
            pl.when(pl.col(columns.QUANTITY) > 0)
            .then(pl.col(columns.VALUE) / pl.col(columns.QUANTITY))
            .otherwise(pl.col(columns.VALUE))
            .alias(_PIECE_PRICE),
        )
        .collect()
    )


def _named_kinds(events: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Replace kinds by their names in columns, null for one without columns; return the names, too."""
    found = events[columns.KIND].drop_nulls().value_counts()
    names = kinds_with_columns(dict(found.iter_rows()))
    if not names:
        return events.drop(columns.KIND), ()
    distinct = tuple(dict.fromkeys(names.values()))
    dtype = pl.Enum(distinct)
    named = pl.col(columns.KIND).replace_strict(names, default=None, return_dtype=dtype)
    return events.with_columns(named), distinct


def _items(events: pl.DataFrame, catalogue: pl.DataFrame | None, kinds: tuple[str, ...]) -> pl.DataFrame:
    """Compute every known item's catalogue fields and the features that need no pairs of items."""
    known = pl.DataFrame(schema=ITEM_CATALOGUE.polars_schema()) if catalogue is None else catalogue
    coded = known.lazy().select(
        pl.col(name).cast(pl.Categorical) if name in {columns.ITEM_ID, *_LABELS} else pl.col(name)
        for name in ITEM_CATALOGUE.columns
    )
    by_kind = (column_of(count, name) for count in COUNTS for name in kinds)
    counts = (*COUNTS, *by_kind, "users_distinct", "users_28d", "wishes_90d", "wishes_total")
    touched, wished = pl.col("events_total") > 0, pl.col("wishes_total") > 0
    return (
        coded.join(_events_by_item(events, kinds), on=columns.ITEM_ID, how="full", coalesce=True)
        .with_columns(
            *(pl.col(name).fill_null(0) for name in counts),
            pl.col("popularity_trend").fill_null(1.0),
            pl.coalesce(columns.PRICE, "median_price").alias(columns.PRICE),
        )
        .sort(["wishes_90d", "wishes_total", columns.ITEM_ID], descending=[True, True, False])
        .with_columns(
            pl.when(wished).then(pl.int_range(1, pl.len() + 1, dtype=pl.Int64)).alias("popularity_rank"),
            pl.when(touched)
            .then(1 - pl.col("users_distinct") / pl.col("events_total"))
            .alias("repeat_share"),
            _percentile(columns.PRICE, columns.CATEGORY).alias("price_percentile"),
        )
        .with_columns(
            pl.when(wished)
            .then(1 - (pl.col("popularity_rank") - 1) / wished.sum())
            .otherwise(0.0)
            .alias("popularity_percentile"),
        )
        .collect()
    )


def _events_by_item(events: pl.DataFrame, kinds: tuple[str, ...]) -> pl.LazyFrame:
    users, recent = pl.col(columns.USER_ID), pl.col(_AGE) < _MONTH
    wish = pl.col(_IS_WISH)
    return (
        events.lazy()
        .group_by(columns.ITEM_ID)
        .agg(
            *_event_counts(kinds),
            wish.sum().cast(pl.Int64).alias("wishes_total"),
            ((pl.col(_AGE) < max(_WINDOWS)) & wish).sum().cast(pl.Int64).alias("wishes_90d"),
            _trend(wish).alias("popularity_trend"),
            users.n_unique().cast(pl.Int64).alias("users_distinct"),
            users.filter(recent).n_unique().cast(pl.Int64).alias("users_28d"),
            pl.col(_AGE).max().alias("days_since_first"),
            pl.col(_AGE).min().alias("days_since_last"),
            pl.col(_PIECE_PRICE).median().alias("median_price"),
            pl.col(columns.RATING).cast(pl.Float64).mean().alias("mean_rating"),
        )
    )


def _item_table(events: pl.DataFrame, items: pl.DataFrame, kinds: tuple[str, ...]) -> pl.DataFrame:
    return (
        items.lazy()
        .join(_copurchase_degree(events.lazy().filter(_IS_WISH)), on=columns.ITEM_ID, how="left")
        .with_columns(pl.col("copurchase_degree").fill_null(0))
        .select(_typed(with_kinds(ITEM_FEATURES, kinds).polars_schema()))
        .sort(columns.ITEM_ID)
        .collect()
    )


def _user_table(events: pl.DataFrame, items: pl.DataFrame, kinds: tuple[str, ...]) -> pl.DataFrame:
    described = items.select(
        columns.ITEM_ID, *_LABELS, columns.PRICE, "price_percentile", "popularity_percentile"
    )
    joined = (
        events.join(described, on=columns.ITEM_ID, how="left", maintain_order="left")
        .lazy()
        .with_columns(_of_wishes())
    )
    totals = joined.group_by(columns.USER_ID).agg(*_user_aggregates(kinds))
    wishes = joined.filter(_IS_WISH)
    for label in _LABELS:
        totals = totals.join(_favourite(wishes, label), on=columns.USER_ID, how="left")
    return (
        totals.with_columns(
            (1 - pl.col("items_distinct") / pl.col("events_total")).alias("repeat_share"),
            (pl.col("favourite_category_events") / pl.col("wishes_total")).alias("favourite_category_share"),
            pl.when(pl.col("active_days") > 1)
            .then((pl.col("days_since_first") - pl.col("days_since_last")) / (pl.col("active_days") - 1))
            .alias("days_between_visits"),
        )
        .select(_typed(with_kinds(USER_FEATURES, kinds).polars_schema()))
        .sort(columns.USER_ID)
        .collect()
    )


def _of_wishes() -> Sequence[pl.Expr]:
    """Return columns that are null unless the event is a wish: made once, so that no group filters them."""
    paid = pl.when(pl.col(_PAID).is_not_null()).then(_PIECE_PRICE)
    found = {
        "wished_popularity": pl.col("popularity_percentile"),
        "wished_price": pl.coalesce(paid, columns.PRICE),
        "wished_price_percentile": pl.col("price_percentile"),
    }
    return [pl.when(_IS_WISH).then(value).alias(name) for name, value in found.items()]


def _user_aggregates(kinds: tuple[str, ...]) -> Sequence[pl.Expr]:
    paid, recent = pl.col(_PAID), pl.col(_AGE) < _MONTH
    has_values = paid.count() > 0
    return [
        *_event_counts(kinds),
        pl.col(_IS_WISH).sum().cast(pl.Int64).alias("wishes_total"),
        _trend(pl.lit(value=True)).alias("activity_trend"),
        pl.col(columns.ITEM_ID).n_unique().cast(pl.Int64).alias("items_distinct"),
        pl.col(columns.CATEGORY).drop_nulls().n_unique().cast(pl.Int64).alias("categories_distinct"),
        pl.col(_AGE).n_unique().cast(pl.Int64).alias("active_days"),
        pl.col(_AGE).filter(recent).n_unique().cast(pl.Int64).alias("active_days_28d"),
        pl.col(_AGE).max().alias("days_since_first"),
        pl.col(_AGE).min().alias("days_since_last"),
        pl.col("wished_popularity").mean().alias("mean_popularity"),
        pl.when(has_values).then(paid.sum()).alias("spend_total"),
        pl.when(has_values).then(paid.filter(recent).sum()).alias("spend_28d"),
        pl.col("wished_price").median().alias("median_price"),
        pl.col("wished_price_percentile").mean().alias("price_level"),
        pl.col(columns.RATING).cast(pl.Float64).mean().alias("mean_rating"),
    ]


def _copurchase_degree(events: pl.LazyFrame) -> pl.LazyFrame:
    """Count the other items in the same baskets; a basket is a user's items of one day of the last 90."""
    basket = pl.col(columns.USER_ID).to_physical().cast(pl.UInt64) * 2**32 + pl.col(_AGE).cast(pl.UInt64)
    baskets = (
        events.filter(pl.col(_AGE) < max(_WINDOWS))
        .select(columns.ITEM_ID, pl.col(columns.ITEM_ID).to_physical().alias("num"), basket.alias("basket"))
        .unique(["basket", "num"])
        .filter(pl.len().over("basket").is_between(2, LARGEST_BASKET))
    )
    nums = baskets.select("basket", "num")
    pairs = (
        nums.join(nums, on="basket", suffix="_other")
        .filter(pl.col("num") < pl.col("num_other"))
        .select("num", "num_other")
        .unique()
    )
    degrees = (
        pl.concat([pairs.select("num"), pairs.select(pl.col("num_other").alias("num"))])
        .group_by("num")
        .agg(pl.len().cast(pl.Int64).alias("copurchase_degree"))
    )
    return baskets.select("num", columns.ITEM_ID).unique("num").join(degrees, on="num").drop("num")


def _favourite(wishes: pl.LazyFrame, label: str) -> pl.LazyFrame:
    """Find each user's most frequent value of `label` (ties: the first by name) and count its events."""
    name = f"favourite_{label}"
    return (
        wishes.filter(pl.col(label).is_not_null())
        .group_by(columns.USER_ID, label)
        .agg(pl.len().alias(f"{name}_events"))
        .sort([f"{name}_events", label], descending=[True, False])
        .group_by(columns.USER_ID, maintain_order=True)
        .agg(pl.col(label).first().alias(name), pl.col(f"{name}_events").first())
    )


def _event_counts(kinds: tuple[str, ...]) -> list[pl.Expr]:
    """Count the events of a group, in all and in each window, of any kind and of each."""
    inside = {f"events_{days}d": pl.col(_AGE) < days for days in _WINDOWS}
    kind = pl.col(columns.KIND)
    counted = {
        "events_total": pl.len(),
        **{column_of("events_total", name): (kind == name).sum() for name in kinds},
        **{count: window.sum() for count, window in inside.items()},
        **{
            column_of(count, name): (window & (kind == name)).sum()
            for count, window in inside.items()
            for name in kinds
        },
    }
    return [events.cast(pl.Int64).alias(column) for column, events in counted.items()]


def _trend(counts: pl.Expr) -> pl.Expr:
    """Compare the events of the last month for which `counts` is true with those of the month before."""
    recent = ((pl.col(_AGE) < _MONTH) & counts).sum()
    before = (pl.col(_AGE).is_between(_MONTH, 2 * _MONTH - 1) & counts).sum()
    return (recent + 1) / (before + 1)


def _percentile(value: str, group: str) -> pl.Expr:
    """Return the rank of `value` among the non-null ones of its group, in (0, 1]; null stays null."""
    return (pl.col(value).rank("max") / pl.col(value).count()).over(group)


def _typed(schema: pl.Schema) -> Sequence[pl.Expr]:
    """Cast the columns to the schema, and drop those digits of floats that depend on the order of a sum."""
    return [
        pl.col(name).cast(dtype).round(_DECIMALS) if dtype.is_float() else pl.col(name).cast(dtype)
        for name, dtype in schema.items()
    ]
