"""Checks on the choice, training and evaluation: compared, finite, alive, converging, better than baselines."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import polars as pl

from recsys_assets.embeddings.embedding_audit import embedding_results, ends_above_lowest, rising_epochs
from recsys_assets.embeddings.model_files import load_embeddings
from recsys_assets.evaluation.model_choice import ModelChoice
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
    recipe = embeddings.score.recipe
    factors = {"item": slice(recipe.factor_size), "user": recipe.scored_factors}
    if min(len(embeddings.users), len(embeddings.items)) < recipe.factor_size:
        factors = dict.fromkeys(_ENTITIES, slice(0))  # so few rows cannot fill every dimension
    with lake.ledger() as ledger:
        for entity in _ENTITIES:
            asset = f"{entity}_embeddings"
            results = embedding_results(asset, getattr(embeddings, asset), factors=factors[entity])
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
    stochastic = training["settings"]["model"] == "softmax"
    return dg.AssetCheckResult(
        passed=not ends_above_lowest(losses) if stochastic else not rises,
        severity=dg.AssetCheckSeverity.WARN if stochastic else dg.AssetCheckSeverity.ERROR,
        metadata={"rising_epochs": rises, "first": losses[0], "last": losses[-1], "lowest": min(losses)},
    )


@dg.asset_check(
    asset="model_choice",
    description="Was the model chosen by comparing models on held-out days? Else it is a guess. If not: land more days "
    "or name the model in `[training] model`.",
)
def models_were_compared(artifacts: Artifacts) -> dg.AssetCheckResult:
    """Warn where too few users or days were there to compare on."""
    found = ModelChoice.load(artifacts.folder("choice"))
    return dg.AssetCheckResult(
        passed=not found.problem,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"problem": found.problem, "users": found.users, "model": found.spec.model},
    )


@dg.asset_check(
    asset="evaluation",
    description="Is the model's NDCG@10 on held-out days above that of every baseline: popularity of all time, decayed "
    "and of the last month, item-kNN, EASE? Else a one-line list serves people better. If not: `recsys tune`, or land "
    "more days.",
)
def beats_baselines(artifacts: Artifacts) -> dg.AssetCheckResult:
    """Name the baselines above the model; too few held-out pairs to evaluate fails the check too."""
    from recsys_assets.evaluation.comparison import BASELINES, better_baselines  # noqa: PLC0415  torch

    table = pl.read_parquet(artifacts.folder("evaluation") / "evaluation.parquet")
    better = better_baselines(table, k=_K)
    rows = table.filter(pl.col("metric") == "ndcg", pl.col("k") == _K)
    ndcg = dict(zip(rows["model"], rows["value"], strict=True))
    ours = max((value for model, value in ndcg.items() if model not in BASELINES), default=0.0)
    said = ", ".join(f"{model} {value:.4f}" for model, value in better.items())
    return dg.AssetCheckResult(
        passed=not rows.is_empty() and not better,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"NDCG@10 of {rows['users'][0]:,} users: {said}; the model {ours:.4f}. Try `recsys tune`"
        if better
        else None,
        metadata={"better": better, "ndcg_at_10": ndcg},
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
CHECKS_OF_CHOICE = [models_were_compared]
CHECKS_OF_EVALUATION = [beats_baselines, metrics_are_within_bounds]
