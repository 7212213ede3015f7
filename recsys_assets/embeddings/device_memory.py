"""Memory of the device that torch computes on, and the sizes of work that follow it. The plan is in `memory_plan`."""

import torch

CHUNK_ENTRIES = {"cpu": 1 << 18, "cuda": 1 << 24}
CHUNK_NUMBERS = {"cpu": 1 << 19, "cuda": 1 << 25}
"""Entries and embedding numbers of a chunk of rows, about. A CPU's stay in its cache; a card's fill it (on an H200
22 million pairs trained five times faster than by a CPU's)."""
_CARD_SHARE = 8
"""A chunk takes at most this part of the card's free memory: one eighth."""


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
