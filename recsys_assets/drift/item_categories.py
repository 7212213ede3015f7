"""The categories of a catalogue's items, as numbers: a day's rows are counted by them."""

from typing import Final

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.drift.day_profile import CATEGORIES
from recsys_assets.drift.distinct_keys import keys_of
from recsys_assets.storage.arrays import Bools, Int64, UInt64

_OTHER: Final = 255
"""Number of the category that stands for all but the 255 with most items."""


class ItemCategories:
    """The catalogue's categories by item; those with most items have a number each, the others share one."""

    def __init__(self, catalogue: pl.DataFrame) -> None:
        """Read ITEM_CATALOGUE's columns."""
        keys = catalogue.select(keys_of(pl.col(columns.ITEM_ID))).to_series().to_numpy()
        order = np.argsort(keys)
        self._keys: UInt64 = keys[order]
        self.names: dict[str, list[str]] = {}
        self._numbers: dict[str, Int64] = {}
        for level in CATEGORIES:
            sizes = (
                catalogue[level].drop_nulls().value_counts().sort(["count", level], descending=[True, False])
            )
            largest = sizes[level].head(_OTHER).sort()
            if len(largest):
                numbers = catalogue[level].replace_strict(largest, range(len(largest)), default=_OTHER)
                self.names[level] = largest.to_list()
                self._numbers[level] = numbers.to_numpy()[order].astype(np.int64)

    def count(self, items: UInt64, rows: Int64) -> tuple[int, dict[str, dict[int, int]]]:
        """Return the rows of items that are not in the catalogue, and by category those of items that are.

        Args:
            items: keys of distinct items.
            rows: number of rows of each.
        """
        places, known = self._find(items)
        found = {}
        for level, numbers in self._numbers.items():
            by_number = np.bincount(numbers[places[known]], weights=rows[known], minlength=1)
            present = np.flatnonzero(by_number)
            found[level] = dict(
                zip(present.tolist(), by_number[present].astype(np.int64).tolist(), strict=True)
            )
        return int(rows[~known].sum()), found

    def contains(self, items: UInt64) -> Bools:
        """Mark the items that are in the catalogue."""
        return self._find(items)[1]

    def has_category(self, level: str, number: int, items: UInt64) -> Bools:
        """Mark the items that have the category `number` of `level`."""
        places, known = self._find(items)
        found: Bools = known & (self._numbers[level][places] == number)
        return found

    def _find(self, keys: UInt64) -> tuple[Int64, Bools]:
        places = np.searchsorted(self._keys, keys)
        places[places == len(self._keys)] = 0
        return places, self._keys[places] == keys
