"""The best items for a vector, under filters: index search, widened where filters leave too few, then exact.

Shapes: I items of the catalogue, D embedding_size, n items found.
"""

from collections.abc import Collection
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from recsys_assets.storage.arrays import Float32, Int32

EXACT_AT_ONCE = 2_000_000
"""Multiply-adds (I x D) that exact scoring may take on the event loop, about 1 ms."""
SEARCH_AT_ONCE_US = 2_000
"""A search that takes longer is done in a thread, so that others are answered meanwhile."""
_WIDEST = 2_048


class WouldBlockError(Exception):
    """The answer takes long: call again from a thread, with `may_block=True`."""


class Index(Protocol):
    """Approximate search over the item embeddings."""

    def search(self, x: Float32, k: int, /) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Item numbers and inner products of the k nearest, descending."""


class Found(msgspec.Struct, frozen=True):
    """A ranked list of items, best first."""

    nums: list[int]
    scores: list[float]
    candidates: int
    """How many were looked at."""


NOTHING = Found([], [], 0)


class Retrieval:
    """Top items by inner product."""

    def __init__(self, item_embeddings: Float32, index: Index, *, search_us: float = 0.0) -> None:
        """`search_us`: what a search was measured to take, µs; a long one is not done on the event loop."""
        self._items_ID = item_embeddings
        self._index = index
        self._slow = search_us > SEARCH_AT_ONCE_US

    def top(
        self,
        x_D: Float32,
        k: int,
        *,
        blocked: Collection[int],
        among: Int32 | None = None,
        may_block: bool = False,
    ) -> Found:
        """The k best items that are not blocked; fewer only where no more are eligible.

        Args:
            x_D: the user's or session's vector.
            k: how many, >= 1.
            blocked: item numbers never to return.
            among: the only item numbers to consider; all where None.
            may_block: whether exact scoring of a large catalogue may take its time here.

        Raises:
            WouldBlockError: a slow search or exact scoring is needed and `may_block` is False.
        """
        if among is not None:
            return self._score(x_D, k, blocked, among, may_block=may_block)
        if self._slow and not may_block:
            raise WouldBlockError
        wanted = k + min(len(blocked), k)
        while wanted <= _WIDEST and wanted < len(self._items_ID):
            nums, scores = self._index.search(x_D, wanted)
            found = _keep(nums.tolist(), scores.tolist(), k, blocked)
            if len(found.nums) == k:
                return found
            wanted *= 4
        return self._score(x_D, k, blocked, None, may_block=may_block)

    def _score(
        self, x_D: Float32, k: int, blocked: Collection[int], among: Int32 | None, *, may_block: bool
    ) -> Found:
        size = len(self._items_ID) if among is None else len(among)
        if size * len(x_D) > EXACT_AT_ONCE and not may_block:
            raise WouldBlockError
        items_nD = self._items_ID if among is None else self._items_ID[among]
        scores_n = items_nD @ x_D
        return best(scores_n, k, blocked, among)


def best(scores_n: Float32, k: int, blocked: Collection[int], among: Int32 | None = None) -> Found:
    """The k highest of `scores_n`, the scores of the items `among` (all where None), without the blocked.

    Equal scores go by item number, so that the same question has the same answer.
    """
    reach = min(len(scores_n), k + len(blocked))
    if reach == 0:
        return NOTHING
    if reach < len(scores_n):
        least = np.partition(scores_n, len(scores_n) - reach)[len(scores_n) - reach]
        places = np.flatnonzero(scores_n >= least)
    else:
        places = np.arange(len(scores_n))
    nums = places if among is None else among[places]
    order = np.lexsort((nums, -scores_n[places]))
    return _keep(nums[order].tolist(), scores_n[places[order]].tolist(), k, blocked, seen_all=len(scores_n))


def _keep(
    nums: list[int], scores: list[float], k: int, blocked: Collection[int], *, seen_all: int | None = None
) -> Found:
    candidates = len(nums) if seen_all is None else seen_all
    if not blocked:
        return Found(nums[:k], scores[:k], candidates)
    kept_nums: list[int] = []
    kept_scores: list[float] = []
    for num, score in zip(nums, scores, strict=True):
        if num not in blocked:
            kept_nums.append(num)
            kept_scores.append(score)
            if len(kept_nums) == k:
                break
    return Found(kept_nums, kept_scores, candidates)
