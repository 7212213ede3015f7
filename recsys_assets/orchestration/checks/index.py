"""Checks on the index: good enough against exact search, and whole."""

from datetime import UTC, datetime

import dagster as dg

from recsys_assets.embeddings.model_files import load_embeddings
from recsys_assets.index.choose_index import recall_result
from recsys_assets.index.index_report import read_report
from recsys_assets.index.item_index import ItemIndex
from recsys_assets.orchestration.resources import Artifacts, Lake


@dg.asset_check(
    asset="item_index",
    blocking=True,
    description="Does the index find what exact search finds (`[index] recall_target`)? What it misses is never shown. "
    "A little less warns, much less blocks. If not: look at `grid`, and build again.",
)
def recall_reaches_target(lake: Lake, artifacts: Artifacts) -> dg.AssetCheckResult:
    """Compare the recall that the build measured with the target of the settings."""
    report = read_report(artifacts.folder("index"))
    result = recall_result(report.recall, target=report.recall_target)
    with lake.ledger() as ledger:
        ledger.record([result], at=datetime.now(UTC))
    return dg.AssetCheckResult(
        passed=result.verdict == "ok",
        severity=dg.AssetCheckSeverity.ERROR if result.verdict == "block" else dg.AssetCheckSeverity.WARN,
        metadata={
            "recall": report.recall,
            "target": report.recall_target,
            "k": report.k,
            "queries": report.queries,
        },
    )


@dg.asset_check(
    asset="item_index",
    blocking=True,
    description="Is every item in the index? One that is not can never be recommended. "
    "If not: `recsys build` makes the index again.",
)
def every_item_is_indexed(artifacts: Artifacts) -> dg.AssetCheckResult:
    """Compare the counts, and search for one item."""
    items_ID = load_embeddings(artifacts.folder("embeddings")).item_embeddings
    index = ItemIndex.load(artifacts.folder("index"), items_ID)
    found, scores = index.search(items_ID[0], 1)
    expected = len(items_ID)
    indexed = read_report(artifacts.folder("index")).items
    return dg.AssetCheckResult(
        passed=indexed == expected and len(found) == 1,
        metadata={"indexed": indexed, "expected": expected, "first_score": float(scores[0])},
    )


INDEX_CHECKS = [recall_reaches_target, every_item_is_indexed]
