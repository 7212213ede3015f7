"""What of a release does not depend on who asks: popular items, categories, which items are near which."""

from collections.abc import Collection, Sequence
from functools import cached_property

import numpy as np

from recsys_assets.api.serving.retrieval import Found
from recsys_assets.release.load import Release
from recsys_assets.storage.arrays import Float32, Int32

_NO_ITEMS = np.empty(0, dtype=np.int32)


class Catalogue:
    """The items of one release."""

    def __init__(self, release: Release) -> None:
        self._items_ID = release.item_embeddings
        self._names = release.categories
        self._popular_items = release.popular_items
        self._popular_scores = release.popular_scores

    def popular(self, k: int, *, blocked: Collection[int], category: str | None) -> Found:
        """The k most popular items that are not blocked, of one category where asked."""
        if category is None:
            places = range(min(len(self._popular_items), k + len(blocked)))
            nums = self._popular_items[: len(places)].tolist()
        else:
            of_category = self._places.get(category, _NO_ITEMS)[: k + len(blocked)]
            places, nums = of_category.tolist(), self._popular_items[of_category].tolist()
        kept = [pair for pair in zip(nums, places, strict=True) if pair[0] not in blocked][:k]
        scores = self._popular_scores[[place for _, place in kept]].tolist()
        return Found([num for num, _ in kept], scores, len(nums))

    def of_category(self, category: str | None) -> Int32 | None:
        """The item numbers of a category, none for an unknown one; None stands for all items."""
        if category is None:
            return None
        return self._popular_items[self._places.get(category, _NO_ITEMS)]

    def categories(self) -> dict[str, int]:
        """Category -> how many items, largest first."""
        sizes = {name: len(places) for name, places in self._places.items()}
        return dict(sorted(sizes.items(), key=lambda pair: (-pair[1], pair[0])))

    def nearest(self, nums: Sequence[int], among: Sequence[int]) -> list[int | None]:
        """For each of `nums` the item of `among` of the highest cosine; None where none is above 0."""
        if not nums or not among:
            return [None] * len(nums)
        cosines_nm = _unit_rows(self._items_ID[list(nums)]) @ _unit_rows(self._items_ID[list(among)]).T
        best = cosines_nm.argmax(axis=1).tolist()
        return [among[place] if cosines_nm[row, place] > 0 else None for row, place in enumerate(best)]

    def by_cosine(self, num: int, found: Found, k: int) -> Found:
        """The k of the items found that are nearest to one item by cosine; the score is the cosine."""
        items_nD = _unit_rows(self._items_ID[found.nums])
        cosines_n = items_nD @ _unit_rows(self._items_ID[[num]])[0]
        order = np.lexsort((found.nums, -cosines_n))[:k]
        nums = np.asarray(found.nums, dtype=np.int64)
        return Found(nums[order].tolist(), cosines_n[order].tolist(), found.candidates)

    @cached_property
    def _places(self) -> dict[str, Int32]:
        """Category -> places in `popular_items` of its items, so most popular first."""
        groups: dict[str, list[int]] = {}
        for place, num in enumerate(self._popular_items.tolist()):
            groups.setdefault(self._names[num], []).append(place)
        groups.pop("", None)
        return {name: np.asarray(places, dtype=np.int32) for name, places in groups.items()}


def _unit_rows(rows_nD: Float32) -> Float32:
    lengths_n1 = np.linalg.norm(rows_nD, axis=1, keepdims=True)
    unit_nD: Float32 = np.divide(rows_nD, lengths_n1, out=np.zeros_like(rows_nD), where=lengths_n1 > 0)
    return unit_nD
