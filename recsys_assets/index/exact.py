"""Exact search for the greatest inner products that looks only at items long enough to matter.

Items lie in descending order of their norm. By Cauchy-Schwarz an item's score is at most |item| |query|, so
once k items are scored no item shorter than (k-th score) / |query| can enter the list (Teflioudi, Gemulla &
Mykytiuk 2015, "LEMP"). Factorised catalogues have a few long vectors and many short ones: on the embedded
default the median search scores 2,100 of 68,260 items. numpy only.
"""

from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np
import numpy.typing as npt

FIRST_BLOCK = 512
"""Items scored before the first look at the bound: the longest few nearly always hold a good k-th score."""

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
        if k <= 0:
            return self.order_I[:0], self.negative_norms_I[:0]
        end = min(max(FIRST_BLOCK, 4 * k), count)
        scores_n = self.vectors_ID[:end].dot(x_D)
        least = _kth(scores_n, k)
        rows = (scores_n >= least).nonzero()[0]
        scores = scores_n.take(rows)
        length = sqrt(x_D.dot(x_D))
        while end < count and (reach := self._reach(least, length)) > end:
            reach = min(reach, 8 * end)
            scores_n = self.vectors_ID[end:reach].dot(x_D)
            better = (scores_n >= least).nonzero()[0]
            if len(better):
                rows = np.concatenate([rows, better + end])
                scores = np.concatenate([scores, scores_n.take(better)])
                least = _kth(scores, k)
            end = reach
        best = (-scores).argsort(kind="stable")[:k]
        return self.order_I.take(rows.take(best)), scores.take(best)

    @cached_property
    def places(self) -> Int32:
        """The row of each item number."""
        places_I = np.empty(len(self.order_I), dtype=np.int32)
        places_I[self.order_I] = np.arange(len(self.order_I), dtype=np.int32)
        return places_I

    def _reach(self, least: float, length: float) -> int:
        """How many items are long enough to score more than `least` (a margin covers rounding)."""
        if least <= 0 or length == 0:
            return len(self.order_I)
        return int(self.negative_norms_I.searchsorted(np.float32(-0.9999 * least / length), side="right"))


def _kth(scores_n: Float32, k: int) -> float:
    """The k-th greatest score."""
    parted_n = scores_n.copy()
    parted_n.partition(len(parted_n) - k)
    return float(parted_n[-k])
