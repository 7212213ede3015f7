"""Implicit ALS in torch: all rows of one side at once, by preconditioned conjugate gradient.

Rendle, Krichene, Zhang & Koren 2022, "Revisiting the Performance of iALS on Item Recommendation
Benchmarks". The objective, over user embeddings x, item embeddings y and confidences c of the observed pairs:

    Σ_observed c (1 - x·y)²  +  Σ_all pairs α (x·y)²  +  λ Σ_rows (Σ_observed c + Σ_all α)^ν |row|²

The weight α of a user's unobserved pairs is α₀ degree^η, divided by the mean of degree^η. With η = 0 it is the
paper's; η > 0 follows the softmax, whose loss has one sum over all items for each observed item of a user (Pu et
al. 2024, "Learning-Efficient Yet Generalizable Collaborative Filtering for Item Recommendation", derive a squared
loss from it). On the default η = 0.5 is worth 3 % of NDCG.

It also runs with its rows sharded over processes by `torch.distributed` (gloo), started by `torchrun`: each process
solves its share of the rows of a side, then all of them gather the side. The matrix and both sides' embeddings are in
every process. Over several machines torchrun takes its rendezvous options, and the folders are on a shared disk.

Shapes: U users, I items, n entries, D embedding_size; R rows and C columns of the side being solved.
All numbers are float32; the Gram matrix's eigenvectors and sums over rows are float64.
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
from recsys_assets.embeddings.ials_half_step import Side, half_step, sides
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, confidence
from recsys_assets.embeddings.memory_plan import plan_memory
from recsys_assets.storage.arrays import Float32, Int64
from recsys_assets.storage.string_table import Vocabulary
from recsys_assets.training_settings import TrainingSettings

CONVERGED_STEPS = 12
"""CG steps of the last half-step, after which a user's vector is the exact solution to 1e-4."""


class Ials:
    """iALS in training. An epoch solves the users and then the items.

    Items start at random and users at zero, or both from `start`. `finish` solves the users once more, to
    convergence, so that folding a user's history in gives the user's vector.
    """

    remedy = "raise `regularization`"

    def __init__(
        self,
        matrix: InteractionMatrix,
        settings: TrainingSettings,
        *,
        confidences_n: Float32,
        start: Start | None = None,
        half_step: Callable[..., float] = half_step,
    ) -> None:
        """Order the entries by both sides; `half_step` has the arguments of `ials_half_step.half_step`."""
        self._users, self._items = sides(matrix, confidences_n, settings)
        self._users_UD, self._items_ID = initial_embeddings(matrix.shape, settings, start)
        self._steps = settings.cg_steps
        self._half_step = half_step

    def epoch(self) -> float:
        """Solve the users and then the items; return the objective afterwards, per entry."""
        self._half_step(self._users, self._users_UD, self._items_ID, steps=self._steps)
        of_items = self._half_step(self._items, self._items_ID, self._users_UD, steps=self._steps)
        return _objective_by_entry(of_items, self._users, self._users_UD)

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """Return both sides, (U, D) and (I, D): not copies, the next epoch overwrites them."""
        return self._users_UD, self._items_ID

    def finish(self) -> None:
        """Solve the users to convergence."""
        self._half_step(self._users, self._users_UD, self._items_ID, steps=CONVERGED_STEPS)


def initial_embeddings(
    shape: tuple[int, int], settings: TrainingSettings, start: Start | None
) -> tuple[Tensor, Tensor]:
    """Return users at zero and items at random (a normal of variance 0.01 / D), or a copy of `start`."""
    if start is not None:
        given = torch.from_numpy(start.user_embeddings.copy()), torch.from_numpy(start.item_embeddings.copy())
        return given[0].to(settings.device), given[1].to(settings.device)
    users, items = shape
    generator = torch.Generator().manual_seed(settings.seed)
    items_ID = torch.randn(items, settings.embedding_size, generator=generator)
    items_ID *= 0.1 / settings.embedding_size**0.5
    return torch.zeros(users, settings.embedding_size, device=settings.device), items_ID.to(settings.device)


def _objective_by_entry(of_items: float, users: Side, users_UD: Tensor) -> float:
    """Return the whole objective divided by the number of entries.

    The items' half-step knows the objective of its rows, which is all of it but for the users' L2.
    """
    l2_of_users = torch.dot(users.l2_R, users_UD.square().sum(1)).double()
    return float(of_items + l2_of_users) / len(users.cols_n)


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
    """Train iALS in `settings.processes` processes; each calls `training.train_in_group`.

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
