"""The raw events of one day as arrays: ids as 64-bit keys, numbers, times, and the categories of items."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_assets import columns
from recsys_assets.drift.day_profile import BINS_PER_OCTAVE, CATEGORIES, log_bins
from recsys_assets.storage.arrays import EPOCH, Bools, Float64, Int64, UInt64

_DAY_US: Final = 86_400_000_000
_HOUR_US: Final = 3_600_000_000
_QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
_MIX: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(32))
_NUMBERS: Final = (columns.RATING, columns.QUANTITY, columns.VALUE)
_OTHER: Final = 255
"""Number of the category that stands for all but the 255 with most items."""


def keys_of(ids: pl.Expr) -> pl.Expr:
    """Hash ids (or null) to 64-bit keys: the same in every process of one polars version."""
    return ids.hash(1)


def pair_keys(users: UInt64, items: UInt64) -> UInt64:
    """Mix the keys of users and items to one key a (user, item)."""
    return _mixed(users, items)


@dataclass(frozen=True, kw_only=True)
class Ids:
    """One id column of a day."""

    keys: UInt64
    """Keys of the distinct ids, ascending."""
    first: Int64
    """Row where each occurs first."""
    rows: Int64
    """Number of rows of each."""
    codes: Int64
    """Row -> position in `keys`; -1 for null."""

    @property
    def total(self) -> int:
        """Rows with an id."""
        return int(self.rows.sum())


class DayEvents:
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
        self._keys = array["user"], array["item"]
        self._times, self._has_time = array["time"], array["has_time"]
        self._start = (day - EPOCH).days * _DAY_US
        self._numbers: dict[str, Float64] = {name: array[name] for name in _NUMBERS}

    @property
    def rows(self) -> int:
        """Number of events."""
        return self.frame.height

    def pairs(self) -> UInt64:
        """Return the (user, item) key of each event that has both ids."""
        both = (self.users.codes >= 0) & (self.items.codes >= 0)
        return pair_keys(self.users.keys[self.users.codes[both]], self.items.keys[self.items.codes[both]])

    def content(self) -> UInt64:
        """Return a key of each event's columns, of the timestamp only the time of day."""
        numbers = (self._numbers[name].view(np.uint64) for name in _NUMBERS)
        return _mixed(*self._keys, (self._times % _DAY_US).view(np.uint64), *numbers)

    def counts(self) -> dict[str, int]:
        """Return the plain counts of the day: the profile's COUNTS."""
        return {
            "rows": self.rows,
            "users": len(self.users.keys),
            "items": len(self.items.keys),
            "top_user_rows": int(self.users.rows.max(initial=0)),
            "top_item_rows": int(self.items.rows.max(initial=0)),
        }

    def row_shares(self, *, distinct_rows: int) -> dict[str, tuple[int, int]]:
        """Return the shares of rows that are incomplete, outside the day, or repeat the content of another."""
        rows = self.rows
        return {
            "null_users": (rows - self.users.total, rows),
            "null_items": (rows - self.items.total, rows),
            "null_ratings": (self.frame[columns.RATING].null_count(), rows),
            "null_quantities": (self.frame[columns.QUANTITY].null_count(), rows),
            "null_values": (self.frame[columns.VALUE].null_count(), rows),
            "rows_outside_day": (rows - int(self._inside().sum()), rows),
            "duplicate_rows": (rows - distinct_rows, rows),
        }

    def amount_shares(self) -> dict[str, tuple[int, int]]:
        """Return the shares of returns and corrections: quantities and values below or at zero."""
        quantity, value = self.number(columns.QUANTITY), self.number(columns.VALUE)
        return {
            "quantities_not_positive": (int((quantity <= 0).sum()), len(quantity)),
            "negative_values": (int((value < 0).sum()), len(value)),
        }

    def lag_hours(self) -> float | None:
        """Return the hours from the newest event of the day to its end; None without any."""
        times = self._times[self._inside()]
        return float((self._start + _DAY_US - times.max()) / _HOUR_US) if len(times) else None

    def number(self, name: str) -> Float64:
        """Return the finite numbers of a column, or of `price`: value / quantity where both are positive."""
        if name == columns.PRICE:
            quantity, value = self._numbers[columns.QUANTITY], self._numbers[columns.VALUE]
            sold = (quantity > 0) & (value > 0) & np.isfinite(quantity) & np.isfinite(value)
            price: Float64 = value[sold] / quantity[sold]
            return price
        numbers: Float64 = self._numbers[name]
        return numbers[np.isfinite(numbers)]

    def means(self) -> dict[str, tuple[float, float, int]]:
        """Return the profile's MEANS: of ratings, of logarithms of positive amounts and of rows a user."""
        found = {"rating": _mean(self.number(columns.RATING))}
        for name in (columns.VALUE, columns.QUANTITY, columns.PRICE):
            numbers = self.number(name)
            found[f"log_{name}"] = _mean(np.log(numbers[numbers > 0]))
        return {**found, "log_rows_a_user": _mean(np.log(self.users.rows))}

    def histograms(self) -> dict[str, dict[int, int]]:
        """Return the profile's HISTOGRAMS: hours, and `log_bins` of ratings, values, quantities and prices."""
        hours = self._times[self._has_time] % _DAY_US // _HOUR_US
        return {
            "hour": _histogram(hours),
            **{
                name: _histogram(log_bins(self.number(name), per_octave=fine))
                for name, fine in BINS_PER_OCTAVE.items()
            },
        }

    def quantiles(self) -> dict[str, list[float]]:
        """Return the 5, 25, 50, 75 and 95 % quantiles of the columns that have numbers."""
        found = {name: self.number(name) for name in _NUMBERS}
        return {
            name: np.quantile(numbers, _QUANTILES).tolist() for name, numbers in found.items() if len(numbers)
        }

    def _inside(self) -> Bools:
        """Mark the events that happened on the day."""
        return self._has_time & (self._times >= self._start) & (self._times < self._start + _DAY_US)


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

    def count(self, items: Ids) -> tuple[int, dict[str, dict[int, int]]]:
        """Return the events of items that are not in the catalogue, and by category those of items that are."""
        places, known = self._find(items.keys)
        found = {}
        for level, numbers in self._numbers.items():
            rows = np.bincount(numbers[places[known]], weights=items.rows[known], minlength=1)
            found[level] = {int(n): int(rows[n]) for n in np.flatnonzero(rows)}
        return int(items.rows[~known].sum()), found

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


def _mean(values: npt.NDArray[Any]) -> tuple[float, float, int]:
    """Return mean, standard deviation and n; zeros without values."""
    return (float(values.mean()), float(values.std()), len(values)) if len(values) else (0.0, 0.0, 0)


def _histogram(bins: Int64) -> dict[int, int]:
    """Return bin -> events, ascending."""
    if not len(bins):
        return {}
    found, rows = np.unique(bins, return_counts=True)
    return dict(zip(found.tolist(), rows.tolist(), strict=True))


def _ids(keys: UInt64, present: Bools) -> Ids:
    rows_with_id = np.flatnonzero(present)
    distinct, first, inverse, rows = np.unique(
        keys[rows_with_id], return_index=True, return_inverse=True, return_counts=True
    )
    codes = np.full(len(keys), -1, dtype=np.int64)
    codes[rows_with_id] = inverse
    return Ids(keys=distinct, first=rows_with_id[first], rows=rows, codes=codes)


def _mixed(*parts: UInt64) -> UInt64:
    multiplier, shift = _MIX
    mixed = np.zeros(len(parts[0]), dtype=np.uint64)
    for part in parts:
        mixed = (mixed ^ part) * multiplier
        mixed ^= mixed >> shift
    return mixed
