"""`recsys bench rules`: the packaged `home` scenario against the plain best k, on days after the training.

The default's days are split once and a release of the first part is built. Every user gets a list of ten by
either; NDCG@10 is taken over the items touched for the first time in the held-out days. The overhead is the whole
scenario, candidates included, one request at a time, nothing cached.
"""

import re
import tempfile
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.benchmarks.harness import machine
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.evaluation import metrics
from recsys_assets.evaluation.evaluated_users import mean_intervals
from recsys_assets.lake.sources.registry import open_source
from recsys_assets.rules.engine.pipeline import Engine, Pipeline
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.language.expression_tree import columns_of
from recsys_assets.rules.language.reading import parse_rules
from recsys_assets.rules.rules_file import PACKAGED, packaged_engine
from recsys_assets.rules.testing.difference import HeldOut, cleaned_source, hold_out
from recsys_assets.settings import Settings
from recsys_assets.source_settings import SourceSettings
from recsys_assets.storage.home import FEATURE_DATABASE, Home

K: Final = 10
STRENGTHS: Final = (0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)
"""Strengths of diversity on the curve."""
ROUNDS: Final = 3
_STRENGTH: Final = re.compile(r"strength = [0-9.]+")


def run(
    *, spec: str = "completejourney", days: int | None = None, home: Path | None = None
) -> dict[str, Any]:
    """Compare the packaged `home` scenario with the plain best k: diversity, coverage, NDCG@10, time a request.

    Args:
        spec: of the source.
        days: number of its first days to use; None takes all.
        home: folder of the held-out release; None takes a temporary one.

    Returns:
        `diversity_gain`, `coverage_gain`, `ndcg_loss` as shares of the plain list's (`ndcg_loss_high` is the upper
        end of its 95 % interval), `overhead_ms`, `candidates`, the measures of both lists, the `curve` over the
        strength of diversity, and the machine.
    """
    with tempfile.TemporaryDirectory(prefix="recsys-rules-") as scratch:
        held = _held_out(spec, days, Home(home or Path(scratch)))
        truth = held.truth
        engine = packaged_engine(held.release, home=held.home)
        plain = _Lists(engine, engine.scenario("plain"), truth)
        ruled = _Lists(engine, engine.scenario("home"), truth)
        difference = plain.ndcg - ruled.ndcg
        _, low, high = mean_intervals({"loss": difference[np.isfinite(difference)]}, seed=0)["loss"]
        base = metrics.mean_known(plain.ndcg)
        return {
            "diversity_gain": ruled.diversity / plain.diversity - 1,
            "coverage_gain": ruled.coverage / plain.coverage - 1,
            "ndcg_loss": 1 - metrics.mean_known(ruled.ndcg) / base,
            "ndcg_loss_low": low / base,
            "ndcg_loss_high": high / base,
            **_overhead(engine),
            "plain": plain.as_dict(),
            "home": ruled.as_dict(),
            "curve": _curve(held, truth),
            "users": len(held.release.users),
            "items": len(held.release.items),
            "machine": machine("numpy", "polars"),
        }


class _Lists:
    """The lists of every user by one scenario, with their measures."""

    def __init__(self, engine: Engine, pipeline: Pipeline, truth: InteractionMatrix) -> None:
        release = engine.release
        nums = np.arange(len(release.users))
        lists_Rk = metrics.padded_lists(
            [
                pipeline.recommend(Request(k=K, user_id=release.users[num], user_num=num)).nums
                for num in nums.tolist()
            ],
            K,
        )
        self.ndcg = metrics.ndcg(lists_Rk, nums, truth)
        self.diversity = metrics.mean_known(
            metrics.intra_list_diversity(lists_Rk, release.item_factors, engine.facts.inverse_norms_I)
        )
        self.coverage = metrics.coverage(lists_Rk, len(release.items))
        self.categories = metrics.mean_known(
            metrics.category_counts(lists_Rk, engine.facts.table.text("category").codes)
        )

    def as_dict(self) -> dict[str, float]:
        return {
            "ndcg": metrics.mean_known(self.ndcg),
            "diversity": self.diversity,
            "coverage": self.coverage,
            "categories": self.categories,
        }


def _held_out(spec: str, days: int | None, home: Home) -> HeldOut:
    interactions = cleaned_source(spec)
    if days is not None:
        day = pl.col(columns.TIMESTAMP).dt.date()
        first = interactions.select(day.min()).collect().item()
        interactions = interactions.filter(day < first + timedelta(days=days))
    source = open_source(spec)
    dates = source.date_range()
    settings = Settings(source=SourceSettings(spec=spec, first_day=dates.first_day, last_day=dates.last_day))
    return hold_out(interactions, source.catalogue(), home, settings=settings, model=ModelSpec(model="ials"))


def _overhead(engine: Engine) -> dict[str, float]:
    """Return median and 99th percentile of the time of one request to the home scenario, ms, and its candidates."""
    release, pipeline = engine.release, engine.scenario("home")
    asks = [
        Request(k=K, user_id=release.users[num], user_num=num) for num in range(min(500, len(release.users)))
    ]
    seconds, candidates = [], []
    for _ in range(ROUNDS + 1):
        for asked in asks:
            started = perf_counter()
            answered = pipeline.recommend(asked)
            seconds.append(perf_counter() - started)
            candidates.append(answered.candidates)
    warm = np.asarray(seconds[len(asks) :]) * 1000
    return {
        "overhead_ms": float(np.median(warm)),
        "overhead_p99_ms": float(np.percentile(warm, 99)),
        "candidates": float(np.median(candidates)),
    }


def _curve(held: HeldOut, truth: InteractionMatrix) -> list[dict[str, float]]:
    """Measure the home scenario at other strengths of diversity, everything else unchanged."""
    known = columns_of(held.release.folder / FEATURE_DATABASE)
    points = []
    for strength in STRENGTHS:
        # the first strength of the file is the home scenario's
        text = _STRENGTH.sub(f"strength = {strength}", PACKAGED.read_text(encoding="utf-8"), count=1)
        rules = parse_rules(text.encode(), path=PACKAGED, columns=known)
        engine = Engine(held.release, rules, lists_folder=held.home.root)
        points.append({"strength": strength, **_Lists(engine, engine.scenario("home"), truth).as_dict()})
    return points
