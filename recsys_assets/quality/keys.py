"""An exact set of 64-bit keys that grows a day at a time, in 8 bytes a key."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Keys: TypeAlias = npt.NDArray[np.uint64]


class KnownKeys:
    """Sorted runs of geometrically falling size, merged as they grow.

    A log-structured merge tree in memory (O'Neil et al. 1996): adding is amortised O(log n) a key, asking
    costs a binary search a run.
    """

    _GROWTH = 4

    def __init__(self) -> None:
        self._runs: list[Keys] = []

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def contains(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Which of `keys` were added; fastest when `keys` ascend."""
        found = np.zeros(len(keys), dtype=bool)
        for run in self._runs:
            places = np.searchsorted(run, keys)
            places[places == len(run)] = 0
            found |= run[places] == keys
        return found

    def add(self, keys: Keys) -> None:
        """Add `keys`, which ascend without repetition and are not in the set yet."""
        if not len(keys):
            return
        while self._runs and len(self._runs[-1]) < self._GROWTH * len(keys):
            keys = np.sort(np.concatenate([self._runs.pop(), keys]), kind="stable")
        self._runs.append(keys)
