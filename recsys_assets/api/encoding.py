"""The hot JSON bodies, written from pieces: an item's JSON is encoded once and kept, a list is a join.

What comes out has the form of the structs in `schemas.py`; the tests decode it with them.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

_KEPT = 32_768
"""Items whose JSON is kept in memory, at most; about 200 bytes each."""

_encoder = msgspec.json.Encoder()


class Strings(Protocol):
    """Strings by position."""

    def __getitem__(self, num: int, /) -> str: ...


def quoted(text: str | None) -> str:
    """JSON for a string, or `null`."""
    return _encoder.encode(text).decode()


class ItemJson:
    """JSON of items by number."""

    def __init__(self, ids: Strings, titles: Strings, categories: Strings) -> None:
        self._ids, self._titles, self._categories = ids, titles, categories
        self._kept: dict[int, str] = {}

    def open(self, num: int) -> str:
        """The item's object without its closing brace, so that fields can follow."""
        found = self._kept.get(num)
        if found is None:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            found = self._kept[num] = (
                f'{{"item_id":{quoted(self._ids[num])},"title":{quoted(self._titles[num] or None)}'
                f',"category":{quoted(self._categories[num] or None)}'
            )
        return found

    def scored(self, nums: Sequence[int], scores: Sequence[float]) -> str:
        """A JSON array of scored items, six significant digits a score."""
        kept = self._kept
        try:
            rows = [f'{kept[num]},"score":{score:.6g}}}' for num, score in zip(nums, scores, strict=True)]
        except KeyError:
            rows = [
                f'{self.open(num)},"score":{score:.6g}}}' for num, score in zip(nums, scores, strict=True)
            ]
        return f"[{','.join(rows)}]"

    def because(self, nums: Sequence[int], scores: Sequence[float], reasons: Sequence[int | None]) -> str:
        """Like `scored`, and each item names the item of the history that it is nearest to."""
        rows = []
        for num, score, reason in zip(nums, scores, reasons, strict=True):
            because = "null" if reason is None else self.open(reason) + "}"
            rows.append(f'{self.open(num)},"score":{score:.6g},"because":{because}}}')
        return f"[{','.join(rows)}]"

    def plain(self, nums: Sequence[int]) -> str:
        """A JSON array of items."""
        return f"[{','.join([self.open(num) + '}' for num in nums])}]"
