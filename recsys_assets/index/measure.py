"""Recall against exact search, and the time of a search, both on the same queries."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

REPEATS = 2
"""Times that each query is asked; the faster one counts, so that a busy moment does not."""
TIED = 1e-5
"""Products nearer to the k-th than this share of it are as good."""
ROUNDING = 1e-6
"""Two ways to compute one product differ by less than this share of |item| |query|, eight units of float32."""

Float32 = npt.NDArray[np.float32]
Search = Callable[[Float32, int], tuple[npt.NDArray[np.int32], Float32]]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What exact search says. Shapes: I items, Q queries, D embedding_size."""

    items_ID: Float32
    """The catalogue searched."""
    asked_QD: Float32
    """The queries."""
    k: int
    """Length of the lists, <= I."""
    least_Q: Float32
    """The least product that counts as among the k greatest of each query: the k-th, less what rounding moves."""

    @classmethod
    def of(cls, items_ID: Float32, asked_QD: Float32, *, k: int) -> "Truth":
        """Score everything, one query at a time."""
        k = min(k, len(items_ID))
        cut = len(items_ID) - k
        least_Q = np.array([np.partition(items_ID @ x_D, cut)[cut] for x_D in asked_QD], dtype=np.float32)
        moved_Q = ROUNDING * np.linalg.norm(items_ID, axis=1).max() * np.linalg.norm(asked_QD, axis=1)
        least_Q -= np.maximum(TIED * np.abs(least_Q), moved_Q)
        return cls(items_ID=items_ID, asked_QD=asked_QD, k=k, least_Q=least_Q)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """How good and how fast."""

    recall: float
    """Mean share of the true best k found, 0-1."""
    query_us: float
    """Median time of one search, microseconds."""


def measure(search: Search, truth: Truth) -> Measurement:
    """Ask `search` with every query and compare.

    An item found counts where its product is at least the k-th greatest, so that of equal scores, which
    factorised catalogues are full of, each is worth the same. In a tiny catalogue these are zeros, of which
    rounding leaves 1e-8 of either sign.
    """
    found, seconds = 0, []
    for x_D, least in zip(truth.asked_QD, truth.least_Q, strict=True):
        fastest = float("inf")
        for _ in range(REPEATS):
            started = time.perf_counter()
            nums, _scores = search(x_D, truth.k)
            fastest = min(fastest, time.perf_counter() - started)
        seconds.append(fastest)
        good = truth.items_ID[nums] @ x_D >= least
        found += min(truth.k, int(np.count_nonzero(good)))
    return Measurement(
        recall=found / (truth.k * len(truth.asked_QD)), query_us=float(np.median(seconds)) * 1e6
    )
