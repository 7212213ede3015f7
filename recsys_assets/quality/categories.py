"""What the item catalogue says of a day's items: whether they are in it, and their categories by number."""

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_assets import columns
from recsys_assets.quality.events import Ids, keys_of
from recsys_assets.quality.keys import Keys
from recsys_assets.quality.profile import CATEGORIES

_BINS: Final = 255


class Categories:
    """Items by key; the categories with most items have a number each, the others share the last one."""

    def __init__(self, catalogue: pl.DataFrame) -> None:
        """Take ITEM_CATALOGUE's columns."""
        keys = catalogue.select(keys_of(pl.col(columns.ITEM_ID))).to_series().to_numpy()
        order = np.argsort(keys)
        self._keys: Keys = keys[order]
        self.names: dict[str, list[str]] = {}
        self._numbers: dict[str, npt.NDArray[np.int64]] = {}
        for level in CATEGORIES:
            sizes = (
                catalogue[level].drop_nulls().value_counts().sort(["count", level], descending=[True, False])
            )
            largest = sizes[level].head(_BINS).sort()
            if len(largest):
                numbers = catalogue[level].replace_strict(largest, range(len(largest)), default=_BINS)
                self.names[level] = largest.to_list()
                self._numbers[level] = numbers.to_numpy()[order].astype(np.int64)

    def count(self, items: Ids) -> tuple[int, dict[str, dict[int, int]]]:
        """Events of items that are not in the catalogue; events by category of those that are."""
        places, known = self._find(items.keys)
        found = {}
        for level, numbers in self._numbers.items():
            rows = np.bincount(numbers[places[known]], weights=items.rows[known], minlength=1)
            found[level] = {int(n): int(rows[n]) for n in np.flatnonzero(rows)}
        return int(items.rows[~known].sum()), found

    def knows(self, items: Keys) -> npt.NDArray[np.bool_]:
        """Which items are in the catalogue."""
        return self._find(items)[1]

    def are(self, level: str, number: int, items: Keys) -> npt.NDArray[np.bool_]:
        """Which items have the category `number` of `level`."""
        places, known = self._find(items)
        found: npt.NDArray[np.bool_] = known & (self._numbers[level][places] == number)
        return found

    def _find(self, keys: Keys) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        places = np.searchsorted(self._keys, keys)
        places[places == len(self._keys)] = 0
        return places, self._keys[places] == keys
