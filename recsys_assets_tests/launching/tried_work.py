"""Work that launchers are tried with, in a module, so that other processes find it."""

import os
import signal
import time
from pathlib import Path

import msgspec

from recsys_assets.errors import TrainingDataError
from recsys_assets.launching.launcher import Member


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """A task that leaves a mark in `folder` each time that it begins."""

    number: int
    folder: str
    kill_first: bool = False
    """Its first worker is killed."""


def squared(number: int) -> int:
    return number * number


def marked(task: Counted) -> int:
    mark = Path(task.folder) / f"{task.number}.{os.getpid()}.{time.monotonic_ns()}"
    mark.touch()
    if task.kill_first and len(marks(Path(task.folder), task.number)) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return task.number


def marks(folder: Path, number: int) -> list[Path]:
    return sorted(folder.glob(f"{number}.*"))


def killed_always(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def rejected(number: int) -> int:
    raise TrainingDataError(f"number {number} has no pair")


def place_of(member: Member, task: str) -> list[str]:
    return [task, str(member.rank), str(member.size), str(os.getpid())]


def summed(member: Member, number: float) -> float:
    """The sum over the gang of number + rank, by torch.distributed at the member's address."""
    import torch
    import torch.distributed as dist

    dist.init_process_group(
        "gloo", init_method=f"tcp://{member.address}", rank=member.rank, world_size=member.size
    )
    try:
        total = torch.tensor([number + member.rank])
        dist.all_reduce(total)
        return float(total[0])
    finally:
        dist.destroy_process_group()


def last_fails(member: Member, seconds: float) -> int:
    if member.rank == member.size - 1:
        raise ValueError("no more room")
    time.sleep(seconds)
    return member.rank


def last_is_killed(member: Member, seconds: float) -> int:
    if member.rank == member.size - 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(seconds)
    return member.rank
