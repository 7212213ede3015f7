"""An exact set of 64-bit keys that grows a day at a time, in 8 bytes a key."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_assets import columns
from recsys_assets.drift.day_profile import BINS_PER_OCTAVE, CATEGORIES, log_bins
from recsys_assets.drift.statistics import Floats
from recsys_assets.storage.arrays import EPOCH

Keys: TypeAlias = npt.NDArray[np.uint64]


class KnownKeys:
    """Sorted runs of geometrically falling size, merged as they grow.

    A log-structured merge tree in memory (O'Neil et al. 1996): adding is amortised O(log n) a key, asking
    costs a binary search a run.
    """

    _GROWTH = 4

    def __init__(self) -> None:
        self._runs: list[Keys] = []

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def contains(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Which of `keys` were added; fastest when `keys` ascend."""
        found = np.zeros(len(keys), dtype=bool)
        for run in self._runs:
            places = np.searchsorted(run, keys)
            places[places == len(run)] = 0
            found |= run[places] == keys
        return found

    def add(self, keys: Keys) -> None:
        """Add `keys`, which ascend without repetition and are not in the set yet."""
        if not len(keys):
            return
        while self._runs and len(self._runs[-1]) < self._GROWTH * len(keys):
            keys = np.sort(np.concatenate([self._runs.pop(), keys]), kind="stable")
        self._runs.append(keys)


Mask: TypeAlias = npt.NDArray[np.bool_]
Places: TypeAlias = npt.NDArray[np.int64]

_DAY_US: Final = 86_400_000_000
_HOUR_US: Final = 3_600_000_000
_QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
_MIX: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(32))
_NUMBERS: Final = (columns.RATING, columns.QUANTITY, columns.VALUE)


def keys_of(ids: pl.Expr) -> pl.Expr:
    """Ids (or null) as 64-bit keys: the same in every process of one polars version."""
    return ids.hash(1)


def pair_keys(users: Keys, items: Keys) -> Keys:
    """One key a (user, item)."""
    return _mixed(users, items)


@dataclass(frozen=True, kw_only=True)
class Ids:
    """One id column."""

    keys: Keys
    """Keys of the distinct ids, ascending."""
    first: Places
    """Row where each occurs first."""
    rows: Places
    """Rows of each."""
    codes: Places
    """Row -> position in `keys`; -1 for null."""

    @property
    def total(self) -> int:
        """Rows with an id."""
        return int(self.rows.sum())


class Events:
    """The events of one day; `frame` has RAW_INTERACTIONS' columns."""

    def __init__(self, frame: pl.DataFrame, *, day: date) -> None:
        """Read the columns."""
        user, item, time = pl.col(columns.USER_ID), pl.col(columns.ITEM_ID), pl.col(columns.TIMESTAMP)
        read = frame.select(
            keys_of(user).alias("user"),
            user.is_not_null().alias("has_user"),
            keys_of(item).alias("item"),
            item.is_not_null().alias("has_item"),
            time.to_physical().fill_null(0).alias("time"),
            time.is_not_null().alias("has_time"),
            *(pl.col(name).cast(pl.Float64).fill_null(float("nan")).alias(name) for name in _NUMBERS),
        )
        array = {name: read[name].to_numpy() for name in read.columns}
        self.frame = frame
        self.users = _ids(array["user"], array["has_user"])
        self.items = _ids(array["item"], array["has_item"])
        self._times, self._has_time, self._start = (
            array["time"],
            array["has_time"],
            (day - EPOCH).days * _DAY_US,
        )
        self._numbers: dict[str, Floats] = {name: array[name] for name in _NUMBERS}
        self._keys = array["user"], array["item"]

    @property
    def rows(self) -> int:
        """Events."""
        return self.frame.height

    def content(self) -> Keys:
        """A key of each event but for its date."""
        numbers = (self._numbers[name].view(np.uint64) for name in _NUMBERS)
        return _mixed(*self._keys, (self._times % _DAY_US).view(np.uint64), *numbers)

    def inside(self) -> Mask:
        """Which events happened on the day."""
        return self._has_time & (self._times >= self._start) & (self._times < self._start + _DAY_US)

    def hours(self) -> dict[int, int]:
        """Hour of the UTC day -> events."""
        return histogram(self._times[self._has_time] % _DAY_US // _HOUR_US)

    def lag_hours(self) -> float | None:
        """Hours from the newest event of the day to its end; None without any."""
        times = self._times[self.inside()]
        return float((self._start + _DAY_US - times.max()) / _HOUR_US) if len(times) else None

    def nulls(self, name: str) -> int:
        """Nulls of a column."""
        return self.frame[name].null_count()

    def number(self, name: str) -> Floats:
        """The finite numbers of a column, or of `price` (value / quantity where both are positive)."""
        if name == columns.PRICE:
            quantity, value = self._numbers[columns.QUANTITY], self._numbers[columns.VALUE]
            sold = (quantity > 0) & (value > 0) & np.isfinite(quantity) & np.isfinite(value)
            price: Floats = value[sold] / quantity[sold]
            return price
        numbers: Floats = self._numbers[name]
        return numbers[np.isfinite(numbers)]

    def means(self) -> dict[str, tuple[float, float, int]]:
        """Mean, standard deviation and n of ratings and of the logarithms of positive amounts."""
        found = {"rating": mean_of(self.number(columns.RATING))}
        for name in (columns.VALUE, columns.QUANTITY, columns.PRICE):
            numbers = self.number(name)
            found[f"log_{name}"] = mean_of(np.log(numbers[numbers > 0]))
        return found

    def histograms(self) -> dict[str, dict[int, int]]:
        """`log_bins` of ratings, values, quantities and prices."""
        return {
            name: histogram(log_bins(self.number(name), per_octave=fine))
            for name, fine in BINS_PER_OCTAVE.items()
        }

    def quantiles(self) -> dict[str, list[float]]:
        """The 5, 25, 50, 75 and 95 % quantiles of the columns that have numbers."""
        found = {name: self.number(name) for name in _NUMBERS}
        return {
            name: np.quantile(numbers, _QUANTILES).tolist() for name, numbers in found.items() if len(numbers)
        }


def mean_of(values: npt.NDArray[Any]) -> tuple[float, float, int]:
    """Mean, standard deviation and n; zeros of nothing."""
    return (float(values.mean()), float(values.std()), len(values)) if len(values) else (0.0, 0.0, 0)


def histogram(bins: npt.NDArray[np.int64]) -> dict[int, int]:
    """Bin -> events, ascending."""
    if not len(bins):
        return {}
    found, rows = np.unique(bins, return_counts=True)
    return dict(zip(found.tolist(), rows.tolist(), strict=True))


def _ids(keys: Keys, there: Mask) -> Ids:
    rows_there = np.flatnonzero(there)
    distinct, first, inverse, rows = np.unique(
        keys[rows_there], return_index=True, return_inverse=True, return_counts=True
    )
    codes = np.full(len(keys), -1, dtype=np.int64)
    codes[rows_there] = inverse
    return Ids(keys=distinct, first=rows_there[first], rows=rows, codes=codes)


def _mixed(*parts: Keys) -> Keys:
    multiplier, shift = _MIX
    mixed = np.zeros(len(parts[0]), dtype=np.uint64)
    for part in parts:
        mixed = (mixed ^ part) * multiplier
        mixed ^= mixed >> shift
    return mixed


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
