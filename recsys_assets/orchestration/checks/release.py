"""Checks on a release as it lies on the disk: whole, loadable, and recommending what it should."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from recsys_assets.errors import ContractError
from recsys_assets.orchestration.question_checks import answers, question_specs
from recsys_assets.orchestration.resources import HomeReleases, Lake
from recsys_assets.quality.contract import validate
from recsys_assets.quality.run_expectations import evaluate
from recsys_assets.release.list_audit import (
    RECOMMENDATIONS,
    RECOMMENDATIONS_EXPECTATIONS,
    list_results,
    previous_lists,
    recommendations_table,
)
from recsys_assets.release.load import load_current
from recsys_assets.release.promotion_checks import sample_users, served_lists

_POPULAR = 100
"""Items that count as popular."""


@dg.asset_check(
    asset="release",
    blocking=True,
    description="Has every file the checksum that the manifest says? A damaged release serves damaged lists. "
    "If not: `recsys releases rollback`, then `recsys build`.",
)
def checksums_hold(releases: HomeReleases) -> dg.AssetCheckResult:
    """Read all of the current release."""
    store = releases.store()
    current = store.current_id()
    if current is None:
        return dg.AssetCheckResult(passed=False, description="no release is current")
    manifest = store.verify(current)
    return dg.AssetCheckResult(passed=True, metadata={"release_id": current, "files": len(manifest.files)})


@dg.multi_asset_check(specs=question_specs(RECOMMENDATIONS.name, asset="release"))
def recommendation_checks(lake: Lake, releases: HomeReleases) -> Iterator[dg.AssetCheckResult]:
    """Make the lists of a seeded sample of users, and compare them with those of the release before."""
    store = releases.store()
    release = load_current(store.root)
    nums = sample_users(release)
    items_UK, scores_UK = served_lists(release, nums)
    table = recommendations_table(release, nums, items_UK, scores_UK)
    results = evaluate(RECOMMENDATIONS_EXPECTATIONS, table, table=RECOMMENDATIONS.name)
    results += list_results(
        items_UK,
        seen=[release.seen(num) for num in nums],
        popular=release.popular_items[:_POPULAR],
        catalogue_size=len(release.items),
        previous_UK=previous_lists(store, release, nums),
    )
    with lake.ledger() as ledger:
        ledger.record(results, at=datetime.now(UTC))
    yield from answers(results, table=RECOMMENDATIONS.name, asset="release")


@dg.asset_check(
    asset="release",
    blocking=True,
    description="Have the lists of 500 users the columns, types, bounds and key of their contract (pandera)? Pages are "
    "made from them. If not: look at the answers on the lists beside this one, and at the failing rows.",
)
def recommendations_keep_their_contract(releases: HomeReleases) -> dg.AssetCheckResult:
    """Validate the table; which rows fail is shown by `recommendation_checks`."""
    release = load_current(releases.store().root)
    nums = sample_users(release)
    table = recommendations_table(release, nums, *served_lists(release, nums))
    try:
        validate(RECOMMENDATIONS, table)
    except ContractError as error:
        return dg.AssetCheckResult(passed=False, description=str(error), metadata={"rows": table.height})
    return dg.AssetCheckResult(passed=True, metadata={"rows": table.height})


RELEASE_CHECKS = [checksums_hold, recommendation_checks, recommendations_keep_their_contract]
