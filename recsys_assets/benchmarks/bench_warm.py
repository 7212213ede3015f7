"""Retraining after a new day from the last embeddings: how many epochs until it is as good as from scratch."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from recsys_assets.benchmarks.datasets import default_increment
from recsys_assets.embeddings.factorisation import Factorisation
from recsys_assets.embeddings.model_files import last_trained, save_embeddings
from recsys_assets.embeddings.training import train
from recsys_assets.evaluation.metrics import user_metrics
from recsys_assets.evaluation.ranking import by_factors, rank
from recsys_assets.evaluation.splits import Split
from recsys_assets.settings import TrainingSettings

_EPOCHS = (1, 2, 3)
"""A quarter of the cold run's 15 or fewer."""


def run() -> dict[str, Any]:
    """Train on all but the last training day, then on all of them, cold and warm.

    Returns:
        `cold` and `warm`, a list: `epochs`, `ndcg20` and `seconds`; `ndcg_ratio`, the best warm over the cold.
    """
    before, split = default_increment()
    cold = train(split.train, TrainingSettings())
    with tempfile.TemporaryDirectory(prefix="recsys-bench-warm-") as folder:
        save_embeddings(Path(folder), matrix=before, factorisation=train(before, TrainingSettings()))
        warm = [
            train(split.train, settings, start=last_trained(Path(folder), split.train, settings))
            for settings in (TrainingSettings(epochs=epochs, warm_start_epochs=epochs) for epochs in _EPOCHS)
        ]
    shown = [_figures(found, split) for found in (cold, *warm)]
    best = max(figures["ndcg20"] for figures in shown[1:])
    return {"cold": shown[0], "warm": shown[1:], "ndcg_ratio": best / shown[0]["ndcg20"]}


def _figures(found: Factorisation, split: Split) -> dict[str, float]:
    users = np.flatnonzero(np.diff(split.truth.indptr))
    ranking = rank(split.train, users, by_factors(found.user_embeddings, found.item_embeddings), k=20)
    ndcg = float(user_metrics(ranking, split.truth, k=20)["ndcg"].mean())
    return {"epochs": len(found.losses), "ndcg20": ndcg, "seconds": found.seconds}
