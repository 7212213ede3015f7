"""Days in chunks: as many as are read, measured or judged together, so that memory does not grow with their number."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

CHUNK_DAYS: Final = 64
"""Most days that are read or judged together."""
CHUNK_ROWS: Final = 100_000
"""Most rows that are read or judged together, unless a single day has more."""

_Item = TypeVar("_Item")


def in_chunks(items: Iterable[_Item], *, rows: Callable[[_Item], int]) -> Iterator[list[_Item]]:
    """Yield the days, in their order, in lists of at most `CHUNK_DAYS` days and `CHUNK_ROWS` rows, or a single day.

    Args:
        items: one a day.
        rows: its number of rows.
    """
    chunk: list[_Item] = []
    total = 0
    for item in items:
        height = rows(item)
        if chunk and (len(chunk) == CHUNK_DAYS or total + height > CHUNK_ROWS):
            yield chunk
            chunk, total = [], 0
        chunk.append(item)
        total += height
    if chunk:
        yield chunk
