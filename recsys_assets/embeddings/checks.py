"""Checks on what training and evaluation gave: finite, alive, converging, and better than popularity."""

from itertools import pairwise

import dagster as dg
import numpy as np
import polars as pl

from recsys_assets.embeddings.artifact import load_embeddings
from recsys_assets.resources import Artifacts, Lake

_K = 10
"""Length of the lists compared."""
_DEAD_BELOW = 1e-6
"""A dimension whose largest absolute value is less than this share of the whole's carries nothing."""


def _values_are_finite(artifacts: Artifacts, entity: str) -> dg.AssetCheckResult:
    rows = getattr(load_embeddings(artifacts.folder("embeddings")), f"{entity}_embeddings")
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    norms = np.linalg.norm(rows, axis=1)
    return dg.AssetCheckResult(
        passed=not bad.size and rows.shape[0] > 0,
        metadata={
            "rows": rows.shape[0],
            "bad_rows": [int(num) for num in bad[:20]],
            "median_norm": float(np.median(norms)) if norms.size else 0.0,
            "zero_rows": int((norms == 0).sum()),
        },
    )


@dg.asset_check(asset="user_embeddings", blocking=True, description="No user vector holds NaN or infinity.")
def user_values_are_finite(artifacts: Artifacts) -> dg.AssetCheckResult:
    """Look at every number."""
    return _values_are_finite(artifacts, "user")


@dg.asset_check(asset="item_embeddings", blocking=True, description="No item vector holds NaN or infinity.")
def item_values_are_finite(artifacts: Artifacts) -> dg.AssetCheckResult:
    """Look at every number."""
    return _values_are_finite(artifacts, "item")


@dg.asset_check(asset="item_embeddings", description="Every dimension carries something.")
def no_dead_dimensions(artifacts: Artifacts) -> dg.AssetCheckResult:
    """Compare each dimension's largest value with the largest of all."""
    items_ID = load_embeddings(artifacts.folder("embeddings")).item_embeddings
    largest_D = np.abs(items_ID).max(axis=0)
    dead = np.flatnonzero(largest_D <= _DEAD_BELOW * largest_D.max())
    return dg.AssetCheckResult(
        passed=not dead.size, severity=dg.AssetCheckSeverity.WARN, metadata={"dead": [int(d) for d in dead]}
    )


@dg.asset_check(asset="item_embeddings", blocking=True, description="The objective fell in every epoch.")
def objective_falls(artifacts: Artifacts) -> dg.AssetCheckResult:
    """Compare each epoch's objective with the one before."""
    losses = load_embeddings(artifacts.folder("embeddings")).training["losses"]
    rises = [epoch for epoch, (before, now) in enumerate(pairwise(losses), 2) if now > before]
    return dg.AssetCheckResult(
        passed=not rises, metadata={"rising_epochs": rises, "first": losses[0], "last": losses[-1]}
    )


def _ndcg(artifacts: Artifacts) -> dict[str, float]:
    rows = pl.read_parquet(artifacts.folder("evaluation") / "evaluation.parquet")
    at_ten = rows.filter(pl.col("metric") == "ndcg", pl.col("k") == _K)
    return dict(zip(at_ten["model"], at_ten["value"], strict=True))


@dg.asset_check(asset="evaluation", description="Ours has a higher NDCG@10 than popularity on held-out days.")
def better_than_popularity(lake: Lake, artifacts: Artifacts) -> dg.AssetCheckResult:
    """Compare the two values; too few held-out pairs to evaluate is something to look at."""
    found = _ndcg(artifacts)
    passed = bool(found) and found[lake.settings().training.objective] > found["popularity"]
    return dg.AssetCheckResult(
        passed=passed, severity=dg.AssetCheckSeverity.WARN, metadata={"ndcg_at_10": found}
    )


@dg.asset_check(asset="evaluation", description="Every metric of every model is a number between its bounds.")
def metrics_are_within_bounds(artifacts: Artifacts) -> dg.AssetCheckResult:
    """All but novelty, which is in bits, are shares."""
    rows = pl.read_parquet(artifacts.folder("evaluation") / "evaluation.parquet")
    share = pl.col("metric") != "novelty"
    bad = rows.filter(~pl.col("value").is_finite() | (pl.col("value") < 0) | (share & (pl.col("value") > 1)))
    return dg.AssetCheckResult(passed=bad.is_empty(), metadata={"bad": bad.to_dicts(), "rows": rows.height})


EMBEDDING_CHECKS = [user_values_are_finite, item_values_are_finite, no_dead_dimensions, objective_falls]
EVALUATION_CHECKS = [better_than_popularity, metrics_are_within_bounds]
