"""The same training with rows sharded over processes by `torch.distributed` (gloo), started by `torchrun`.

Each process solves its share of the rows of a side and then all of them gather the side; the matrix and both
sides' embeddings are in every process. `torchrun --nproc-per-node 2 -m recsys_assets.embeddings.ials_sharded
MATRIX_FOLDER OUT_FOLDER SETTINGS_JSON` is what `processes` starts through Dagster's pipes client; on several
machines, the same with torchrun's rendezvous options and the folders on a shared disk.
"""

import json
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import torch
import torch.distributed as dist
from dagster_pipes import DAGSTER_PIPES_CONTEXT_ENV_VAR, open_dagster_pipes
from torch import Tensor

from recsys_assets.embeddings.ials import CONVERGED_STEPS, initial_embeddings, objective_by_entry
from recsys_assets.embeddings.ials_half_step import Side, half_step, sides
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, confidence
from recsys_assets.embeddings.training import Start, with_strengths
from recsys_assets.errors import TrainingDataError
from recsys_assets.settings import TrainingSettings
from recsys_assets.storage.string_table import Vocabulary


def train_sharded(
    matrix: InteractionMatrix,
    settings: TrainingSettings,
    *,
    start: Start | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
) -> tuple[Tensor, Tensor]:
    """Train in the present process group; every process returns all of both sides, (U, D) and (I, D).

    Rows are cut so that each process has about as many entries. The numbers are those of `ials.train` but for
    the order of float32 sums. Arguments and errors as there.
    """
    settings = with_strengths(settings, matrix)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse (CSR|invariant)")
        users, items = sides(matrix, confidence(matrix, settings), settings)
        users_UD, items_ID = initial_embeddings(matrix.shape, settings, start)
        for epoch in range(1, settings.epochs + 1):
            _solve_shard(users, users_UD, items_ID, steps=settings.cg_steps)
            of_items = _solve_shard(items, items_ID, users_UD, steps=settings.cg_steps)
            loss = objective_by_entry(of_items, users, users_UD)
            if not math.isfinite(loss):
                raise TrainingDataError(
                    f"the objective is {loss} after epoch {epoch}; raise `regularization`"
                )
            if on_epoch is not None:
                on_epoch(epoch, loss)
        _solve_shard(users, users_UD, items_ID, steps=CONVERGED_STEPS)
    return users_UD, items_ID


def _solve_shard(side: Side, rows_RD: Tensor, cols_CD: Tensor, *, steps: int) -> float:
    """One half-step: solve the rows of this process, then gather everybody's; the objective of all rows."""
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


def shard_edges(indptr: "np.ndarray[tuple[int], np.dtype[np.int64]]", shards: int) -> list[int]:
    """`shards` + 1 row numbers, 0 to R, between which lie about as many entries each."""
    wanted = indptr[-1] * np.arange(1, shards) / shards
    return [0, *(int(row) for row in np.searchsorted(indptr, wanted)), len(indptr) - 1]


def save_matrix(folder: Path, matrix: InteractionMatrix, start: Start | None = None) -> None:
    """Write the matrix, and where to start, for `load_matrix` and `load_start` in another process."""
    folder.mkdir(parents=True, exist_ok=True)
    matrix.users.save(folder, "users")
    matrix.items.save(folder, "items")
    for name in _ARRAYS:
        np.save(folder / f"{name}.npy", getattr(matrix, name), allow_pickle=False)
    if start is not None:
        for name in _STARTS:
            np.save(folder / f"{name}.npy", getattr(start, name), allow_pickle=False)


def load_start(folder: Path) -> Start | None:
    """Where `save_matrix` was told to start, if it was."""
    if not (folder / f"{_STARTS[0]}.npy").exists():
        return None
    return Start(**{name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in _STARTS})


def load_matrix(folder: Path) -> InteractionMatrix:
    """What `save_matrix` wrote."""
    arrays = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in _ARRAYS}
    return InteractionMatrix(
        users=Vocabulary.load(folder, "users"), items=Vocabulary.load(folder, "items"), **arrays
    )


_ARRAYS = ("indptr", "item_nums", "weights", "last_day")
_STARTS = ("user_embeddings", "item_embeddings")


def main(matrix_folder: Path, out: Path, settings: TrainingSettings) -> None:
    """Train in the group that `torchrun` made; rank 0 writes both sides' embeddings and the losses into `out`.

    A start is taken from `matrix_folder` where there is one, and progress is told to Dagster where it listens.
    """
    dist.init_process_group("gloo")
    losses: list[float] = []
    try:
        with _told() as tell:

            def keep(epoch: int, loss: float) -> None:
                losses.append(loss)
                tell(f"epoch {epoch} of {settings.epochs}: objective {loss:.6f} a pair")

            users_UD, items_ID = train_sharded(
                load_matrix(matrix_folder), settings, start=load_start(matrix_folder), on_epoch=keep
            )
        if dist.get_rank() == 0:
            out.mkdir(parents=True, exist_ok=True)
            np.save(out / "user_embeddings.npy", users_UD.numpy(), allow_pickle=False)
            np.save(out / "item_embeddings.npy", items_ID.numpy(), allow_pickle=False)
            (out / "losses.json").write_text(json.dumps(losses), encoding="utf-8")
    finally:
        dist.destroy_process_group()


@contextmanager
def _told() -> Iterator[Callable[[str], None]]:
    """Where progress is told: Dagster's log from rank 0 under its pipes client, nowhere else."""
    if dist.get_rank() or DAGSTER_PIPES_CONTEXT_ENV_VAR not in os.environ:
        yield lambda _: None
        return
    with open_dagster_pipes() as pipes:
        yield pipes.log.info


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), msgspec.json.decode(sys.argv[3], type=TrainingSettings))
