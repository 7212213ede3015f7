"""Recall against exact search, and the time of a search, both on the same queries."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Search = Callable[[Float32, int], tuple[npt.NDArray[np.int32], Float32]]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """How good and how fast."""

    recall: float
    """Mean share of the true best k found, 0-1."""
    query_us: float
    """Median time of one search, microseconds."""


def measure(search: Search, items_ID: Float32, asked_QD: Float32, *, k: int) -> Measurement:
    """Ask `search` with each of the Q queries, once, and compare with all inner products.

    An item found counts where its true score is at least the k-th best one, so that equal scores are worth
    the same whichever is listed.
    """
    k = min(k, len(items_ID))
    found, seconds = 0, []
    for x_D in asked_QD:
        started = time.perf_counter()
        nums, _ = search(x_D, k)
        seconds.append(time.perf_counter() - started)
        scores_I = items_ID @ x_D
        least = np.partition(scores_I, len(scores_I) - k)[len(scores_I) - k]
        tolerance = 1e-6 * max(1.0, abs(float(least)))
        found += min(k, int(np.count_nonzero(scores_I[nums] >= least - tolerance)))
    return Measurement(recall=found / (k * len(asked_QD)), query_us=float(np.median(seconds)) * 1e6)
