"""64-bit keys of ids and rows, and the distinct keys of many days at once: one sort for a chunk of days."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from recsys_assets.storage.arrays import Bools, Int64, UInt64

_LARGE_DAY: Final = 256
"""With as many rows, a day is sorted faster by itself."""
_MIX: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(32))


def keys_of(ids: pl.Expr) -> pl.Expr:
    """Hash ids (or null) to 64-bit keys: the same in every process of one polars version."""
    return ids.hash(1)


def mixed_keys(*parts: UInt64) -> UInt64:
    """Mix arrays of equal length to one key a place."""
    multiplier, shift = _MIX
    mixed = np.zeros(len(parts[0]), dtype=np.uint64)
    for part in parts:
        mixed = (mixed ^ part) * multiplier
        mixed ^= mixed >> shift
    return mixed


@dataclass(frozen=True, kw_only=True)
class DistinctKeys:
    """The distinct keys of one day."""

    keys: UInt64
    """The keys, ascending."""
    first: Int64
    """Row of the day where each occurs first."""
    rows: Int64
    """Number of rows of each."""
    codes_in_chunk: Int64
    """The part of `KeysByDay.codes` that is of the day."""
    begin: int
    """Place of the day's first key in the chunk."""

    @property
    def total(self) -> int:
        """Rows that have a key."""
        return int(self.rows.sum())

    @property
    def codes(self) -> Int64:
        """Row -> place in `keys`; -1 for a row without a key."""
        return np.where(self.codes_in_chunk < 0, -1, self.codes_in_chunk - self.begin)

    def rows_of(self, marked: Bools) -> Bools:
        """Mark the rows whose key is marked."""
        found: Bools = np.append(marked, False)[self.codes]  # code -1 is the last place
        return found


class KeysByDay:
    """The distinct keys of each day of a chunk, in arrays that are shared by all days."""

    def __init__(self, keys: UInt64, *, rows: Int64, days: Int64, starts: Int64) -> None:
        """Sort the keys of the days.

        Args:
            keys: one key a row.
            rows: places of these rows in the chunk, ascending.
            days: number of the day of each of these rows, ascending.
            starts: place in the chunk where each day begins, and the chunk's end.
        """
        order = _order(keys, days, count=len(starts) - 1)
        ordered, of_day = keys[order], days[order]
        is_first = np.ones(len(order), dtype=bool)
        is_first[1:] = (ordered[1:] != ordered[:-1]) | (of_day[1:] != of_day[:-1])
        places = np.flatnonzero(is_first)
        self.keys: UInt64 = ordered[places]
        """Distinct keys, by day and ascending."""
        self.first: Int64 = rows[order[places]]
        """Place in the chunk where each occurs first."""
        self.rows: Int64 = np.diff(places, append=len(order))
        """Number of rows of each."""
        self.days: Int64 = of_day[places]
        """Number of the day of each."""
        self.codes: Int64 = np.full(int(starts[-1]), -1, dtype=np.int64)
        """Row of the chunk -> place in `keys`; -1 for a row without a key."""
        self.codes[rows[order]] = np.cumsum(is_first) - 1
        self._starts = starts
        self._ends = np.searchsorted(self.days, np.arange(len(starts))).tolist()

    def of(self, day: int) -> DistinctKeys:
        """Return the distinct keys of day number `day` of the chunk."""
        low, high = self._ends[day], self._ends[day + 1]
        return DistinctKeys(
            keys=self.keys[low:high],
            first=self.first[low:high] - self._starts[day],
            rows=self.rows[low:high],
            codes_in_chunk=self.codes[self._starts[day] : self._starts[day + 1]],
            begin=low,
        )

    def counts(self) -> Int64:
        """Return the number of distinct keys of each day."""
        counts: Int64 = np.diff(self._ends)
        return counts

    def largest(self, values: Int64, *, count: int = 1) -> Sequence[int]:
        """Return by day the sum of the `count` largest of `values`, one a distinct key."""
        order = np.lexsort((-values, self.days))
        rank = np.arange(len(order)) - np.array(self._ends)[self.days]
        days = len(self._ends) - 1
        top = rank < count
        found = np.bincount(self.days[top], weights=values[order][top], minlength=days)
        return [int(n) for n in found]


def _order(keys: UInt64, days: Int64, *, count: int) -> Int64:
    """Sort the keys of each of `count` days, stably: large days one by one, small ones together."""
    if len(keys) < _LARGE_DAY * count:
        return np.lexsort((keys, days))
    ends = np.searchsorted(days, np.arange(count + 1)).tolist()
    return np.concatenate(
        [low + np.argsort(keys[low:high], kind="stable") for low, high in itertools.pairwise(ends)]
    )


class KnownKeys:
    """An exact set of 64-bit keys that grows a day at a time, in 8 bytes a key.

    Sorted runs of geometrically falling size, merged as they grow: a log-structured merge tree in memory (O'Neil
    et al. 1996). Adding is amortised O(log n) a key, a look-up costs a binary search a run.
    """

    _GROWTH = 4

    def __init__(self) -> None:
        self._runs: list[UInt64] = []

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def contains(self, keys: UInt64) -> Bools:
        """Mark those of `keys` that were added; fastest when `keys` ascend."""
        found = np.zeros(len(keys), dtype=bool)
        for run in self._runs:
            places = np.searchsorted(run, keys)
            places[places == len(run)] = 0
            found |= run[places] == keys
        return found

    def all(self) -> UInt64:
        """Return every key, ascending."""
        return np.sort(np.concatenate([np.empty(0, np.uint64), *self._runs]), kind="stable")

    def add(self, keys: UInt64) -> None:
        """Add `keys`, which ascend without repetition and are not in the set yet."""
        if not len(keys):
            return
        while self._runs and len(self._runs[-1]) < self._GROWTH * len(keys):
            keys = np.sort(np.concatenate([self._runs.pop(), keys]), kind="stable")
        self._runs.append(keys)
