"""Memory of the processes that train together, predicted before and held against a machine's budget.

A process holds its users' entries and vectors, and all items: with N processes about a N-th of the first two.
"""

from typing import Final

import psutil

from recsys_assets.embeddings.memory_plan import (
    SHARE_OF_AVAILABLE,
    MemoryPlan,
    available_bytes,
    chunk_bytes,
    chunk_sizes,
)
from recsys_assets.errors import MemoryBudgetError
from recsys_assets.storage.peak_memory import MEGABYTE
from recsys_assets.training_settings import TrainingSettings

PROCESS_BYTES: Final = 270 * MEGABYTE
"""A process with torch loaded and its group joined, before it has read anything."""
ENTRY_BYTES: Final = 16
"""An entry in training: column and confidence, once by user and once by item."""
_SORTING_BYTES: Final = 20
"""An entry while the entries are sorted by item: column and confidence, its number with its place, and the place."""
_LARGEST_SHARE: Final = 1.02
"""The largest share of N processes is about this many N-ths; a user is never cut in two."""


def shard_bytes(shape: tuple[int, int], entries: int, embedding_size: int) -> int:
    """Return the bytes that one process holds at its worst moment, beside `PROCESS_BYTES`.

    Args:
        shape: (users of the process, all items).
        entries: those of the process's users.
        embedding_size: D.
    """
    users, items = shape
    rows = 4 * embedding_size * (users + items)
    turned = 4 * embedding_size * max(users, items)  # one side in the eigenvectors of its Gram matrix
    small = 40 * (users + items)
    training = ENTRY_BYTES * entries + rows + turned + chunk_bytes(*chunk_sizes("cpu"))
    return max(_SORTING_BYTES * entries, training) + small


def largest_shard_bytes(shape: tuple[int, int], entries: int, embedding_size: int, *, shards: int) -> int:
    """Return about the bytes of the largest of `shards` processes; `shape` and `entries` are those of all."""
    users, items = shape
    share = _LARGEST_SHARE / shards if shards > 1 else 1.0
    return shard_bytes((round(users * share), items), round(entries * share), embedding_size)


def plan_shard(
    shape: tuple[int, int], entries: int, settings: TrainingSettings, *, shards: int
) -> MemoryPlan:
    """Predict the peak of this process, which has read nothing yet.

    Args:
        shape: (users of the process, all items).
        entries: those of the process's users.
        settings: embedding size, and `memory_budget_mb` of the process.
        shards: number of processes, for the advice.

    Raises:
        MemoryBudgetError: the prediction is above the budget; with both figures and the ways out.
    """
    resident = psutil.Process().memory_info().rss
    plan = MemoryPlan(
        predicted=resident + shard_bytes(shape, entries, settings.embedding_size),
        budget=_budget(settings, resident),
    )
    if plan.predicted > plan.budget:
        raise MemoryBudgetError(
            f"one of {shards} training processes, with {shape[0]:,} users, {shape[1]:,} items and {entries:,} pairs at"
            f" embedding_size = {settings.embedding_size}, would need {_figures(plan)}; set shards ="
            f" {2 * shards} in [launcher], or in [training] a smaller embedding_size or memory_budget_mb ="
            f" {plan.predicted // MEGABYTE + 1}"
        )
    return plan


def require_room_here(
    shape: tuple[int, int], entries: int, settings: TrainingSettings, *, shards: int
) -> None:
    """Hold the memory of all processes, where they are all on this machine, against its budget.

    Raises:
        MemoryBudgetError: they would need more; with both figures and the ways out.
    """
    resident = psutil.Process().memory_info().rss
    each = PROCESS_BYTES + largest_shard_bytes(shape, entries, settings.embedding_size, shards=shards)
    plan = MemoryPlan(predicted=resident + shards * each, budget=_budget(settings, resident))
    if plan.predicted > plan.budget:
        raise MemoryBudgetError(
            f"{shards} training processes on this machine, for {shape[0]:,} users, {shape[1]:,} items and {entries:,}"
            f" pairs at embedding_size = {settings.embedding_size}, would need {_figures(plan)};"
            f' set kind = "ray" in [launcher] to spread them over machines, or in [training] a smaller embedding_size'
            f" or memory_budget_mb = {plan.predicted // MEGABYTE + 1}"
        )


def _budget(settings: TrainingSettings, resident: int) -> int:
    if settings.memory_budget_mb is not None:
        return settings.memory_budget_mb * MEGABYTE
    return resident + int(SHARE_OF_AVAILABLE * available_bytes())


def _figures(plan: MemoryPlan) -> str:
    return f"{plan.predicted / MEGABYTE:,.0f} MB, the budget is {plan.budget / MEGABYTE:,.0f} MB"
