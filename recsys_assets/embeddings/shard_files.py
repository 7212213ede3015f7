"""Files of a training over processes: each process reads its own users' entries, and writes their vectors.

In the folder are a folder a process (`0000`: `indptr.npy`, `item_nums.npy`, `confidences.npy`, and
`user_embeddings.npy`, first of a start and then of the result), and `item_embeddings.npy` in the same way.
Shapes: U users, I items, n entries, D embedding_size.
"""

from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
from torch import Tensor

from recsys_assets.embeddings.factorisation import Start, activity_scale
from recsys_assets.embeddings.ials_half_step import UserRows
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.shard_memory import ENTRY_BYTES
from recsys_assets.storage.arrays import Float32, Int64, create_array, map_array
from recsys_assets.training_settings import TrainingSettings

_USERS: Final = "user_embeddings.npy"
_ITEMS: Final = "item_embeddings.npy"
_NUMBER_BYTES: Final = 8
"""Bytes of a number of a user's vector: the vector, and the same in the eigenvectors of the Gram matrix."""


class ShardPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The cut of the users, and what a process needs to know about all of them."""

    edges: list[int]
    """User numbers, one more than processes: process k has the users from edge k to edge k + 1."""
    items: int
    """Number of items."""
    entries_of: list[int]
    """Entries of each process."""
    activity: float
    """See `UserRows.activity`."""
    has_start: bool
    """True where the embeddings to go on from are in the folder."""


def sent_names(plan: ShardPlan, shard: int) -> list[str]:
    """Return the files that one process reads."""
    own = ["indptr.npy", "item_nums.npy", "confidences.npy"]
    start = [_USERS] if plan.has_start else []
    return [f"{shard:04}/{name}" for name in own + start] + ([_ITEMS] if plan.has_start else [])


def made_names(shard: int) -> list[str]:
    """Return the files that one process makes."""
    return [f"{shard:04}/{_USERS}", *([_ITEMS] if shard == 0 else [])]


def save_shards(
    folder: Path,
    matrix: InteractionMatrix,
    confidences_n: Float32,
    settings: TrainingSettings,
    *,
    shards: int,
    start: Start | None = None,
) -> ShardPlan:
    """Write what each of `shards` processes reads; nothing is copied in memory.

    Args:
        folder: an empty or missing folder.
        matrix: the observed pairs.
        confidences_n: confidence of each entry.
        settings: embedding size and η.
        shards: number of processes, >= 1.
        start: embeddings to go on from.
    """
    degrees_U = np.diff(matrix.indptr)
    edges = shard_edges(matrix.indptr, shards, embedding_size=settings.embedding_size)
    plan = ShardPlan(
        edges=edges,
        items=len(matrix.items),
        entries_of=np.diff(matrix.indptr[edges]).tolist(),
        activity=activity_scale(degrees_U, settings.activity_exponent),
        has_start=start is not None,
    )
    for shard in range(shards):
        own = folder / f"{shard:04}"
        own.mkdir(parents=True)
        users = slice(plan.edges[shard], plan.edges[shard + 1])
        first, last = int(matrix.indptr[users.start]), int(matrix.indptr[users.stop])
        arrays: dict[str, npt.NDArray[Any]] = {
            "indptr.npy": matrix.indptr[users.start : users.stop + 1] - first,
            "item_nums.npy": matrix.item_nums[first:last],
            "confidences.npy": confidences_n[first:last],
        }
        if start is not None:
            arrays[_USERS] = start.user_embeddings[users]
        for name, array in arrays.items():
            np.save(own / name, array, allow_pickle=False)
    if start is not None:
        np.save(folder / _ITEMS, start.item_embeddings, allow_pickle=False)
    return plan


def shard_edges(indptr: Int64, shards: int, *, embedding_size: int) -> list[int]:
    """Return `shards` + 1 user numbers, 0 to U, with about as many bytes of entries and vectors between each two."""
    bytes_U = ENTRY_BYTES * indptr + _NUMBER_BYTES * embedding_size * np.arange(len(indptr))
    wanted = bytes_U[-1] * np.arange(1, shards) / shards
    return [0, *(int(row) for row in np.searchsorted(bytes_U, wanted)), len(indptr) - 1]


def load_shard(folder: Path, plan: ShardPlan, shard: int) -> UserRows:
    """Read the entries of one process."""
    indptr, item_nums, confidences_n = (
        np.load(folder / f"{shard:04}" / f"{name}.npy", allow_pickle=False)
        for name in ("indptr", "item_nums", "confidences")
    )
    return UserRows(
        indptr=indptr,
        item_nums=item_nums,
        confidences_n=confidences_n,
        items=plan.items,
        activity=plan.activity,
    )


def load_start(folder: Path, plan: ShardPlan, shard: int) -> Start | None:
    """Map the start of one process's users and of all items; None where the training begins at random."""
    if not plan.has_start:
        return None
    return Start(
        user_embeddings=map_array(folder / f"{shard:04}" / _USERS), item_embeddings=map_array(folder / _ITEMS)
    )


def save_part(folder: Path, shard: int, users_UD: Tensor, items_ID: Tensor) -> None:
    """Write one process's result: its users, and the items where it is the first."""
    np.save(folder / f"{shard:04}" / _USERS, users_UD.numpy(), allow_pickle=False)
    if shard == 0:
        np.save(folder / _ITEMS, items_ID.numpy(), allow_pickle=False)


def joined_users(folder: Path, plan: ShardPlan) -> Float32:
    """Join the users of all processes in one file; return it mapped, (U, D), so that it is never all in memory."""
    parts = [map_array(folder / f"{shard:04}" / _USERS) for shard in range(len(plan.edges) - 1)]
    joined = create_array(folder / _USERS, (plan.edges[-1], parts[0].shape[1]), np.float32)
    for first, part in zip(plan.edges, parts, strict=False):
        joined[first : first + len(part)] = part
    joined.flush()
    return map_array(folder / _USERS)


def items_of(folder: Path) -> Float32:
    """Read the items that the first process wrote, (I, D)."""
    items_ID: Float32 = np.load(folder / _ITEMS, allow_pickle=False)
    return items_ID
