"""Checks on what was made, not only on what came in: embeddings, recommendations, index recall, freshness.

Plain arrays in, `CheckResult`s out; the bounds are expectations with two bands, as for any other table.
"""

from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_assets.quality.evaluation import evaluate
from recsys_assets.quality.expectations import CheckResult, Expectation, expect

Items = npt.NDArray[np.integer[Any]]

_NOTHING: Final = 1e-6
_NO_ITEM: Final = -1

EMBEDDING_EXPECTATIONS: Final[list[Expectation]] = [
    expect("norm").that(pl.col("norm").is_finite(), name="finite", block_below=1.0),
    expect("norm").that(pl.col("norm") > _NOTHING, name="not_zero", mostly=0.25, block_below=0.01),
    expect("norm").that(
        pl.col("norm") < 20 * pl.col("norm").quantile(0.9), name="no_giants", mostly=0.999, block_below=0.95
    ),
]
"""About a frame with one row an embedding.

In a sparse log many items hang together with few others and rightly get vectors of nearly nothing: half of
them in Amazon's smaller categories. So only a model of nothing else blocks, and giants are measured against
the larger ones.
"""

DIMENSION_EXPECTATIONS: Final[list[Expectation]] = [
    expect("deviation").that(
        pl.col("deviation") > _NOTHING * pl.col("deviation").max(),
        name="alive",
        mostly=0.95,
        block_below=0.5,
    )
]
"""About a frame with one row a dimension: its standard deviation over the embeddings."""

EMBEDDING_CHECKS: Final = tuple(
    expectation.name for expectation in (*EMBEDDING_EXPECTATIONS, *DIMENSION_EXPECTATIONS)
)
"""Names of the checks of `embedding_results`."""

LIST_EXPECTATIONS: Final[list[Expectation]] = [
    expect("listed").that(pl.col("listed") > 0, name="any", mostly=0.99, block_below=0.8),
    expect("listed").that(pl.col("listed") == pl.col("asked"), name="full", mostly=0.95),
    expect("seen").that(pl.col("seen") == 0, name="none", block_below=1.0),
]
"""About a frame with one row a user's list; what holds of its items is in `release.contract`."""

_OVERALL: Final = {
    "distinct_share": (0.02, None, 0.002, None),
    "popular_share": (None, 0.95, None, 0.999),
    "overlap_with_previous": (0.2, None, 0.01, None),
}
"""Of all lists together: warns below or above, blocks below or above."""

LIST_CHECKS: Final = (
    *(expectation.name for expectation in LIST_EXPECTATIONS),
    *(f"{name}_mean" for name in _OVERALL),
)
"""Names of the checks of `list_results`."""


def embedding_results(table: str, vectors_ND: npt.NDArray[np.floating[Any]]) -> list[CheckResult]:
    """Norms and dimensions of embeddings: N vectors of D dimensions."""
    with np.errstate(invalid="ignore", over="ignore"):
        norms = np.linalg.norm(vectors_ND.astype(np.float64), axis=1)
        deviations = np.nanstd(np.where(np.isfinite(vectors_ND), vectors_ND, np.nan), axis=0)
    return [
        *evaluate(
            EMBEDDING_EXPECTATIONS, pl.DataFrame({"num": np.arange(len(norms)), "norm": norms}), table=table
        ),
        *evaluate(
            DIMENSION_EXPECTATIONS,
            pl.DataFrame({"dimension": np.arange(len(deviations)), "deviation": deviations}),
            table=table,
        ),
    ]


def list_results(
    items_UK: Items,
    *,
    seen: list[Items],
    popular: Items,
    catalogue_size: int,
    previous_UK: Items | None = None,
) -> list[CheckResult]:
    """Lists of K items for U users, -1 where a list is shorter.

    Args:
        items_UK: item numbers, best first.
        seen: each user's items.
        popular: the most popular items, as many as are called popular.
        catalogue_size: items that could be recommended, > 0.
        previous_UK: what the previous release listed for the same users, in the same item numbers; None where
            there is none.
    """
    listed = items_UK != _NO_ITEM
    rows = pl.DataFrame(
        {
            "user": np.arange(len(items_UK)),
            "asked": np.full(len(items_UK), items_UK.shape[1]),
            "listed": listed.sum(axis=1),
            "seen": [
                int(np.isin(row[there], own).sum())
                for row, there, own in zip(items_UK, listed, seen, strict=True)
            ],
        }
    )
    every = items_UK[listed]
    overall = {
        # of what so many lists could show at most: a share of the whole catalogue would depend on the sample
        "distinct_share": len(np.unique(every)) / min(catalogue_size, items_UK.size)
        if items_UK.size
        else None,
        "popular_share": float(np.isin(every, popular).mean()) if len(every) else None,
        "overlap_with_previous": _overlap(items_UK, previous_UK),
    }
    results = evaluate(LIST_EXPECTATIONS, rows, table="recommendations")
    for name, value in overall.items():
        frame = pl.DataFrame({name: [value]}, schema={name: pl.Float64})
        low, high, block_low, block_high = _OVERALL[name]
        bounds = expect(name).mean_within(low, high, block_low=block_low, block_high=block_high)
        results += evaluate([bounds], frame, table="recommendations")
    return results


def recall_result(recall: float, *, target: float) -> CheckResult:
    """The index's recall against exact search; blocks where it loses five times what is allowed."""
    least = max(1 - 5 * (1 - target), 0.0)
    bounds = expect("recall").mean_within(target, None, block_low=least)
    return evaluate([bounds], pl.DataFrame({"recall": [recall]}), table="item_index")[0]


def freshness_result(table: str, *, as_of: date, through_day: date) -> CheckResult:
    """Days that a feature table is behind the interactions; one warns, more than seven block."""
    bounds = expect("days_behind").mean_within(None, 0, block_high=7)
    behind = float((through_day - as_of).days)
    return evaluate([bounds], pl.DataFrame({"days_behind": [behind]}), table=table)[0]


def _overlap(items_UK: Items, previous_UK: Items | None) -> float | None:
    """Mean share of a user's list that was in the list before; None where nothing was before."""
    if previous_UK is None or not len(items_UK):
        return None
    shares = [
        np.isin(now[now != _NO_ITEM], before).mean()
        for now, before in zip(items_UK, previous_UK, strict=True)
        if (now != _NO_ITEM).any()
    ]
    return float(np.mean(shares)) if shares else None
