"""iALS in several processes, started by a launcher on one machine or on several.

Each process holds its share of the users, with their entries and vectors, and all items' vectors, so that a node's
memory falls with the number of nodes. The same number of processes gives the same bytes wherever they run; another
number gives other float32 sums, and after 15 epochs vectors within 1e-4. Shapes as in `factorisation`.
"""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import torch

from recsys_assets.embeddings.epoch_loop import OnEpoch
from recsys_assets.embeddings.factorisation import Factorisation, Start
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, confidence
from recsys_assets.embeddings.shard_files import items_of, joined_users, made_names, save_shards, sent_names
from recsys_assets.embeddings.shard_memory import require_room_here
from recsys_assets.embeddings.shard_worker import PROGRESS, ShardTask, train_shard
from recsys_assets.errors import SettingsError
from recsys_assets.launching.chosen import launcher_of
from recsys_assets.launching.launcher import Launcher
from recsys_assets.settings import Settings
from recsys_assets.storage.handover import Handover, remove_leftovers
from recsys_assets.storage.store_place import StorePlace
from recsys_assets.training_settings import TrainingSettings

_LOOK_SECONDS: Final = 0.5
"""Time between two looks at the progress of the processes."""


@dataclass(frozen=True, kw_only=True)
class Workers:
    """The processes that train together."""

    launcher: Launcher
    """Starts them."""
    shards: int
    """Number of processes, >= 1."""
    scratch: Path
    """An existing folder of this machine, for the entries and the result."""
    place: StorePlace | None = None
    """The object store that they travel through; None: every process sees the scratch folder."""
    together: bool = True
    """True where all of them are on this machine and share its memory."""
    threads: int | None = None
    """Threads of each; None leaves torch's choice."""


def workers_of(
    settings: Settings, *, scratch: Path, say: Callable[[str], None], place: StorePlace | None = None
) -> Workers | None:
    """Return the processes that the settings name; None where training is in this one.

    Args:
        settings: `[launcher]`, and `[training] processes`.
        scratch: see `Workers`.
        say: takes a line on what is waited for.
        place: the home's object store, whose lease the caller holds; with it the machines need not share a disk.

    Raises:
        SettingsError: a package is missing.
        LauncherError: the cluster cannot be reached.
    """
    shards, kind = settings.shards, settings.launcher.kind
    if shards == 1 and kind == "in_process":
        return None
    together = kind != "ray"
    if place is not None:
        remove_leftovers(place)
    return Workers(
        launcher=launcher_of(settings.launcher, scratch=scratch, say=say),
        shards=shards,
        scratch=scratch,
        place=None if together else place,
        together=together,
        threads=_threads_of(shards, together=together),
    )


def _threads_of(shards: int, *, together: bool) -> int | None:
    """Return the threads of each process; None leaves torch's choice.

    The bits of a single process depend on its threads: a cluster's has as many as this one, whatever Ray allows it.
    """
    if together:
        return max(1, len(os.sched_getaffinity(0)) // shards)
    return torch.get_num_threads() if shards == 1 else None


def train_sharded(
    matrix: InteractionMatrix,
    settings: TrainingSettings,
    *,
    workers: Workers,
    start: Start | None = None,
    on_epoch: OnEpoch | None = None,
) -> Factorisation:
    """Train iALS in `workers.shards` processes.

    Args:
        matrix: the observed pairs.
        settings: of the training, with all strengths.
        workers: the processes.
        start: embeddings to go on from, in the matrix's numbering.
        on_epoch: reports progress, from another thread.

    Raises:
        SettingsError: the device is a card; sums over processes need the CPU.
        MemoryBudgetError: the processes on this machine would need more memory than their budget.
        LauncherError: a process failed; with its message.
    """
    began = time.perf_counter()
    if settings.device != "cpu":
        raise SettingsError(
            f'[training] device = "{settings.device}" trains in one process: set device = "cpu", or kind ='
            ' "in_process" in [launcher]'
        )
    if workers.together:
        require_room_here(matrix.shape, matrix.entries, settings, shards=workers.shards)
    confidences_n = confidence(matrix, settings)
    with tempfile.TemporaryDirectory(prefix="training-", dir=workers.scratch) as scratch:
        folder = Path(scratch)
        plan = save_shards(folder, matrix, confidences_n, settings, shards=workers.shards, start=start)
        files, ranks = Handover(folder=scratch, place=workers.place), range(workers.shards)
        try:
            files.send(folder, dict.fromkeys(name for rank in ranks for name in sent_names(plan, rank)))
            task = ShardTask(files=files, plan=plan, settings=settings, threads=workers.threads)
            with _followed(folder / PROGRESS, on_epoch) as reported:
                results = workers.launcher.gang(train_shard, task, size=workers.shards)
            for loss in results[0].losses[len(reported) :]:
                reported.append(loss)
                if on_epoch is not None:
                    on_epoch(len(reported), loss)
            files.collect(name for rank in ranks for name in made_names(rank))
        finally:
            files.remove()
        users_UD, items_ID = joined_users(folder, plan), items_of(folder)
    return Factorisation(
        user_embeddings=users_UD,
        item_embeddings=items_ID,
        confidences=confidences_n,
        losses=results[0].losses,
        seconds=time.perf_counter() - began,
        settings=msgspec.structs.replace(settings, processes=len(results)),
        memory_mb=max(
            (result.memory_mb for result in results), key=lambda memory: memory["measured_peak_mb"]
        ),
    )


@contextmanager
def _followed(progress: Path, on_epoch: OnEpoch | None) -> Iterator[list[float]]:
    """Report each line of the progress as an epoch while the block runs; yields the losses reported so far."""
    ended = threading.Event()
    reported: list[float] = []

    def follow() -> None:
        while on_epoch is not None and not ended.wait(_LOOK_SECONDS):
            if not progress.exists():
                continue
            lines = progress.read_text(encoding="ascii").splitlines(keepends=True)
            for line in lines[len(reported) :]:
                if line.endswith("\n"):
                    reported.append(float(line))
                    on_epoch(len(reported), reported[-1])

    follower = threading.Thread(target=follow, name="training-progress", daemon=True)
    follower.start()
    try:
        yield reported
    finally:
        ended.set()
        follower.join()
