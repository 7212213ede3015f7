"""iALS with its rows sharded over processes by `torch.distributed` (gloo), started by `torchrun`.

Each process solves its share of the rows of a side, then all of them gather the side; the matrix and both sides'
embeddings are in every process. The matrix and the result are handed over as files. On several machines it is the
same, with torchrun's rendezvous options and the folders on a shared disk.
"""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from recsys_assets.embeddings.factorisation import Factorisation, Start
from recsys_assets.embeddings.ials_half_step import Side, half_step
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, confidence
from recsys_assets.embeddings.memory_plan import plan_memory
from recsys_assets.settings import TrainingSettings
from recsys_assets.storage.arrays import Int64
from recsys_assets.storage.string_table import Vocabulary

_MATRIX = ("indptr", "item_nums", "weights", "last_day")
_SIDES = ("user_embeddings", "item_embeddings")
_LOSSES = "losses.json"


@dataclass(frozen=True, kw_only=True)
class Workers:
    """The processes that train together, as `train_by_workers` starts them."""

    run: Callable[[Path, Path, TrainingSettings], None]
    """Starts `settings.processes` of them on a matrix folder and an output folder, and waits for their end."""
    scratch: Path
    """An existing folder to hand the matrix and the result over in."""


def train_by_workers(
    matrix: InteractionMatrix, settings: TrainingSettings, *, workers: Workers, start: Start | None = None
) -> Factorisation:
    """Train iALS in `settings.processes` processes, each of which calls `training.train_in_group`.

    Raises:
        MemoryBudgetError: the processes would need more memory than their budget.
        Exception: a process failed; `workers.run` says how.
    """
    began = time.perf_counter()
    plan = plan_memory(
        shape=matrix.shape, entries=matrix.entries, settings=settings, processes=settings.processes
    )
    with tempfile.TemporaryDirectory(prefix="training-", dir=workers.scratch) as folder:
        given, out = Path(folder) / "matrix", Path(folder) / "out"
        save_matrix(given, matrix, start)
        workers.run(given, out, settings)
        users_UD, items_ID = (np.load(out / f"{name}.npy", allow_pickle=False) for name in _SIDES)
        losses = json.loads((out / _LOSSES).read_text(encoding="utf-8"))
    return Factorisation(
        user_embeddings=users_UD,
        item_embeddings=items_ID,
        confidences=confidence(matrix, settings),
        losses=losses,
        seconds=time.perf_counter() - began,
        settings=settings,
        memory_mb=plan.megabytes(),
    )


def sharded_half_step(side: Side, rows_RD: Tensor, cols_CD: Tensor, *, steps: int) -> float:
    """Solve the rows of this process, then gather everybody's; arguments and result as of `half_step`."""
    edges = shard_edges(side.indptr, dist.get_world_size())
    mine = slice(edges[dist.get_rank()], edges[dist.get_rank() + 1])
    objective = torch.zeros((), dtype=torch.float64)
    if mine.start < mine.stop:
        objective += half_step(side.rows(mine), rows_RD[mine], cols_CD, steps=steps)
    dist.all_reduce(objective)
    for rank in range(dist.get_world_size()):
        shard = rows_RD[edges[rank] : edges[rank + 1]]
        if len(shard):
            dist.broadcast(shard, src=rank)
    return float(objective)


def shard_edges(indptr: Int64, shards: int) -> list[int]:
    """Return `shards` + 1 row numbers, 0 to R, with about as many entries between each two."""
    wanted = indptr[-1] * np.arange(1, shards) / shards
    return [0, *(int(row) for row in np.searchsorted(indptr, wanted)), len(indptr) - 1]


def save_matrix(folder: Path, matrix: InteractionMatrix, start: Start | None = None) -> None:
    """Write the matrix, and the start where there is one, for `load_matrix` and `load_start`."""
    folder.mkdir(parents=True, exist_ok=True)
    matrix.users.save(folder, "users")
    matrix.items.save(folder, "items")
    for name in _MATRIX:
        np.save(folder / f"{name}.npy", getattr(matrix, name), allow_pickle=False)
    if start is not None:
        for name in _SIDES:
            np.save(folder / f"{name}.npy", getattr(start, name), allow_pickle=False)


def load_matrix(folder: Path) -> InteractionMatrix:
    """Read the matrix that `save_matrix` wrote."""
    arrays = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in _MATRIX}
    return InteractionMatrix(
        users=Vocabulary.load(folder, "users"), items=Vocabulary.load(folder, "items"), **arrays
    )


def load_start(folder: Path) -> Start | None:
    """Read the start that `save_matrix` wrote; None where there was none."""
    if not (folder / f"{_SIDES[0]}.npy").exists():
        return None
    return Start(**{name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in _SIDES})


def save_result(folder: Path, losses: list[float], users_UD: Tensor, items_ID: Tensor) -> None:
    """Write what `train_by_workers` reads when the processes have ended."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, side_ND in zip(_SIDES, (users_UD, items_ID), strict=True):
        np.save(folder / f"{name}.npy", side_ND.numpy(), allow_pickle=False)
    (folder / _LOSSES).write_text(json.dumps(losses), encoding="utf-8")
