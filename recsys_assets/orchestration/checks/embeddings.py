"""Checks on the results of training and evaluation: finite, alive, converging, and better than popularity."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import polars as pl

from recsys_assets.embeddings.model_files import (
    embedding_results,
    ends_above_lowest,
    load_embeddings,
    rising_epochs,
)
from recsys_assets.orchestration.question_checks import answers, question_specs
from recsys_assets.orchestration.resources import Artifacts, Lake

_K = 10
"""Length of the lists compared."""
_ENTITIES = ("user", "item")


@dg.multi_asset_check(
    specs=[
        spec
        for entity in _ENTITIES
        for spec in question_specs(f"{entity}_embeddings", asset=f"{entity}_embeddings", blocking=True)
    ]
)
def embedding_checks(lake: Lake, artifacts: Artifacts) -> Iterator[dg.AssetCheckResult]:
    """Judge every norm and every dimension."""
    embeddings = load_embeddings(artifacts.folder("embeddings"))
    with lake.ledger() as ledger:
        for entity in _ENTITIES:
            asset = f"{entity}_embeddings"
            results = embedding_results(asset, getattr(embeddings, asset))
            ledger.record(results, at=datetime.now(UTC))
            yield from answers(results, table=asset, asset=asset)


@dg.asset_check(
    asset="item_embeddings",
    blocking=True,
    description="Did the objective fall in every epoch (the softmax's, which is stochastic, end near its lowest)? "
    "One that rises diverges, and its lists are noise. If not: raise `[training] regularization`, or `recsys tune`.",
)
def objective_falls(artifacts: Artifacts) -> dg.AssetCheckResult:
    """Judge the losses. iALS falls in every epoch, so that a rise blocks; the softmax only warns."""
    training = load_embeddings(artifacts.folder("embeddings")).training
    losses, rises = training["losses"], rising_epochs(training["losses"])
    stochastic = training["settings"]["objective"] == "softmax"
    return dg.AssetCheckResult(
        passed=not ends_above_lowest(losses) if stochastic else not rises,
        severity=dg.AssetCheckSeverity.WARN if stochastic else dg.AssetCheckSeverity.ERROR,
        metadata={"rising_epochs": rises, "first": losses[0], "last": losses[-1], "lowest": min(losses)},
    )


def _ndcg(artifacts: Artifacts) -> dict[str, float]:
    rows = pl.read_parquet(artifacts.folder("evaluation") / "evaluation.parquet")
    at_ten = rows.filter(pl.col("metric") == "ndcg", pl.col("k") == _K)
    return dict(zip(at_ten["model"], at_ten["value"], strict=True))


@dg.asset_check(
    asset="evaluation",
    description="Is our NDCG@10 on held-out days above that of popularity? Else the list of bestsellers serves people "
    "better. If not: `recsys tune`, or land more days.",
)
def better_than_popularity(lake: Lake, artifacts: Artifacts) -> dg.AssetCheckResult:
    """Compare the two values; too few held-out pairs to evaluate fails the check too."""
    found = _ndcg(artifacts)
    passed = bool(found) and found[lake.settings().training.objective] > found["popularity"]
    return dg.AssetCheckResult(
        passed=passed, severity=dg.AssetCheckSeverity.WARN, metadata={"ndcg_at_10": found}
    )


@dg.asset_check(
    asset="evaluation",
    description="Is every metric of every model a number between its bounds? One that is not hides a fault in the "
    "model. If not: look at `bad`, and please report it.",
)
def metrics_are_within_bounds(artifacts: Artifacts) -> dg.AssetCheckResult:
    """Compare with the bounds: all but novelty, which is in bits, are shares."""
    rows = pl.read_parquet(artifacts.folder("evaluation") / "evaluation.parquet")
    share = pl.col("metric") != "novelty"
    bad = rows.filter(~pl.col("value").is_finite() | (pl.col("value") < 0) | (share & (pl.col("value") > 1)))
    return dg.AssetCheckResult(passed=bad.is_empty(), metadata={"bad": bad.to_dicts(), "rows": rows.height})


CHECKS_OF_EMBEDDINGS = [embedding_checks, objective_falls]
CHECKS_OF_EVALUATION = [better_than_popularity, metrics_are_within_bounds]
