"""The score of every item for one asker, a user or a session: an inner product, and the sums of related items.

Made once a request; exact in what it returns. No rules here: see `rules/engine`. Shapes: I items of the catalogue,
D embedding_size, n items.
"""

from collections.abc import Collection
from typing import Final

import numpy as np

from recsys_assets.embeddings.score_recipe import ItemSums
from recsys_assets.release.retrieval import EXACT_AT_ONCE, Candidates, Retrieval, WouldBlockError, best
from recsys_assets.storage.arrays import Float32, Int32

_GATHERED: Final = 4
"""Items of the whole catalogue that are scored in the time of one gathered from it: 68,260 items take as long as 20,000
gathered ones, 7,000 as long as 1,600."""


class Taste:
    """The scores of one asker."""

    __slots__ = ("_retrieval", "related", "x_D")

    def __init__(self, retrieval: Retrieval, x_D: Float32, related: ItemSums | None = None) -> None:
        """Take the asker's vector, and the sums of related items where the model has such."""
        self._retrieval = retrieval
        self.x_D = x_D
        self.related = related

    def products(self, nums: Int32, rows_nD: Float32 | None = None) -> Float32:
        """Return the scores of n items, (n,); `rows_nD` are their vectors where the caller has them."""
        if rows_nD is None:
            rows_nD = self._retrieval.items_ID.take(nums, axis=0)
        scores_n: Float32 = rows_nD.dot(self.x_D)
        if self.related is not None:
            scores_n += self.related.at(nums)
        return scores_n

    def top(
        self, k: int, *, blocked: Collection[int], among: Int32 | None = None, may_block: bool = False
    ) -> Candidates:
        """Return the k best items that are not blocked; fewer only where no more are eligible.

        Args:
            k: how many, >= 1.
            blocked: item numbers never to return.
            among: the only item numbers to consider; all where None.
            may_block: whether exact scoring of a large catalogue may take its time here.

        Raises:
            WouldBlockError: a slow search or exact scoring is needed and `may_block` is False.
        """
        if self.related is None or not len(self.related.nums):
            return self._retrieval.top(self.x_D, k, blocked=blocked, among=among, may_block=may_block)
        if among is None:
            return self._top(self.related, k, blocked, may_block=may_block)
        _check_size(len(among), self.x_D, may_block=may_block)
        return best(self.products(among), k, blocked, among)

    def _top(self, related: ItemSums, k: int, blocked: Collection[int], *, may_block: bool) -> Candidates:
        """Return the k best of the sum, of the whole catalogue or of the few that can be among them.

        The items with related sums are scored all. Of the others, whose score is the inner product, a search finds
        the best; those that it leaves out score no more than its last one.
        """
        items = len(self._retrieval)
        if items > _GATHERED * len(related.nums):
            products_m = self._retrieval.items_ID.take(related.nums, axis=0).dot(self.x_D)
            own = best(products_m + related.scores, k, blocked, related.nums)
            wanted = k + min(len(blocked), k)
            for nums, products in self._retrieval.searches(self.x_D, wanted, may_block=may_block):
                found = _merged(own, best(products + related.at(nums), k, blocked, nums), k)
                assert found.scores is not None  # noqa: S101  both lists have scores
                if len(found.nums) == k and len(products) and products[-1] < found.scores[-1]:
                    return found._replace(examined=len(related.nums) + len(nums), blocked=len(blocked))
        _check_size(items, self.x_D, may_block=may_block)
        scores_I = self._retrieval.items_ID @ self.x_D
        scores_I[related.nums] += related.scores
        return best(scores_I, k, blocked)


def _check_size(items: int, x_D: Float32, *, may_block: bool) -> None:
    if items * len(x_D) > EXACT_AT_ONCE and not may_block:
        raise WouldBlockError


def _merged(one: Candidates, other: Candidates, k: int) -> Candidates:
    """Return the k best of two lists; an item of both has the score of the first."""
    assert one.scores is not None  # noqa: S101
    assert other.scores is not None  # noqa: S101
    nums, places = np.unique(np.concatenate([one.nums, other.nums]), return_index=True)
    scores = np.concatenate([one.scores, other.scores]).take(places)
    order = np.lexsort((nums, -scores))[:k]
    return Candidates(nums.take(order), scores.take(order))
