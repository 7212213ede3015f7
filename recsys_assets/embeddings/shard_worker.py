"""One of the processes that train iALS together: it holds its users, and all items. `sharded_training` starts them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec
import torch
import torch.distributed as dist

from recsys_assets.embeddings.epoch_loop import run_epochs
from recsys_assets.embeddings.ials import Ials, initial_embeddings
from recsys_assets.embeddings.ials_half_step import sides_of
from recsys_assets.embeddings.memory_plan import PeakWatch
from recsys_assets.embeddings.shard_files import (
    ShardPlan,
    load_shard,
    load_start,
    made_names,
    save_part,
    sent_names,
)
from recsys_assets.embeddings.shard_group import ALONE, ShardGroup, Together
from recsys_assets.embeddings.shard_memory import plan_shard
from recsys_assets.launching.launcher import LOOPBACK, Member
from recsys_assets.storage.handover import Handover
from recsys_assets.training_settings import TrainingSettings

PROGRESS: Final = "losses.txt"
"""The first process appends a line after each epoch: the objective per entry."""
_SILENCE: Final = timedelta(minutes=30)
"""A process gives up after this silence of the others. One that was killed is noticed at once."""


class ShardTask(msgspec.Struct, frozen=True, kw_only=True):
    """The work of all processes of a training."""

    files: Handover
    """The folder that `save_shards` wrote."""
    plan: ShardPlan
    """The cut of the users."""
    settings: TrainingSettings
    """Of the training, with all strengths."""
    threads: int | None = None
    """Threads of each process; None leaves torch's choice."""


class ShardResult(msgspec.Struct, frozen=True, kw_only=True):
    """One process's report; its vectors are in files."""

    losses: list[float]
    """The objective after each epoch per entry; the same in every process."""
    memory_mb: dict[str, float]
    """`predicted_peak_mb`, `memory_budget_mb` and `measured_peak_mb` of this process."""


def train_shard(member: Member, task: ShardTask) -> ShardResult:
    """Train with the other processes of the gang, and write this one's part of the result.

    Raises:
        MemoryBudgetError: this process would need more memory than its budget.
        TrainingDataError: the objective stopped being finite.
    """
    plan, settings, rank = task.plan, task.settings, member.rank
    if task.threads is not None:
        torch.set_num_threads(task.threads)
    shape = plan.edges[rank + 1] - plan.edges[rank], plan.items
    memory = plan_shard(shape, plan.entries_of[rank], settings, shards=member.size)
    with (
        task.files.received(sent_names(plan, rank)) as folder,
        _group(member) as group,
        PeakWatch() as watch,
    ):
        entries = sides_of(load_shard(folder, plan, rank), settings, group=group)
        embeddings = initial_embeddings(shape, settings, load_start(folder, plan, rank))
        model = Ials(entries, embeddings, settings, total_entries=sum(plan.entries_of), group=group)
        losses = run_epochs(model, settings.epochs, on_epoch=lambda _, loss: _note(folder, rank, loss))
        save_part(folder, rank, *model.embeddings())
        task.files.send(folder, made_names(rank))
    return ShardResult(losses=losses, memory_mb={**memory.megabytes(), **watch.megabytes()})


def _note(folder: Path, rank: int, loss: float) -> None:
    if rank == 0:
        with (folder / PROGRESS).open("a", encoding="ascii") as file:
            file.write(f"{loss!r}\n")


@contextmanager
def _group(member: Member) -> Iterator[ShardGroup]:
    """The group of all members; a member alone needs no network."""
    if member.size == 1:
        yield ALONE
        return
    if member.address.startswith(f"{LOOPBACK}:"):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # the host's name may be another interface's
    dist.init_process_group(
        "gloo",
        init_method=f"tcp://{member.address}",
        rank=member.rank,
        world_size=member.size,
        timeout=_SILENCE,
    )
    try:
        yield Together()
    finally:
        dist.destroy_process_group()
