"""The metrics of a day by release, list and arm, with their intervals. Pure functions on frames of attributed answers.

`all` has every answer of the day; `release`, `list` and `arm` split them. An answer outside of experiments has no arm.
"""

from typing import Final

import polars as pl

from recsys_assets.columns import ITEM_ID, VALUE
from recsys_assets.experiments.attribution import DAY, GROUPS, POSITION, UNIT
from recsys_assets.experiments.ratio_intervals import ratio_intervals
from recsys_assets.quality.contract import Column, Contract

CTR: Final = "ctr"
CONVERSION: Final = "conversion"
VALUE_PER_ANSWER: Final = "value_per_answer"
COVERAGE: Final = "coverage"
CTR_AT: Final = "ctr_at_"
"""Followed by a position from 1: the share of the items shown there that were clicked."""
MOST_POSITIONS: Final = 20
"""Positions of the curve; people rarely see those behind them."""
GROUP_KINDS: Final = ("all", "release", "list", "arm")
_GROUP: Final = [DAY, "group_kind", "group"]

ONLINE_METRICS: Final = Contract(
    name="online_metrics",
    description="One metric of a day's answers, of all of them or of a release, list or arm, with its 95 % interval.",
    columns={
        DAY: Column(dtype=pl.Date, description="UTC day when the answers were shown."),
        "group_kind": Column(dtype=pl.String, min_length=1, description="all, release, list or arm."),
        "group": Column(
            dtype=pl.String,
            min_length=1,
            description="The release's id, the kind of list, or experiment/arm.",
        ),
        "metric": Column(
            dtype=pl.String,
            min_length=1,
            description="ctr: answers clicked of those shown; conversion: users who bought of those shown any; "
            "value_per_answer; coverage: share of the catalogue shown; ctr_at_N: the share clicked at position N.",
        ),
        VALUE: Column(dtype=pl.Float64, ge=0, unit="share 0-1, or source's currency", description="Value."),
        "low": Column(dtype=pl.Float64, ge=0, nullable=True, description="Its interval's low end."),
        "high": Column(dtype=pl.Float64, ge=0, nullable=True, description="Its interval's high end."),
        "users": Column(dtype=pl.Int64, ge=1, description="Users who were shown any; the unit."),
        "shown": Column(
            dtype=pl.Int64, ge=1, description="Answers, users, items or impressions that it is of."
        ),
        "events": Column(
            dtype=pl.Int64, ge=0, description="Those of them that were clicked, bought or shown."
        ),
    },
    key=(DAY, "group_kind", "group", "metric"),
)


def metrics_of_days(answers: pl.DataFrame, items: pl.DataFrame, *, catalogue_items: int) -> pl.DataFrame:
    """Return the metrics of the days of answers, in `ONLINE_METRICS`' columns, sorted by its key.

    Args:
        answers: what `answers_shown` returned.
        items: what `items_shown` returned for them, with the columns `GROUPS`.
        catalogue_items: number of items in the catalogue; 0 where it is not known, and then there is no coverage.
    """
    grouped, one = _grouped(answers), pl.lit(1.0).alias("x")
    of_answers = grouped.select(*_GROUP, pl.col(UNIT).alias("unit"), one, "clicks", "purchases", VALUE)
    of_users = of_answers.group_by(*_GROUP, "unit").agg(pl.col("purchases").sum())
    bought = (pl.col("purchases") > 0).cast(pl.Float64).alias("y")
    clicked = (pl.col("clicks") > 0).cast(pl.Float64).alias("y")
    shares = pl.concat(
        [
            of_answers.select(*_GROUP, pl.lit(CTR).alias("metric"), "unit", "x", clicked),
            of_users.select(*_GROUP, pl.lit(CONVERSION).alias("metric"), "unit", one, bought),
        ]
    )
    amounts = of_answers.select(
        *_GROUP, pl.lit(VALUE_PER_ANSWER).alias("metric"), "unit", "x", pl.col(VALUE).alias("y")
    )
    by = [*_GROUP, "metric"]
    found = [
        ratio_intervals(shares, by=by, share=True),
        ratio_intervals(_at_positions(items), by=by, share=True),
        ratio_intervals(amounts, by=by, share=False),
        *([_coverage(items, grouped, catalogue_items)] if catalogue_items else []),
    ]
    schema = ONLINE_METRICS.polars_schema()
    return pl.concat([frame.select(schema.names()).cast(schema) for frame in found]).sort(ONLINE_METRICS.key)


def _at_positions(items: pl.DataFrame) -> pl.DataFrame:
    """Return the impressions and clicks of each user at each position; summed before they are split into groups."""
    within = items.filter(pl.col(POSITION).is_between(1, MOST_POSITIONS))
    summed = within.group_by(DAY, *GROUPS, POSITION, UNIT).agg(pl.len().alias("x"), pl.col("clicked").sum())
    return _grouped(summed).select(
        *_GROUP,
        (CTR_AT + pl.col(POSITION).cast(pl.String)).alias("metric"),
        pl.col(UNIT).alias("unit"),
        pl.col("x").cast(pl.Float64),
        pl.col("clicked").cast(pl.Float64).alias("y"),
        pl.col("clicked").alias("events"),
    )


def _coverage(items: pl.DataFrame, grouped: pl.DataFrame, catalogue_items: int) -> pl.DataFrame:
    """Return the share of the catalogue that each group showed: a count of the day, which needs no interval."""
    shown = _grouped(items.select(DAY, *GROUPS, ITEM_ID).unique())
    users = grouped.group_by(_GROUP).agg(pl.col(UNIT).n_unique().alias("users"))
    counts = shown.group_by(_GROUP).agg(pl.col(ITEM_ID).n_unique().alias("events"))
    return counts.join(users, on=_GROUP).with_columns(
        pl.lit(COVERAGE).alias("metric"),
        (pl.col("events") / catalogue_items).clip(upper_bound=1.0).alias(VALUE),
        pl.lit(None, pl.Float64).alias("low"),
        pl.lit(None, pl.Float64).alias("high"),
        pl.lit(catalogue_items).alias("shown"),
    )


def _grouped(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows once for each kind of group that they belong to."""
    arm = pl.when(pl.col("arm").is_not_null()).then(pl.format("{}/{}", "experiment", "arm"))
    names = {"all": pl.lit("all"), "release": pl.col("release"), "list": pl.col("list"), "arm": arm}
    of_kinds = [
        rows.with_columns(pl.lit(kind).alias("group_kind"), names[kind].cast(pl.String).alias("group"))
        for kind in GROUP_KINDS
    ]
    return pl.concat(of_kinds).filter(pl.col("group").is_not_null()).drop(GROUPS)
