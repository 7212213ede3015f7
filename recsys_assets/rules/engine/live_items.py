"""Popular items and categories of one release under the states of a moment: without what lists leave out.

Without states these are the release's own arrays. Under states a category is made from the release's when it is first
requested, by array operations, so that a change of a state costs a request next to nothing. Shape: I items.
"""

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property

import numpy as np

from recsys_assets import columns
from recsys_assets.release.bound_states import BoundStates
from recsys_assets.release.load import Release
from recsys_assets.release.retrieval import NO_ITEMS, Candidates
from recsys_assets.storage.arrays import Bools, Float32, Int32
from recsys_assets.storage.string_table import StringTable


class ReleasedItems:
    """Popularity and categories as a release has them."""

    def __init__(self, release: Release) -> None:
        self.names = release.categories
        self.popular_items = release.popular_items
        self.popular_scores = release.popular_scores

    @cached_property
    def places(self) -> dict[str, Int32]:
        """Category -> places in `popular_items` of its items, so most popular first."""
        groups: dict[str, list[int]] = {}
        names_of = {name: tuple(alone_and_together(name)) if name else () for name in set(self.names)}
        for place, num in enumerate(self.popular_items.tolist()):
            for name in names_of[self.names[num]]:
                groups.setdefault(name, []).append(place)
        return {name: np.asarray(places, dtype=np.int32) for name, places in groups.items()}

    @cached_property
    def scores_I(self) -> Float32:  # noqa: N802  arrays carry their shape in their name
        """(I,): popularity by item number."""
        found = np.zeros(len(self.names), dtype=np.float32)
        found[self.popular_items] = self.popular_scores
        return found


class LiveItems:
    """The same under states. It never changes; threads may share it."""

    def __init__(self, released: ReleasedItems, states: BoundStates) -> None:
        self._released = released
        self.states = states
        self.popular_items: Int32 = released.popular_items
        """Items that lists may hold, most popular first."""
        self.popular_scores: Float32 = released.popular_scores
        """Their popularity, with the factors of states."""
        if states.gone_I is not None:
            kept = ~states.gone_I.take(self.popular_items)
            self.popular_items, self.popular_scores = self.popular_items[kept], self.popular_scores[kept]
        if states.boost_I is not None:
            scores = states.raised(self.popular_items, self.popular_scores)
            order = np.argsort(-scores, kind="stable")
            self.popular_items, self.popular_scores = self.popular_items[order], scores[order]
        self._changed = states.apart_I is not None or bool(states.categories)
        self._kept: dict[str, Int32] = {}

    def popular(self, k: int, *, blocked: Collection[int], category: str | None) -> Candidates:
        """Return the k most popular items that are not blocked, of one category where given."""
        reach = k + len(blocked)
        if category is None:
            nums, scores = self.popular_items[:reach], self.popular_scores[:reach]
        else:
            nums = self.of_category(category)[:reach]
            scores = self.states.raised(nums, self._released.scores_I.take(nums))
        if not blocked:
            return Candidates(nums, scores, len(nums))
        kept = [place for place, num in enumerate(nums.tolist()) if num not in blocked][:k]
        return Candidates(nums[kept], scores[kept], len(nums), len(blocked))

    def of_category(self, category: str) -> Int32:
        """Return the item numbers of a category, most popular first; none for an unknown one.

        An item of several, `Comedy | Drama`, is found by each, and by all together as the catalogue has them.
        """
        if not self._changed:
            return self._released.popular_items[self._released.places.get(category, NO_ITEMS)]
        found = self._kept.get(category)
        if found is None:
            found = self._of_changed(category)
            if len(found):  # else requests could fill the memory with names that no item has
                self._kept[category] = found
        return found

    def in_category(self, nums: Int32, category: str) -> Bools:
        """Return (n,): whether each of these item numbers is of a category."""
        among_I = np.zeros(len(self._released.names), dtype=np.bool_)
        among_I[self.of_category(category)] = True
        found: Bools = among_I[nums]
        return found

    def categories(self) -> dict[str, int]:
        """Return category -> number of its items, largest first; several of one item are each counted alone."""
        names = dict.fromkeys(self._released.places)
        for category in self.states.categories.values():
            names |= dict.fromkeys(alone_and_together(category))
        sizes = {name: len(self.of_category(name)) for name in names if columns.SEVERAL not in name}
        kept = ((name, size) for name, size in sizes.items() if size)
        return dict(sorted(kept, key=lambda pair: (-pair[1], pair[0])))

    def category(self, num: int) -> str:
        """Return an item's category now, several in one text; empty where unknown."""
        found = self.states.categories.get(num)
        return self._released.names[num] if found is None else found

    def _of_changed(self, category: str) -> Int32:
        released, states = self._released, self.states
        nums: Int32 = released.popular_items[released.places.get(category, NO_ITEMS)]
        if states.categories:
            moved = np.fromiter(states.categories, np.int32, len(states.categories))
            here = [num for num, name in states.categories.items() if category in alone_and_together(name)]
            nums = np.concatenate([nums[~np.isin(nums, moved)], np.array(here, dtype=np.int32)])
        if states.gone_I is not None:
            nums = nums[~states.gone_I.take(nums)]
        if states.categories or states.boost_I is not None:
            nums = nums[np.argsort(self._ranks_I.take(nums), kind="stable")]
        return nums

    @cached_property
    def _ranks_I(self) -> Int32:  # noqa: N802  arrays carry their shape in their name
        """(I,): each item's place by popularity."""
        ranks = np.full(len(self._released.names), len(self._released.names), dtype=np.int32)
        ranks[self.popular_items] = np.arange(len(self.popular_items), dtype=np.int32)
        return ranks


class LiveCategories:
    """The categories of a release's items by number, with those that are others now."""

    def __init__(self, names: StringTable, others: Mapping[int, str]) -> None:
        """Take the categories of a release, and `others` by item number."""
        self._names, self._others = names, others

    def __getitem__(self, num: int) -> str:
        found = self._others.get(num)
        return self._names[num] if found is None else found


def alone_and_together(category: str) -> Iterable[str]:
    """Return a category as the catalogue has it, and each of several on its own."""
    return dict.fromkeys([category, *category.split(columns.SEVERAL)])
