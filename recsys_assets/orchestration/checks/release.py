"""Checks on a release as it lies on the disk: whole, loadable, and recommending what it should."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_assets.errors import ContractError, ReleaseError
from recsys_assets.orchestration.metadata import as_asset_checks
from recsys_assets.orchestration.resources import Lake, Releases
from recsys_assets.quality.evaluation import evaluate
from recsys_assets.quality.results import LIST_CHECKS, Items, list_results
from recsys_assets.quality.validation import validate
from recsys_assets.release.contract import RECOMMENDATIONS, RECOMMENDATIONS_EXPECTATIONS
from recsys_assets.release.load import Release, load_release
from recsys_assets.release.release_store import ReleaseStore

_SAMPLED_USERS = 500
_K = 10
_POPULAR = 100
"""Items that count as popular."""
_NO_ITEM = -1

RECOMMENDATION_CHECKS = (*(expectation.name for expectation in RECOMMENDATIONS_EXPECTATIONS), *LIST_CHECKS)
"""Names of the checks of the lists: of each row, of each list, of all together."""


@dg.asset_check(
    asset="release", blocking=True, description="Every file has the checksum that the manifest says."
)
def checksums_hold(releases: Releases) -> dg.AssetCheckResult:
    """Read all of the current release."""
    store = releases.store()
    current = store.current_id()
    if current is None:
        return dg.AssetCheckResult(passed=False, description="no release is current")
    manifest = store.verify(current)
    return dg.AssetCheckResult(passed=True, metadata={"release_id": current, "files": len(manifest.files)})


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(
            name, asset="release", description=f"{name.replace('_', ' ')}, of 500 users' lists."
        )
        for name in RECOMMENDATION_CHECKS
    ]
)
def recommendation_checks(lake: Lake, releases: Releases) -> Iterator[dg.AssetCheckResult]:
    """Make the lists of a seeded sample of users, and compare them with those of the release before."""
    store, release = releases.store(), _current(releases)
    nums = _sample(release)
    items_UK, scores_UK = _lists(release, nums)
    table = recommendations_table(release, nums, items_UK, scores_UK)
    results = evaluate(RECOMMENDATIONS_EXPECTATIONS, table, table=RECOMMENDATIONS.name)
    results += list_results(
        items_UK,
        seen=[_history(release, num) for num in nums],
        popular=release.popular_items[:_POPULAR],
        catalogue_size=len(release.items),
        previous_UK=_previous_lists(store, release, nums),
    )
    with lake.ledger() as ledger:
        ledger.record(results, at=datetime.now(UTC))
    yield from as_asset_checks(results, asset="release", declared=RECOMMENDATION_CHECKS)


@dg.asset_check(
    asset="release",
    blocking=True,
    description="The lists of 500 users have the columns, types, bounds and key of their contract (pandera).",
)
def recommendations_keep_their_contract(releases: Releases) -> dg.AssetCheckResult:
    """Validate the table; which rows fail is shown by `recommendation_checks`."""
    release = _current(releases)
    nums = _sample(release)
    table = recommendations_table(release, nums, *_lists(release, nums))
    try:
        validate(RECOMMENDATIONS, table)
    except ContractError as error:
        return dg.AssetCheckResult(passed=False, description=str(error), metadata={"rows": table.height})
    return dg.AssetCheckResult(passed=True, metadata={"rows": table.height})


def recommendations_table(
    release: Release, nums: list[int], items_UK: Items, scores_UK: npt.NDArray[np.float32]
) -> pl.DataFrame:
    """The lists as RECOMMENDATIONS, a row an item.

    Args:
        release: whose numbers these are.
        nums: the U users.
        items_UK: K item numbers each, best first; -1 where a list is shorter.
        scores_UK: their scores.
    """
    rows, places = np.nonzero(items_UK != _NO_ITEM)
    return pl.DataFrame(
        [
            [release.users.id(nums[row]) for row in rows],
            places + 1,
            [release.items.id(int(item)) for item in items_UK[rows, places]],
            scores_UK[rows, places],
        ],
        schema=RECOMMENDATIONS.polars_schema(),
    )


def _current(releases: Releases) -> Release:
    store = releases.store()
    current = store.current_id()
    if current is None:
        raise ReleaseError(f"{store.root}: no release is current; run `recsys build`")
    return load_release(store.path(current), verify=False)


def _sample(release: Release) -> list[int]:
    count = len(release.users)
    chosen = np.random.default_rng(0).choice(count, min(count, _SAMPLED_USERS), replace=False)
    return sorted(int(num) for num in chosen)


def _history(release: Release, num: int) -> npt.NDArray[np.int32]:
    start, end = release.history_indptr[num : num + 2]
    history: npt.NDArray[np.int32] = release.history_items[start:end]
    return history


def _lists(release: Release, nums: list[int]) -> tuple[Items, npt.NDArray[np.float32]]:
    """The first ten of each user as serving starts from them, -1 where there are fewer."""
    items_UK = np.full((len(nums), _K), _NO_ITEM, dtype=np.int32)
    scores_UK = np.full((len(nums), _K), -np.inf, dtype=np.float32)
    for row, num in enumerate(nums):
        if release.candidates_items is not None and release.candidates_scores is not None:
            found, scores = release.candidates_items[num, :_K], release.candidates_scores[num, :_K]
        else:
            history = _history(release, num)
            wanted = min(len(release.items), _K + len(history))
            found, scores = release.index.search(release.user_embeddings[num], wanted)
            unseen = ~np.isin(found, history)
            found, scores = found[unseen][:_K], scores[unseen][:_K]
        items_UK[row, : len(found)], scores_UK[row, : len(found)] = found, scores
    return items_UK, scores_UK


def _previous_lists(store: ReleaseStore, release: Release, nums: list[int]) -> Items | None:
    """The same users' lists of the release before, in this one's item numbers; None where there is none."""
    before = store.previous_id()
    if before is None:
        return None
    previous = load_release(store.path(before), verify=False)
    known = [previous.users.num(release.users.id(num)) for num in nums]
    found_UK, _ = _lists(previous, [num for num in known if num is not None])
    renamed = [_NO_ITEM if item < 0 else _renumbered(release, previous, int(item)) for item in found_UK.flat]
    rows_UK = np.full((len(nums), _K), _NO_ITEM, dtype=np.int32)
    rows_UK[[num is not None for num in known]] = np.array(renamed, dtype=np.int32).reshape(-1, _K)
    return rows_UK


def _renumbered(release: Release, previous: Release, item: int) -> int:
    num = release.items.num(previous.items.id(item))
    return _NO_ITEM if num is None else num


RELEASE_CHECKS = [checksums_hold, recommendation_checks, recommendations_keep_their_contract]
