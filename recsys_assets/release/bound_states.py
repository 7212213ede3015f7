"""The states of items, and the newest catalogue, as arrays over one release: made once a version, off the event loop.

Shapes: I items, b boosted ones.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np

from recsys_assets.intake.item_states import ItemState
from recsys_assets.intake.state_store import StatesSnapshot
from recsys_assets.release.retrieval import NO_ITEMS, Candidates, LeftOut
from recsys_assets.storage.arrays import Bools, Float32, Int32
from recsys_assets.storage.string_table import Vocabulary

OffLists = Literal["hidden", "not available"]
"""A state by which lists leave an item out."""


class Scores(Protocol):
    """The scores of one asker."""

    def products(self, nums: Int32) -> Float32:
        """Return the scores of n items, (n,)."""


class CatalogueOver(NamedTuple):
    """The values of the newest catalogue over a release that is older, by item number."""

    number: int = 0
    """The catalogue's number; 0 where there is none, or the release is as new."""
    categories: Mapping[int, str] = MappingProxyType({})
    """Categories other than the release's."""
    prices: Mapping[int, float] = MappingProxyType({})
    """Prices other than the release's."""


NOTHING_NEWER: Final = CatalogueOver()


@dataclass(frozen=True, kw_only=True)
class BoundStates:
    """The states at one moment over one release. It never changes; threads may share it."""

    version: int = 0
    """Grows with every change; part of every entity tag."""
    by_num: Mapping[int, ItemState] = field(default_factory=dict)
    """The states of the items of the release, by item number."""
    hidden_I: Bools | None = None
    """(I,): items on no list; None where there are none."""
    gone_I: Bools | None = None
    """(I,): hidden items, and those that are not available; None where there are none."""
    gone: int = 0
    """Number of these."""
    boost_I: Float32 | None = None
    """(I,): factor of each item's score, 1 by default; None where all are 1."""
    boosted: Int32 = field(default_factory=lambda: NO_ITEMS)
    """(b,): items with another factor that lists do not leave out, ascending."""
    apart_I: Bools | None = None
    """(I,): those left out, and those with a factor, whose place in a list ordinary retrieval does not know."""
    prices: Mapping[int, float] = field(default_factory=dict)
    """Prices other than the release's, by item number."""
    categories: Mapping[int, str] = field(default_factory=dict)
    """Categories other than the release's, by item number; several in one text, as in the catalogue."""

    @cached_property
    def apart(self) -> int:
        """Number of items that ordinary retrieval leaves out."""
        return 0 if self.apart_I is None else int(np.count_nonzero(self.apart_I))

    def left_out(self, few: Collection[int]) -> Collection[int]:
        """Return the items that a list leaves out: `few`, a request's own, and those of states."""
        return few if self.gone_I is None else LeftOut(few, self.gone_I, self.gone)

    def not_retrieved(self, few: Collection[int]) -> Collection[int]:
        """Return the items that ordinary retrieval leaves out: boosted ones are merged into its list after it."""
        return few if self.apart_I is None else LeftOut(few, self.apart_I, self.apart)

    def merged(
        self, found: Candidates, asker: Scores, k: int, few: Collection[int], *, among: Int32 | None = None
    ) -> Candidates:
        """Return the k best of a list without boosted items and of the boosted ones at their raised scores.

        Args:
            found: best first, made with `not_retrieved`.
            asker: whose scores.
            k: how many.
            few: the request's own items to leave out.
            among: the only items of the list; all where None.
        """
        nums = self.boosted
        if not len(nums) or found.scores is None:
            return found
        left = ~np.isin(nums, np.fromiter(few, np.int32, len(few)))
        if among is not None:
            left &= np.isin(nums, among)
        nums = nums[left]
        scores = self.raised(nums, asker.products(nums))
        every, all_scores = np.concatenate([found.nums, nums]), np.concatenate([found.scores, scores])
        order = np.lexsort((every, -all_scores))[:k]
        return found._replace(nums=every[order], scores=all_scores[order])

    def raised(self, nums: Int32, scores_n: Float32) -> Float32:
        """Return the scores of n items with their factors: s · b where s > 0, else s / b; so b > 1 always raises."""
        if self.boost_I is None:
            return scores_n
        factors_n = self.boost_I.take(nums)
        found: Float32 = np.where(scores_n > 0, scores_n * factors_n, scores_n / factors_n)
        return found

    def on_lists(self, nums: Int32, scores_n: Float32) -> tuple[Int32, Float32]:
        """Return those of n ranked items that lists may hold, at their raised scores, best first."""
        if self.gone_I is not None:
            kept = ~self.gone_I.take(nums)
            nums, scores_n = nums[kept], scores_n[kept]
        if self.boost_I is not None:
            scores_n = self.raised(nums, scores_n)
            order = np.argsort(-scores_n, kind="stable")
            nums, scores_n = nums[order], scores_n[order]
        return nums, scores_n

    def not_gone(self, nums: Sequence[int]) -> Sequence[int]:
        """Return those of some items that lists may hold, in order."""
        gone_I = self.gone_I
        return nums if gone_I is None else [num for num in nums if not gone_I.item(num)]

    def word(self, num: int) -> OffLists | None:
        """Return the state by which lists leave an item out; None where they do not."""
        state = self.by_num.get(num)
        if state is None or not state.gone:
            return None
        return "hidden" if state.hidden else "not available"

    def why_gone(self, num: int) -> str | None:
        """Return why lists leave an item out, in words; None where they do not."""
        state = self.by_num.get(num)
        return None if state is None or not state.gone else state.in_words()


NO_STATES: Final = BoundStates()


def bind_states(
    snapshot: StatesSnapshot, items: Vocabulary, *, catalogue: CatalogueOver = NOTHING_NEWER
) -> BoundStates:
    """Return states as arrays over the items of a release; a state wins over the catalogue.

    Args:
        snapshot: the states by item id; those of items that the release does not hold have no effect.
        items: the release's.
        catalogue: the newest one's values, where it is newer than the release.
    """
    numbered = ((items.num(item_id), state) for item_id, state in snapshot.states.items())
    by_num = {num: state for num, state in numbered if num is not None}
    prices, categories = dict(catalogue.prices), dict(catalogue.categories)
    prices |= {num: one.price for num, one in by_num.items() if one.price is not None}
    categories |= {num: one.category for num, one in by_num.items() if one.category is not None}
    hidden_I = _mask([num for num, one in by_num.items() if one.hidden], len(items))
    gone = [num for num, one in by_num.items() if one.gone]
    gone_I = _mask(gone, len(items))
    boosts = {num: one.boost for num, one in by_num.items() if one.boost is not None}
    boost_I: Float32 | None = None
    apart_I = gone_I
    if boosts:
        boost_I = np.ones(len(items), dtype=np.float32)
        boost_I[list(boosts)] = list(boosts.values())
        apart_I = _mask([*gone, *boosts], len(items))
    return BoundStates(
        version=snapshot.version + catalogue.number,
        by_num=by_num,
        hidden_I=hidden_I,
        gone_I=gone_I,
        gone=len(gone),
        boost_I=boost_I,
        boosted=np.array(sorted(boosts.keys() - set(gone)), dtype=np.int32),
        apart_I=apart_I,
        prices=prices,
        categories=categories,
    )


def _mask(nums: Collection[int], items: int) -> Bools | None:
    if not nums:
        return None
    found = np.zeros(items, dtype=np.bool_)
    found[list(nums)] = True
    return found
