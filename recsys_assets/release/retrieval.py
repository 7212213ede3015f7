"""The best items for a vector, under filters: index search, widened where filters leave too few, then exact.

Shapes: I items of the catalogue, D embedding_size, n items found. No rules here: see `rules/engine`.
"""

from collections.abc import Collection, Iterator
from itertools import chain
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from recsys_assets.storage.arrays import NO_ITEM, Bools, Float32, Int32

EXACT_AT_ONCE: Final = 2_000_000
"""Multiply-adds (I x D) that exact scoring may take on the event loop, about 1 ms."""
SEARCH_AT_ONCE_US: Final = 2_000
"""A search that takes longer is done in a thread, so that others are answered meanwhile."""
_WIDEST: Final = 2_048


class WouldBlockError(Exception):
    """The answer takes long: call again from a thread, with `may_block=True`."""


class Index(Protocol):
    """Approximate search over the item embeddings."""

    def search(self, x: Float32, k: int, /) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Item numbers and inner products of the k nearest, descending."""


class Candidates(NamedTuple):
    """Items that a source brings for one request, each once, best first. Shape: n items."""

    nums: Int32
    """(n,): item numbers."""
    scores: Float32 | None = None
    """(n,): the source's scores, in most sources the asker's; None where unknown."""
    examined: int = 0
    """Number of items examined to find these."""
    blocked: int = 0
    """Upper bound of the items held back."""


NO_ITEMS: Final = np.empty(0, dtype=np.int32)
NOTHING: Final = Candidates(NO_ITEMS, np.empty(0, dtype=np.float32))


class LeftOut(Collection[int]):
    """Items that are left out of a list: some of one request, and those of a mask, the same for every request."""

    __slots__ = ("few", "mask_I", "masked")

    def __init__(self, few: Collection[int], mask_I: Bools, masked: int) -> None:
        """Take a request's own item numbers, a mask (I,) of items, and how many it holds."""
        self.few = few
        self.mask_I = mask_I
        self.masked = masked

    def __contains__(self, num: object) -> bool:
        return num in self.few or (isinstance(num, int) and bool(self.mask_I.item(num)))

    def __len__(self) -> int:
        return len(self.few) + self.masked

    def __iter__(self) -> Iterator[int]:
        return chain(self.few, np.flatnonzero(self.mask_I).tolist())


