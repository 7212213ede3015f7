"""Memory of a training run: predicted before and held against a budget, measured while it runs.

The prediction is the memory that the process holds already, the matrix included, plus the arrays that training
makes; `training_bytes` lists them. On `cuda` all of it is the card's memory: what torch holds there, what is free
there, and the matrix's columns too, which are copied to it. The sizes of the work on a device follow its memory.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
import torch

from recsys_assets.errors import MemoryBudgetError
from recsys_assets.storage.peak_memory import MEGABYTE, PeakMemory
from recsys_assets.training_settings import TrainingSettings

CHUNK_ENTRIES = {"cpu": 1 << 18, "cuda": 1 << 24}
CHUNK_NUMBERS = {"cpu": 1 << 19, "cuda": 1 << 25}
"""Entries and embedding numbers of a chunk of rows, about. A CPU's stay in its cache; a card's fill it (on an H200
22 million pairs trained five times faster than by a CPU's)."""
_CARD_SHARE = 8
"""A chunk takes at most this part of the card's free memory: one eighth."""
SHARE_OF_AVAILABLE = 0.8
"""The budget where `memory_budget_mb` sets none: this share of what is available at the start."""

_MORE_COPIES = {"ials": 0, "softmax": 12}
"""Copies of both sides' embeddings by objective, beyond those of iALS. For the softmax: base, averaged and normalised
embeddings, their gradients, Adam's two moments and intermediate results."""

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """Memory that a training run is expected to need, in bytes of the whole process; on `cuda` of the card."""

    predicted: int
    """Expected peak of resident memory, or of what torch holds on the card."""
    budget: int
    """The most it may be."""

    def megabytes(self) -> dict[str, float]:
        """Return both figures for metadata."""
        return {
            "predicted_peak_mb": round(self.predicted / MEGABYTE, 1),
            "memory_budget_mb": round(self.budget / MEGABYTE, 1),
        }


def plan_memory(
    *,
    shape: tuple[int, int],
    entries: int,
    settings: TrainingSettings,
    resident: int | None = None,
    available: int | None = None,
    processes: int = 1,
) -> MemoryPlan:
    """Predict the peak of training on a matrix that is in memory already.

    Args:
        shape: (users, items).
        entries: observed pairs.
        settings: objective, size and budget.
        resident: bytes that the process holds now (on `cuda`: on the card); none: ask the system.
        available: bytes that are still free (on `cuda`: on the card); none: ask the system.
        processes: number of processes, >= 1, which each hold all of it.

    Raises:
        MemoryBudgetError: the prediction is above the budget; with the numbers, and the sizes that would fit.
    """
    on_card = settings.device == "cuda"
    if resident is None:
        resident = torch.cuda.memory_allocated() if on_card else psutil.Process().memory_info().rss
    if available is None:
        available = free_card_bytes() if on_card else available_bytes()
    if settings.memory_budget_mb is None:
        budget = resident + int(SHARE_OF_AVAILABLE * available)
    else:
        budget = settings.memory_budget_mb * MEGABYTE
    chunk = chunk_bytes(*chunk_sizes(settings.device, free=available))
    needed = needed_bytes(shape, entries, settings, chunk=chunk)
    plan = MemoryPlan(predicted=resident + needed * processes, budget=budget)
    if plan.predicted > plan.budget:
        raise MemoryBudgetError(
            _rejection(plan, shape, entries, settings.embedding_size, resident=resident, chunk=chunk)
        )
    return plan


def needed_bytes(
    shape: tuple[int, int], entries: int, settings: TrainingSettings, *, chunk: int | None = None
) -> int:
    """Return the bytes that a training by the settings' objective holds at its worst moment beside the matrix.

    `chunk` are those of a chunk's temporaries; None takes the device's.
    """
    chunk = chunk_bytes(*chunk_sizes(settings.device)) if chunk is None else chunk
    needed = training_bytes(shape, entries, settings.embedding_size, chunk=chunk)
    needed += 4 * _MORE_COPIES[settings.objective] * settings.embedding_size * sum(shape)
    # the columns by user are the matrix's own on the CPU
    return needed + (4 * entries if settings.device == "cuda" else 0)


def require_memory(needed: int, settings: TrainingSettings, *, doing: str, instead: str) -> None:
    """Hold the bytes that a computation of this process will need against the budget.

    Args:
        needed: bytes beside those that the process holds now.
        settings: `memory_budget_mb`.
        doing: the computation, for the message.
        instead: a setting that needs less.

    Raises:
        MemoryBudgetError: it would need more than the budget; with both figures and the way out.
    """
    resident = psutil.Process().memory_info().rss
    budget = resident + int(SHARE_OF_AVAILABLE * available_bytes())
    if settings.memory_budget_mb is not None:
        budget = settings.memory_budget_mb * MEGABYTE
    if resident + needed > budget:
        raise MemoryBudgetError(
            f"{doing} would need {(resident + needed) / MEGABYTE:,.0f} MB, the budget is {budget / MEGABYTE:,.0f} MB;"
            f" set in [training]: {instead} or memory_budget_mb = {(resident + needed) // MEGABYTE + 1}"
        )


def training_bytes(shape: tuple[int, int], entries: int, embedding_size: int, *, chunk: int) -> int:
    """Return the bytes that iALS holds at its worst moment beside the matrix.

    Args:
        shape: (users, items).
        entries: observed pairs.
        embedding_size: D.
        chunk: bytes of a chunk's temporaries.
    """
    users, items = shape
    by_user = 4 * entries  # the confidences; columns and row starts are the matrix's own
    by_item = 8 * entries  # columns and confidences
    sorting = 8 * entries  # number and position of each entry, before `by_item` is there
    rows = 4 * embedding_size * (users + items)
    turned = 4 * embedding_size * max(users, items)  # one side in the eigenvectors of its Gram matrix
    copied = rows  # initial embeddings are copied to where training writes
    small = 40 * (users + items)
    return by_user + max(by_item + 4 * entries, sorting) + rows + max(turned, copied) + chunk + small


def available_bytes() -> int:
    """Return the free bytes: the system's figure, or what the control group leaves where that is less."""
    free: int = psutil.virtual_memory().available
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return free
    return free if limit == "max" else max(0, min(free, int(limit) - used))


class PeakWatch(PeakMemory):
    """The highest resident memory of this process while the `with` block runs; on `cuda` also torch's on the card."""

    def __init__(self, device: str = "cpu") -> None:
        """Watch this process and, on `cuda`, the card."""
        super().__init__()
        self._on_card = device == "cuda"

    def __enter__(self) -> Self:
        if self._on_card:
            torch.cuda.reset_peak_memory_stats()
        return super().__enter__()

    def megabytes(self) -> dict[str, float]:
        """Return the peaks for metadata: `measured_peak_mb` and, on `cuda`, `card_peak_mb`."""
        found = {"measured_peak_mb": round(self.peak / MEGABYTE, 1)}
        if self._on_card:
            found["card_peak_mb"] = round(torch.cuda.max_memory_allocated() / MEGABYTE, 1)
        return found


def _rejection(
    plan: MemoryPlan, shape: tuple[int, int], entries: int, embedding_size: int, *, resident: int, chunk: int
) -> str:
    room = plan.budget - resident
    without = training_bytes(shape, entries, 0, chunk=chunk)
    a_dimension = (training_bytes(shape, entries, embedding_size, chunk=chunk) - without) / embedding_size
    fits = int((room - without) / a_dimension)
    ways = [f"embedding_size = {fits}"] if fits >= 1 else []
    if room > 0:
        share = min(0.99, room / (plan.predicted - resident))
        ways.append(f"a sample of {share:.0%} of the users")
    ways.append(f"memory_budget_mb = {plan.predicted // MEGABYTE + 1}")
    return (
        f"training {shape[0]:,} users, {shape[1]:,} items and {entries:,} pairs at embedding_size ="
        f" {embedding_size} would need {plan.predicted / MEGABYTE:,.0f} MB, the budget is"
        f" {plan.budget / MEGABYTE:,.0f} MB;"
        f" set in [training]: {' or '.join(ways)}"
    )


def free_card_bytes() -> int:
    """Return the bytes that torch can still allocate on the card: free ones, and those that it holds unused."""
    free: int = torch.cuda.mem_get_info()[0]
    unused: int = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    return free + unused


def chunk_sizes(device: str, *, free: int | None = None) -> tuple[int, int]:
    """Return the entries and the embedding numbers of a chunk of rows.

    Args:
        device: `cpu` or `cuda`.
        free: the card's free bytes; None asks the card. Not read on the CPU.
    """
    entries, numbers = CHUNK_ENTRIES[device], CHUNK_NUMBERS[device]
    if device == "cpu":
        return entries, numbers
    free = free_card_bytes() if free is None else free
    while entries > CHUNK_ENTRIES["cpu"] and _CARD_SHARE * chunk_bytes(entries, numbers) > free:
        entries, numbers = entries // 2, numbers // 2
    return entries, numbers


def chunk_bytes(entries: int, numbers: int) -> int:
    """Return the bytes of a chunk's temporaries, all float32.

    Args:
        entries: four numbers each (predictions, errors, confidences times errors, columns).
        numbers: eight each (solution, residual, direction and their images, of every row and dimension).
    """
    return 4 * (4 * entries + 8 * numbers)
