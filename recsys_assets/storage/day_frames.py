"""The rows of days: one day as a file, and days in chunks, so that memory does not grow with their number."""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeVar

import polars as pl

from recsys_assets.storage.day_journal import UNSEALED

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


def file_content(frame: pl.DataFrame, provenance: Mapping[str, str]) -> tuple[bytes, str]:
    """Return a day's Parquet file before it is sealed, and the names and types of its columns."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", statistics=True, metadata={**provenance, **UNSEALED})
    return buffer.getvalue(), ", ".join(f"{name} {dtype}" for name, dtype in frame.schema.items())
