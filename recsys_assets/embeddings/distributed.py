"""The same training with rows sharded over processes by `torch.distributed` (gloo), started by `torchrun`.

Each process solves its share of the rows of a side and then all of them gather the side; the matrix and both
sides' embeddings are in every process. `torchrun --nproc-per-node 2 -m recsys_assets.embeddings.distributed
MATRIX_FOLDER OUT_FOLDER SETTINGS_JSON` is what the Dagster pipes client starts.
"""

import sys
import time
import warnings
from pathlib import Path

import msgspec
import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from recsys_assets.embeddings.confidence import confidence
from recsys_assets.embeddings.half_step import Side, half_step, sides
from recsys_assets.embeddings.ials import CONVERGED_STEPS, initial_embeddings
from recsys_assets.embeddings.matrix import InteractionMatrix
from recsys_assets.embeddings.strengths import with_strengths
from recsys_assets.embeddings.vocabulary import Vocabulary
from recsys_assets.settings import TrainingSettings


def train_sharded(matrix: InteractionMatrix, settings: TrainingSettings) -> tuple[Tensor, Tensor]:
    """Train in the present process group; every process returns all of both sides, (U, D) and (I, D).

    Rows are cut so that each process has about as many entries. The numbers are those of `ials.train` but for
    the order of float32 sums.
    """
    settings = with_strengths(settings, matrix)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse (CSR|invariant)")
        users, items = sides(matrix, confidence(matrix, settings), settings)
        users_UD, items_ID = initial_embeddings(matrix.shape, settings, None)
        for _ in range(settings.epochs):
            _solve_shard(users, users_UD, items_ID, steps=settings.cg_steps)
            _solve_shard(items, items_ID, users_UD, steps=settings.cg_steps)
        _solve_shard(users, users_UD, items_ID, steps=CONVERGED_STEPS)
    return users_UD, items_ID


def _solve_shard(side: Side, rows_RD: Tensor, cols_CD: Tensor, *, steps: int) -> None:
    """One half-step: solve the rows of this process, then gather everybody's."""
    edges = shard_edges(side.indptr, dist.get_world_size())
    mine = slice(edges[dist.get_rank()], edges[dist.get_rank() + 1])
    if mine.start < mine.stop:
        half_step(side.rows(mine), rows_RD[mine], cols_CD, steps=steps)
    for rank in range(dist.get_world_size()):
        shard = rows_RD[edges[rank] : edges[rank + 1]]
        if len(shard):
            dist.broadcast(shard, src=rank)


def shard_edges(indptr: "np.ndarray[tuple[int], np.dtype[np.int64]]", shards: int) -> list[int]:
    """`shards` + 1 row numbers, 0 to R, between which lie about as many entries each."""
    wanted = indptr[-1] * np.arange(1, shards) / shards
    return [0, *(int(row) for row in np.searchsorted(indptr, wanted)), len(indptr) - 1]


def save_matrix(folder: Path, matrix: InteractionMatrix) -> None:
    """Write the matrix for `load_matrix` in another process, memory-mapped there."""
    folder.mkdir(parents=True, exist_ok=True)
    matrix.users.save(folder, "users")
    matrix.items.save(folder, "items")
    for name in _ARRAYS:
        np.save(folder / f"{name}.npy", getattr(matrix, name), allow_pickle=False)


def load_matrix(folder: Path) -> InteractionMatrix:
    """What `save_matrix` wrote."""
    arrays = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in _ARRAYS}
    return InteractionMatrix(
        users=Vocabulary.load(folder, "users"), items=Vocabulary.load(folder, "items"), **arrays
    )


_ARRAYS = ("indptr", "item_nums", "weights", "last_day")


def main(matrix_folder: Path, out: Path, settings: TrainingSettings) -> None:
    """Train in the group that `torchrun` made; rank 0 writes both sides' embeddings into `out`."""
    dist.init_process_group("gloo")
    began = time.perf_counter()
    try:
        users_UD, items_ID = train_sharded(load_matrix(matrix_folder), settings)
        if dist.get_rank() == 0:
            out.mkdir(parents=True, exist_ok=True)
            np.save(out / "user_embeddings.npy", users_UD.numpy(), allow_pickle=False)
            np.save(out / "item_embeddings.npy", items_ID.numpy(), allow_pickle=False)
            print(f"{dist.get_world_size()} processes, {time.perf_counter() - began:.2f} s")  # noqa: T201
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), msgspec.json.decode(sys.argv[3], type=TrainingSettings))
