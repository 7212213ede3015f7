"""Array types by the width of their numbers, special values in arrays, and `.npy` files mapped to memory."""

import mmap
import os
from datetime import date
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from recsys_assets.storage.atomic import named

Float32: TypeAlias = npt.NDArray[np.float32]
Float64: TypeAlias = npt.NDArray[np.float64]
Int32: TypeAlias = npt.NDArray[np.int32]
Int64: TypeAlias = npt.NDArray[np.int64]
UInt8: TypeAlias = npt.NDArray[np.uint8]
UInt64: TypeAlias = npt.NDArray[np.uint64]
Bools: TypeAlias = npt.NDArray[np.bool_]

NO_ITEM: Final = -1
"""Fills an array of item numbers where a list is shorter than its row."""
EPOCH: Final = date(1970, 1, 1)
"""Day 0 of an array of day numbers."""


def map_array(path: Path) -> npt.NDArray[Any]:
    """Map an `.npy` file read-only; pages are read when they are used, and nothing is unpickled.

    The result is a plain array over the map, since slicing an `np.memmap` takes three times as long.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: the file is not an array, or is shorter than its header says.
    """
    try:
        mapped: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    except EOFError as error:
        raise ValueError(f"{path}: an empty file is no array") from error
    return mapped


def create_array(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> np.memmap[Any, Any]:
    """Create an `.npy` file of zeros and map it for writing; call `flush` on the result when it is filled.

    Raises:
        OSError: the disk has no room for it. Without the reservation the process would die at a later write.
    """
    mapped = np.lib.format.open_memmap(path, "w+", dtype, shape)
    with named(path), path.open("r+b") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, max(1, path.stat().st_size))
    return mapped


def release_pages(array: npt.NDArray[Any]) -> None:
    """Let the system take back the memory of a mapped array that was read; the next use reads the file again."""
    owner: Any = array
    while owner is not None and not isinstance(owner, mmap.mmap):
        owner = getattr(owner, "base", None)
    if owner is not None and hasattr(owner, "madvise"):
        owner.madvise(mmap.MADV_DONTNEED)
