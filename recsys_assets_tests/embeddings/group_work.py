"""Work of a gang that moves sums: a module, since child processes import it."""

import msgspec
import numpy as np
import torch
import torch.distributed as dist

from recsys_assets.embeddings.shard_group import Together
from recsys_assets.launching.launcher import Member

ROWS = 5
"""Not a multiple of the processes."""


class Moved(msgspec.Struct):
    own: list[list[float]]
    total: list[list[float]]
    first: float


def parts(rank: int) -> list[list[float]]:
    return np.random.default_rng(rank).normal(size=(ROWS, 2)).astype(np.float32).tolist()


def moved(member: Member, rows: int) -> Moved:
    address = f"tcp://{member.address}"
    dist.init_process_group("gloo", init_method=address, rank=member.rank, world_size=member.size)
    try:
        group, mine = Together(), torch.tensor(parts(member.rank), dtype=torch.float64)
        assert len(mine) == rows
        return Moved(
            own=group.collect(mine).tolist(),
            total=group.total(mine).tolist(),
            first=float(group.agreed(torch.tensor([float(member.rank)]))),
        )
    finally:
        dist.destroy_process_group()
