"""Ratios of sums with 95 % intervals that treat users as the unit.

The answers of one user are not independent, so an interval that counts answers is too narrow. The delta method takes
the user's sums as one observation: Deng, Knoblich & Lu 2018, "Applying the Delta Method in Metric Analytics", eq. 3.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

_Z: Final = 1.959964
"""The 97.5 % quantile of the normal distribution."""
_ALIKE: Final = 1e-12
"""A variance that is zero but for rounding."""
_RULE_OF_THREE: Final = 3.0
"""Where none of n was seen, the rate is below 3/n by 95 % (Hanley & Lippman-Hand 1983)."""


def ratio_intervals(rows: pl.DataFrame, *, by: Sequence[str], share: bool) -> pl.DataFrame:
    """Return sum(y) / sum(x) of each group, with its interval.

    The variance of the ratio R of n users' sums is (var y - 2 R cov(x, y) + R² var x) / (n mean(x)²). A share's
    interval is made on the logit, so that it stays in 0-1. The quantile is Student's, by the expansion of Abramowitz
    & Stegun 26.7.5, for days with few users.

    Args:
        rows: `unit, x, y` and the columns `by`, any number of rows a user; x > 0, y >= 0. With a column `events`, a row
            has that many; else one where y > 0.
        by: the columns of a group.
        share: y is part of x, so that the ratio is 0-1.

    Returns:
        `by, value, low, high, users, shown, events`: shown is sum(x). The interval is
        null for one user, and of a sum where nobody has any.
    """
    events = pl.col("events") if "events" in rows.columns else pl.col("y") > 0
    of_users = rows.group_by(*by, "unit").agg(pl.col("x", "y").sum(), events.sum().alias("events"))
    found = of_users.group_by(*by).agg(
        pl.len().alias("users"),
        pl.col("x").sum().alias("shown"),
        pl.col("events").sum(),
        (pl.col("y").sum() / pl.col("x").sum()).alias("value"),
        pl.col("x").mean().alias("mean_x"),
        pl.col("x").var().alias("var_x"),
        pl.col("y").var().alias("var_y"),
        pl.cov("x", "y", ddof=1).alias("cov"),
    )
    n, value = pl.col("users"), pl.col("value")
    spread = pl.col("var_y") - 2 * value * pl.col("cov") + value**2 * pl.col("var_x")
    variance = spread.clip(0) / (n * pl.col("mean_x") ** 2)
    if (
        share
    ):  # users who are all alike say nothing about the spread between users: that of their answers is left
        variance = pl.when(spread <= _ALIKE).then(value * (1 - value) / pl.col("shown")).otherwise(variance)
    margin = _quantile(n - 1) * variance.sqrt()
    low, high = _share_bounds(margin) if share else _sum_bounds(margin)
    enough = n > 1
    return found.select(
        *by,
        "value",
        pl.when(enough).then(low).alias("low"),
        pl.when(enough).then(high).alias("high"),
        n.cast(pl.Int64),
        pl.col("shown", "events").cast(pl.Int64),
    ).sort(by)


def _quantile(freedom: pl.Expr) -> pl.Expr:
    """Return Student's 97.5 % quantile for degrees of freedom of at least 1."""
    z = _Z
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def _share_bounds(margin: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    value, n = pl.col("value"), pl.col("users")
    logit, width = (value / (1 - value)).log(), margin / (value * (1 - value))
    inside = (value > 0) & (value < 1)
    beyond = (_RULE_OF_THREE / n).clip(upper_bound=1.0)
    low = (
        pl.when(inside).then(1 / (1 + (width - logit).exp())).when(value > 0).then(1 - beyond).otherwise(0.0)
    )
    high = pl.when(inside).then(1 / (1 + (-width - logit).exp())).when(value > 0).then(1.0).otherwise(beyond)
    return low, high


def _sum_bounds(margin: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    value, known = pl.col("value"), pl.col("events") > 0
    return pl.when(known).then((value - margin).clip(0.0)), pl.when(known).then(value + margin)
