"""Scratch memory by item number, one a thread, zero between uses: no request has to clear a catalogue."""

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

_LOCAL = threading.local()


def marks(items: int) -> npt.NDArray[np.bool_]:
    """(>= items,), all False; whoever sets places sets them back before the next use."""
    found: npt.NDArray[np.bool_] = _kept("marks", items, np.bool_)
    return found


def _kept(name: str, items: int, dtype: type[np.generic]) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] | None = getattr(_LOCAL, name, None)
    if array is None or len(array) < items:
        array = np.zeros(items, dtype=dtype)
        setattr(_LOCAL, name, array)
    return array
