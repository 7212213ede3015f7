"""iALS in several processes, started by a launcher on one machine or on several.

Each process holds its share of the users, with their entries and vectors, and all items' vectors, so that a node's
memory falls with the number of nodes. The same number of processes gives the same bytes wherever they run; another
number gives other float32 sums, and after 15 epochs vectors within 1e-4. Shapes as in `factorisation`.
"""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import torch

from recsys_assets.embeddings.epoch_loop import OnEpoch
from recsys_assets.embeddings.factorisation import Factorisation, Start
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, confidence
from recsys_assets.embeddings.shard_files import items_of, joined_users, made_names, save_shards, sent_names
from recsys_assets.embeddings.shard_memory import require_room_here
from recsys_assets.embeddings.shard_worker import PROGRESS, ShardResult, ShardTask, train_shard
from recsys_assets.errors import SettingsError, WorkerKilledError
from recsys_assets.launching.chosen import launcher_of
from recsys_assets.launching.launcher import Launcher
from recsys_assets.settings import Settings
from recsys_assets.storage.arrays import Float32
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
    say: Callable[[str], None] = field(default=lambda _: None)
    """Takes a line where the training starts over."""


def workers_of(
    settings: Settings,
    *,
    scratch: Path,
    say: Callable[[str], None],
    printed: Callable[[str], None] = lambda _: None,
    place: StorePlace | None = None,
) -> Workers | None:
    """Return the processes that the settings name; None where training is in this one.

    Args:
        settings: `[launcher]`, and `[training] processes`.
        scratch: see `Workers`.
        say: takes a line on what is waited for, or starts over.
        printed: takes the other lines that a job of a cluster prints.
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
        launcher=launcher_of(settings.launcher, scratch=scratch, say=say, printed=printed),
        shards=shards,
        scratch=scratch,
        place=None if together else place,
        together=together,
        threads=_threads_of(shards, together=together),
        say=say,
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
    """Train iALS in `workers.shards` processes; where one of them is killed, all start over, once.

    They start from the beginning: a part of an epoch is of no use to other processes, and the bytes stay the same.

    Args:
        matrix: the observed pairs.
        settings: of the training, with all strengths.
        workers: the processes.
        start: embeddings to go on from, in the matrix's numbering.
        on_epoch: reports progress, from another thread.

    Raises:
        SettingsError: the device is a card; sums over processes need the CPU.
        MemoryBudgetError: the processes on this machine would need more memory than their budget.
        WorkerKilledError: a process was killed at the second try too.
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
    training = _Training(matrix, confidences_n, settings, workers, start, on_epoch)
    try:
        results, users_UD, items_ID = training.run()
    except WorkerKilledError as error:
        workers.say(f"the training starts over, once: {error}")
        results, users_UD, items_ID = training.run()
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


@dataclass(frozen=True)
class _Training:
    """One training, which may be run again."""

    matrix: InteractionMatrix
    confidences_n: Float32
    settings: TrainingSettings
    workers: Workers
    start: Start | None
    on_epoch: OnEpoch | None
    reported: list[float] = field(default_factory=list)
    """Losses that `on_epoch` has: a second run has the same ones."""

    def run(self) -> tuple[list[ShardResult], Float32, Float32]:
        """Train from the beginning, over new files; return the reports, and both sides' vectors, (U, D) and (I, D)."""
        shards, place = self.workers.shards, self.workers.place
        with tempfile.TemporaryDirectory(prefix="training-", dir=self.workers.scratch) as scratch:
            folder = Path(scratch)
            plan = save_shards(
                folder, self.matrix, self.confidences_n, self.settings, shards=shards, start=self.start
            )
            files, ranks = Handover(folder=scratch, place=place), range(shards)
            try:
                files.send(folder, dict.fromkeys(name for rank in ranks for name in sent_names(plan, rank)))
                task = ShardTask(files=files, plan=plan, settings=self.settings, threads=self.workers.threads)
                with _followed(folder / PROGRESS, self.reported, self.on_epoch):
                    results = self.workers.launcher.gang(train_shard, task, size=shards)
                _report(results[0].losses, self.reported, self.on_epoch)
                files.collect(name for rank in ranks for name in made_names(rank))
            finally:
                files.remove()
            return results, joined_users(folder, plan), items_of(folder)


def _report(losses: Sequence[float], reported: list[float], on_epoch: OnEpoch | None) -> None:
    """Report the losses that follow those reported."""
    for loss in losses[len(reported) :]:
        reported.append(loss)
        if on_epoch is not None:
            on_epoch(len(reported), loss)


@contextmanager
def _followed(progress: Path, reported: list[float], on_epoch: OnEpoch | None) -> Iterator[None]:
    """Report each line of the progress as an epoch while the block runs."""
    ended = threading.Event()

    def follow() -> None:
        while on_epoch is not None and not ended.wait(_LOOK_SECONDS):
            if not progress.exists():
                continue
            lines = progress.read_text(encoding="ascii").splitlines(keepends=True)
            _report([float(line) for line in lines if line.endswith("\n")], reported, on_epoch)

    follower = threading.Thread(target=follow, name="training-progress", daemon=True)
    follower.start()
    try:
        yield
    finally:
        ended.set()
        follower.join()
