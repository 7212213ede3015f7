"""Training over processes, measured: difference to one process, and the memory of a process by their number.

Parts of `recsys bench scale_out`; each takes its launcher, so that the same figures come from processes of this machine
and from nodes of a cluster.
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from recsys_assets.benchmarks.synthetic import matrix, world
from recsys_assets.embeddings.factorisation import with_strengths
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, confidence
from recsys_assets.embeddings.shard_files import save_shards
from recsys_assets.embeddings.shard_memory import shard_bytes
from recsys_assets.embeddings.shard_worker import ShardResult, ShardTask, train_shard
from recsys_assets.embeddings.sharded_training import Workers
from recsys_assets.embeddings.training import train
from recsys_assets.launching.launcher import Launcher
from recsys_assets.storage.handover import Handover
from recsys_assets.storage.peak_memory import MEGABYTE
from recsys_assets.storage.string_table import Vocabulary
from recsys_assets.training_settings import TrainingSettings

EPOCHS: Final = 15
"""Those of the default settings."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """A set for the measure of memory: large enough that torch itself, 0.25 GB a process, is a small part."""

    users: int = 3_000_000
    items: int = 50_000
    pairs: int = 12_000_000
    embedding_size: int = 64


LARGE: Final = Sizes()
"""One process holds 2.1 GB."""


def train_equal(launcher: Launcher, *, pairs: int = 300_000, shards: int = 2) -> dict[str, Any]:
    """Train in one process and in several.

    Args:
        launcher: starts the processes.
        pairs: distinct pairs of the synthetic set, about.
        shards: number of processes.

    Returns:
        `pairs`, `epochs`, `max_difference_users`, `max_difference_items` and `max_difference_losses`, absolute.
    """
    found = matrix(replace(world(pairs), interactions=round(pairs * 1.72)))
    settings = TrainingSettings(epochs=EPOCHS)
    alone = train(found, settings)
    with tempfile.TemporaryDirectory(prefix="recsys-bench-shards-") as folder:
        workers = Workers(launcher=launcher, shards=shards, scratch=Path(folder), threads=1)
        several = train(found, settings, workers=workers)

    def most(one: Any, other: Any) -> float:
        return float(np.abs(np.subtract(one, other)).max())

    return {
        "pairs": found.entries,
        "epochs": EPOCHS,
        "max_difference_users": most(alone.user_embeddings, several.user_embeddings),
        "max_difference_items": most(alone.item_embeddings, several.item_embeddings),
        "max_difference_losses": most(alone.losses, several.losses),
    }


def memory_by_shards(launcher: Launcher, *, sizes: Sizes = LARGE, shards: int = 2) -> dict[str, Any]:
    """Train an epoch in one process and in several, and compare the highest memory of one of them.

    Args:
        launcher: starts the processes, one in a process of its own as well.
        sizes: of the set.
        shards: number of processes.

    Returns:
        `one_mb` and `several_mb`, the highest resident memory of a process; `memory_per_node_share`, their ratio;
        `without_torch_share`, the same without what a process held before it read anything; `prediction_error` of the
        memory plan for several, relative.
    """
    found = uniform_matrix(sizes)
    one, several = (_largest(launcher, found, sizes, count) for count in (1, shards))
    return {
        "users": sizes.users,
        "items": sizes.items,
        "pairs": found.entries,
        "one_mb": one["peak"],
        "several_mb": several["peak"],
        "memory_per_node_share": several["peak"] / one["peak"],
        "without_torch_share": (several["peak"] - several["before"]) / (one["peak"] - one["before"]),
        "prediction_error": several["predicted"] / several["peak"] - 1,
    }


def _largest(launcher: Launcher, found: InteractionMatrix, sizes: Sizes, shards: int) -> dict[str, float]:
    """Return the peak, the prediction and the memory before, in MB, of the largest of `shards` processes."""
    settings = with_strengths(TrainingSettings(embedding_size=sizes.embedding_size, epochs=1), found)
    with tempfile.TemporaryDirectory(prefix="recsys-bench-shards-") as name:
        folder = Path(name)
        plan = save_shards(folder, found, confidence(found, settings), settings, shards=shards)
        task = ShardTask(files=Handover(folder=name), plan=plan, settings=settings, threads=1)
        results: list[ShardResult] = launcher.gang(train_shard, task, size=shards)
    peaks = [result.memory_mb["measured_peak_mb"] for result in results]
    largest = int(np.argmax(peaks))
    users = plan.edges[largest + 1] - plan.edges[largest]
    own = shard_bytes((users, plan.items), plan.entries_of[largest], sizes.embedding_size) / MEGABYTE
    predicted = results[largest].memory_mb["predicted_peak_mb"]
    return {"peak": peaks[largest], "predicted": predicted, "before": predicted - own}


def uniform_matrix(sizes: Sizes, *, seed: int = 0) -> InteractionMatrix:
    """Draw pairs evenly over users and items: memory depends on the sizes alone. Pairs drawn twice count once."""
    rng = np.random.default_rng(seed)
    keys = np.unique(rng.integers(0, sizes.users * sizes.items, sizes.pairs))
    counts = np.bincount(keys // sizes.items, minlength=sizes.users)
    return InteractionMatrix(
        users=Vocabulary.from_strings(f"u{user:09}" for user in range(sizes.users)),
        items=Vocabulary.from_strings(f"i{item:09}" for item in range(sizes.items)),
        indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        item_nums=(keys % sizes.items).astype(np.int32),
        weights=np.ones(len(keys), np.float32),
        last_day=np.zeros(len(keys), np.int32),
    )
