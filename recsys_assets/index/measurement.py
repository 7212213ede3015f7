"""Recall and time of a search, measured against exact answers to the same queries."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from recsys_assets.storage.arrays import Float32, Int32

_SCORES: Final = 1 << 22
"""Scores in memory at once, 16 MB."""
_REPEATS: Final = 3
"""Runs of each query; the fastest one counts, so that a busy moment does not."""
_TIED: Final = 1e-5
"""Products that differ from the k-th by less than this share of it are equally good."""
_ROUNDING: Final = 1e-6
"""Two ways to compute one product differ by less than this share of |item| |query|, eight units of float32."""

Search = Callable[[Float32, int], tuple[Int32, Float32]]
"""A function of a vector (D,) and k that returns item numbers and inner products, best first."""


@dataclass(frozen=True, kw_only=True)
class ExactAnswers:
    """Results of exact search, to compare others with. Shapes: I items, Q queries, D embedding_size."""

    items_ID: Float32
    """The catalogue."""
    queries_QD: Float32
    """The queries."""
    k: int
    """Length of the lists, <= I."""
    least_Q: Float32
    """Least product that counts as among the k greatest of each query: the k-th, less the rounding error."""

    @classmethod
    def of(cls, items_ID: Float32, queries_QD: Float32, *, k: int) -> "ExactAnswers":
        """Score all items, for a few queries at a time."""
        k = min(k, len(items_ID))
        cut, few = len(items_ID) - k, max(1, _SCORES // len(items_ID))
        least_Q = np.concatenate(
            [
                np.partition(queries_QD[start : start + few] @ items_ID.T, cut, axis=1)[:, cut]
                for start in range(0, len(queries_QD), few)
            ]
        )
        error_Q = _ROUNDING * np.linalg.norm(items_ID, axis=1).max() * np.linalg.norm(queries_QD, axis=1)
        least_Q -= np.maximum(_TIED * np.abs(least_Q), error_Q)
        return cls(items_ID=items_ID, queries_QD=queries_QD, k=k, least_Q=least_Q)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Recall and time of a search."""

    recall: float
    """Mean share of the true best k found, 0-1."""
    query_us: float
    """Median time of one search, microseconds."""


def measure(search: Search, truth: ExactAnswers) -> Measurement:
    """Run every query and compare the results with exact search.

    An item counts as found if its product is at least the k-th greatest. So items of equal score, which are
    common in factorised catalogues, are equally right. In a tiny catalogue such scores are zeros, which rounding
    turns into about 1e-8 of either sign.
    """
    found, seconds = 0, []
    for x_D, least in zip(truth.queries_QD, truth.least_Q, strict=True):
        fastest = float("inf")
        for _ in range(_REPEATS):
            started = time.perf_counter()
            nums, _scores = search(x_D, truth.k)
            fastest = min(fastest, time.perf_counter() - started)
        seconds.append(fastest)
        good = truth.items_ID[nums] @ x_D >= least
        found += min(truth.k, int(np.count_nonzero(good)))
    return Measurement(
        recall=found / (truth.k * len(truth.queries_QD)), query_us=float(np.median(seconds)) * 1e6
    )
