"""The lists that a release starts from: their contract, expectations and audit."""

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_assets import columns
from recsys_assets.quality.contract import Column, Contract
from recsys_assets.quality.expectations import CheckResult, Expectation, expect
from recsys_assets.quality.run_expectations import contract_expectations, evaluate
from recsys_assets.release.load import Release
from recsys_assets.release.promotion_checks import LIST_LENGTH, sample_users, served_lists
from recsys_assets.storage.arrays import NO_ITEM

RECOMMENDATIONS = Contract(
    name="recommendations",
    description="One item of one user's list, as a release holds it before the rules.",
    columns={
        columns.USER_ID: Column(dtype=pl.String, min_length=1, description="The source's id of the user."),
        columns.RANK: Column(dtype=pl.Int32, ge=1, unit="1", description="Place in the user's list, from 1."),
        columns.ITEM_ID: Column(dtype=pl.String, min_length=1, description="The source's id of the item."),
        columns.SCORE: Column(
            dtype=pl.Float32,
            unit="on the scale of the model",
            description="Higher is better; comparable within one list only.",
        ),
    },
    key=(columns.USER_ID, columns.ITEM_ID),
)

RECOMMENDATIONS_EXPECTATIONS: Final[list[Expectation]] = [
    *contract_expectations(RECOMMENDATIONS),
    expect(columns.SCORE).that(pl.col(columns.SCORE).is_finite(), name="finite", block_below=1.0),
    expect(columns.SCORE).that(
        pl.col(columns.SCORE) <= pl.col(columns.SCORE).shift().over(columns.USER_ID, order_by=columns.RANK),
        name="descending",
        block_below=1.0,
    ),
]
"""About every row; the first of a list has none before it, and passes."""


Items = npt.NDArray[np.integer[Any]]


LIST_EXPECTATIONS: Final[list[Expectation]] = [
    expect("listed").that(pl.col("listed") > 0, name="any", mostly=0.99, block_below=0.8),
    expect("listed").that(pl.col("listed") == pl.col("asked"), name="full", mostly=0.95),
    expect("seen").that(pl.col("seen") == 0, name="none", block_below=1.0),
]
"""About a frame with one row a user's list; see RECOMMENDATIONS_EXPECTATIONS for its items."""

_OVERALL: Final = {
    "distinct_share": (0.02, None, 0.002, None),
    "popular_share": (None, 0.95, None, None),  # where recent popularity ranks best, such lists are right
    "overlap_with_previous": (0.2, None, 0.01, None),
}
"""Of all lists together: warns below or above, blocks below or above."""

LIST_CHECKS: Final = (
    *(expectation.name for expectation in LIST_EXPECTATIONS),
    *(f"{name}_mean" for name in _OVERALL),
)
"""Names of the checks of `list_results`."""


def list_results(
    items_UK: Items,
    *,
    seen: list[Items],
    popular: Items,
    catalogue_size: int,
    previous_UK: Items | None = None,
) -> list[CheckResult]:
    """Check lists of K items for U users, -1 where a list is shorter.

    Args:
        items_UK: item numbers, best first.
        seen: each user's items.
        popular: the most popular items, those that count as popular.
        catalogue_size: items that could be recommended, > 0.
        previous_UK: what the previous release listed for the same users, in the same item numbers; None where
            there is none.
    """
    listed = items_UK != NO_ITEM
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
        # of the most that these lists could show: a share of the whole catalogue would depend on the sample
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


def _overlap(items_UK: Items, previous_UK: Items | None) -> float | None:
    """Mean share of a user's list that was in the list before; None where nothing was before."""
    if previous_UK is None or not len(items_UK):
        return None
    shares = [
        np.isin(now[now != NO_ITEM], before).mean()
        for now, before in zip(items_UK, previous_UK, strict=True)
        if (now != NO_ITEM).any()
    ]
    return float(np.mean(shares)) if shares else None


RECOMMENDATION_CHECKS = (*(expectation.name for expectation in RECOMMENDATIONS_EXPECTATIONS), *LIST_CHECKS)
"""Names of the checks of the lists: of each row, of each list, of all together."""


def recommendations_table(
    release: Release, nums: list[int], items_UK: Items, scores_UK: npt.NDArray[np.float32]
) -> pl.DataFrame:
    """Return the lists as RECOMMENDATIONS, a row an item.

    Args:
        release: the release that the numbers belong to.
        nums: the U users.
        items_UK: K item numbers each, best first; -1 where a list is shorter.
        scores_UK: their scores.
    """
    rows, places = np.nonzero(items_UK != NO_ITEM)
    return pl.DataFrame(
        [
            [release.users.id(nums[row]) for row in rows],
            places + 1,
            [release.items.id(int(item)) for item in items_UK[rows, places]],
            scores_UK[rows, places],
        ],
        schema=RECOMMENDATIONS.polars_schema(),
    )


def previous_lists(previous: Release, release: Release, nums: list[int]) -> Items:
    """Return the lists of a release's users by the one before, in the release's item numbers, (len(nums), 10)."""
    known = [previous.users.num(release.users.id(num)) for num in nums]
    found_UK, _ = served_lists(previous, [num for num in known if num is not None])
    renamed = [NO_ITEM if item < 0 else _renumbered(release, previous, int(item)) for item in found_UK.flat]
    rows_UK = np.full((len(nums), LIST_LENGTH), NO_ITEM, dtype=np.int32)
    rows_UK[[num is not None for num in known]] = np.array(renamed, dtype=np.int32).reshape(-1, LIST_LENGTH)
    return rows_UK


def _renumbered(release: Release, previous: Release, item: int) -> int:
    num = release.items.num(previous.items.id(item))
    return NO_ITEM if num is None else num


_POPULAR: Final = 100
"""Items that count as popular."""
_OF_AMOUNTS: Final = frozenset(LIST_CHECKS) - {"seen_none"}
"""Checks of lists that tell a worse release from the one before; a log may be such that every release fails them."""


def audit_lists(release: Release, previous: Release | None) -> list[CheckResult]:
    """Make the lists of a seeded sample of users, and check rows and lists, and compare them with those before.

    A check of amounts that blocks only warns where no release was before, or where that one has the same fault.

    Args:
        release: the release to judge.
        previous: the one to compare with; None for none.
    """
    nums = sample_users(release)
    items_UK, scores_UK = served_lists(release, nums)
    table = recommendations_table(release, nums, items_UK, scores_UK)
    results = evaluate(RECOMMENDATIONS_EXPECTATIONS, table, table=RECOMMENDATIONS.name)
    before = None if previous is None else previous_lists(previous, release, nums)
    results += _of_lists(release, nums, items_UK, previous_UK=before)
    excused = set(_OF_AMOUNTS)
    if previous is not None:
        own = sample_users(previous)
        found = _of_lists(previous, own, served_lists(previous, own)[0])
        excused &= {result.check for result in found if result.verdict == "block"}
    return [
        replace(result, verdict="warn") if result.verdict == "block" and result.check in excused else result
        for result in results
    ]


def _of_lists(
    release: Release, nums: list[int], items_UK: Items, *, previous_UK: Items | None = None
) -> list[CheckResult]:
    return list_results(
        items_UK,
        seen=[release.seen(num) for num in nums],
        popular=release.popular_items[:_POPULAR],
        catalogue_size=len(release.items),
        previous_UK=previous_UK,
    )
