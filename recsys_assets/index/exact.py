"""Exact search for the greatest inner products that looks only at items long enough to matter.

Items lie in descending order of their norm. By Cauchy-Schwarz an item's score is at most |item| |query|, so
once k items are scored no item shorter than (k-th score) / |query| can enter the list (Teflioudi, Gemulla &
Mykytiuk 2015, "LEMP"). Factorised catalogues have a few long vectors and many short ones: on the embedded
default the median search scores 2,100 of 68,260 items. numpy only.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FIRST_BLOCK = 2048
"""Items scored before the first look at the bound; about what a cache holds."""

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class NormOrdered:
    """Item vectors in descending order of norm. Shapes: I items, D embedding_size."""

    vectors_ID: Float32
    """The vectors, contiguous."""
    order_I: Int32
    """Item number of each row."""
    negative_norms_I: Float32
    """Minus the norms, ascending, for `searchsorted`."""

    @classmethod
    def of(cls, items_ID: Float32) -> "NormOrdered":
        """Sort a catalogue; equal norms keep the order of their numbers."""
        norms_I = np.linalg.norm(items_ID, axis=1)
        order_I = np.argsort(-norms_I, kind="stable").astype(np.int32)
        return cls(
            vectors_ID=np.ascontiguousarray(items_ID[order_I], dtype=np.float32),
            order_I=order_I,
            negative_norms_I=-norms_I[order_I],
        )

    def search(self, x_D: Float32, k: int) -> tuple[Int32, Float32]:
        """The min(k, I) items of greatest inner product with `x_D`, and the products, descending."""
        count = len(self.order_I)
        k = min(k, count)
        end = min(max(FIRST_BLOCK, 4 * k), count)
        scores_n = self.vectors_ID[:end] @ x_D
        length = float(np.sqrt(x_D @ x_D))
        while end < count:
            least = np.partition(scores_n, end - k)[end - k]
            reach = self._reach(float(least), length)
            if reach <= end:
                break
            reach = min(reach, 4 * end)
            scores_n = np.concatenate([scores_n, self.vectors_ID[end:reach] @ x_D])
            end = reach
        rows_k = best(scores_n, k)
        return self.order_I[rows_k], scores_n[rows_k]

    def _reach(self, least: float, length: float) -> int:
        """How many items are long enough to score more than `least` (a margin covers rounding)."""
        if least <= 0 or length == 0:
            return len(self.order_I)
        return int(np.searchsorted(self.negative_norms_I, np.float32(-0.9999 * least / length), side="right"))


def best(scores_n: npt.NDArray[Any], k: int) -> npt.NDArray[np.int64]:
    """Positions of the k greatest scores, descending; of equal scores the earlier position first."""
    count = len(scores_n)
    if k <= 0:
        return np.zeros(0, dtype=np.int64)
    if k < count:
        least = np.partition(scores_n, count - k)[count - k]
        found = np.flatnonzero(scores_n >= least)
    else:
        found = np.arange(count)
    return found[np.argsort(-scores_n[found], kind="stable")[:k]]