class Retrieval:
    """Top items by inner product."""

    def __init__(self, item_embeddings: Float32, index: Index, *, search_us: float = 0.0) -> None:
        """Search `index` for `item_embeddings` (I, D).

        `search_us` is the measured time of a search, µs; a long one is not done on the event loop.
        """
        self.items_ID = item_embeddings
        """(I, D)."""
        self._index = index
        self._slow = search_us > SEARCH_AT_ONCE_US

    def __len__(self) -> int:
        return len(self.items_ID)

    def top(
        self,
        x_D: Float32,
        k: int,
        *,
        blocked: Collection[int],
        among: Int32 | None = None,
        may_block: bool = False,
    ) -> Candidates:
        """Return the k best items that are not blocked; fewer only where no more are eligible.

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
        for nums, scores in self.searches(x_D, k + min(len(blocked), k), may_block=may_block):
            found = without(nums, scores, k, blocked)
            if len(found.nums) == k:
                return found
        return self._score(x_D, k, blocked, None, may_block=may_block)

    def searches(self, x_D: Float32, wanted: int, *, may_block: bool) -> Iterator[tuple[Int32, Float32]]:
        """Yield the `wanted` best items by inner product, then ever longer lists, while a search is worth it.

        Raises:
            WouldBlockError: a search is slow, and `may_block` is False.
        """
        if self._slow and not may_block:
            raise WouldBlockError
        while wanted <= _WIDEST and wanted < len(self.items_ID):
            yield self._index.search(x_D, wanted)
            wanted *= 4

    def _score(
        self, x_D: Float32, k: int, blocked: Collection[int], among: Int32 | None, *, may_block: bool
    ) -> Candidates:
        size = len(self.items_ID) if among is None else len(among)
        if size * len(x_D) > EXACT_AT_ONCE and not may_block:
            raise WouldBlockError
        items_nD = self.items_ID if among is None else self.items_ID[among]
        scores_n = items_nD @ x_D
        return best(scores_n, k, blocked, among)


def best(scores_n: Float32, k: int, blocked: Collection[int], among: Int32 | None = None) -> Candidates:
    """Return the k highest of `scores_n`, the scores of the items `among` (all where None), without the blocked.

    Equal scores are ordered by item number, so that the same question has the same answer.
    """
    if isinstance(blocked, LeftOut):
        left = np.flatnonzero(~(blocked.mask_I if among is None else blocked.mask_I.take(among)))
        nums = left.astype(np.int32) if among is None else among[left]
        found = best(scores_n.take(left), k, blocked.few, nums)
        return found._replace(examined=len(scores_n), blocked=len(blocked))
    reach = min(len(scores_n), k + len(blocked))
    if reach == 0:
        return NOTHING._replace(blocked=len(blocked))
    if reach < len(scores_n):
        least = np.partition(scores_n, len(scores_n) - reach)[len(scores_n) - reach]
        places = np.flatnonzero(scores_n >= least)
    else:
        places = np.arange(len(scores_n))
    nums = places.astype(np.int32) if among is None else among[places]
    order = np.lexsort((nums, -scores_n[places]))
    return without(nums[order], scores_n[places[order]], k, blocked, examined=len(scores_n))


def without(
    nums_n: Int32, scores_n: Float32, k: int, blocked: Collection[int], *, examined: int | None = None
) -> Candidates:
    """Return the first k of the ranked items `nums_n` that are not blocked."""
    seen = len(nums_n) if examined is None else examined
    if not blocked:
        return Candidates(nums_n[:k], scores_n[:k], seen)
    if isinstance(blocked, LeftOut):
        left = np.flatnonzero(~blocked.mask_I.take(nums_n))
        found = without(nums_n.take(left), scores_n.take(left), k, blocked.few)
        return found._replace(examined=seen, blocked=len(blocked))
    kept = np.array([place for place, num in enumerate(nums_n.tolist()) if num not in blocked][:k], np.intp)
    return Candidates(nums_n[kept], scores_n[kept], seen, len(blocked))


def first_of_row(
    items_RC: Int32, scores_RC: Float32, row: int, k: int, blocked: Collection[int]
) -> Candidates | None:
    """Return the first k items of a row computed ahead that are not blocked; None where it holds too few.

    Shapes: R rows of C items, -1 where they end.
    """
    if k > items_RC.shape[1] or items_RC.item(row, k - 1) < 0:
        return None
    first = items_RC[row, :k]
    if not blocked or (
        isinstance(blocked, LeftOut) and not blocked.few and not blocked.mask_I.take(first).any()
    ):
        return Candidates(first, scores_RC[row, :k], k)
    found = without(items_RC[row], scores_RC[row], k, blocked)
    return found if len(found.nums) == k and found.nums[-1] >= 0 else None


def first_of_rows(items_RC: Int32, scores_RC: Float32, rows_N: Int32, k: int) -> tuple[Int32, Float32, Bools]:
    """Return what `first_of_row` returns for each of N rows, nothing blocked: items and scores (N, k), and who has k.

    The rows without k items hold what there is.
    """
    width = min(k, items_RC.shape[1])
    items_Nk = np.full((len(rows_N), k), NO_ITEM, dtype=np.int32)
    scores_Nk = np.full((len(rows_N), k), -np.inf, dtype=np.float32)
    items_Nk[:, :width], scores_Nk[:, :width] = items_RC[:, :width][rows_N], scores_RC[:, :width][rows_N]
    return items_Nk, scores_Nk, items_Nk[:, k - 1] >= 0
