"""The softmax objective on a published split: how good, how long, at which size.

The default settings were chosen on a validation part of Gowalla's training part; the test part chose none of them.
Another published split is tried the same way: `run(file=…)` takes any Parquet file of user, item, split.
"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from recsys_assets.benchmarks.datasets import gowalla_set, published_set
from recsys_assets.embeddings.training import train
from recsys_assets.evaluation.metrics import user_metrics
from recsys_assets.evaluation.ranking import by_factors, rank
from recsys_assets.evaluation.splits import Split
from recsys_assets.settings import SoftmaxSettings, TrainingSettings

SIZE = 128


def run(
    *, file: Path | None = None, embedding_size: int = SIZE, options: SoftmaxSettings | None = None
) -> dict[str, Any]:
    """Train on the training part and measure on the test part.

    Args:
        file: pairs with a `split` column; none: `gowalla_pairs.parquet` in the folder `RECSYS_TEST_DATA`.
        embedding_size: at most 128 for the published comparison.
        options: of the objective; none: the defaults.

    Returns:
        `recall20`, `ndcg20`, `seconds` (training alone), `embedding_size`, `losses`, `memory_mb`, `options`.
    """
    found = gowalla_set() if file is None else published_set(file.stem, file)
    chosen = options or SoftmaxSettings()
    return measure(
        found.test, TrainingSettings(objective="softmax", embedding_size=embedding_size, softmax=chosen)
    )


def measure(split: Split, settings: TrainingSettings) -> dict[str, Any]:
    """One fit and its quality."""
    trained = train(split.train, settings)
    users = np.flatnonzero(np.diff(split.truth.indptr))
    ranking = rank(split.train, users, by_factors(trained.user_embeddings, trained.item_embeddings), k=20)
    values = user_metrics(ranking, split.truth, k=20)
    return {
        "recall20": float(values["recall"].mean()),
        "ndcg20": float(values["ndcg"].mean()),
        "seconds": trained.seconds,
        "embedding_size": settings.embedding_size,
        "losses": trained.losses,
        "memory_mb": trained.memory_mb,
        "options": msgspec.to_builtins(settings.softmax),
    }
