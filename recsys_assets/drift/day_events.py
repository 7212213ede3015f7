"""The raw events of days as arrays, and all figures of their profiles that depend on no other day.

Many days are read in one pass: a tiny day costs little more than its share of the rows. A day's figures are the
same whatever other days are read with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_assets import columns
from recsys_assets.drift.day_profile import BINS_PER_OCTAVE, log_bins
from recsys_assets.drift.distinct_keys import DistinctKeys, KeysByDay, keys_of, mixed_keys
from recsys_assets.storage.arrays import EPOCH, Bools, Float64, Int64, UInt64

_DAY_US: Final = 86_400_000_000
_HOUR_US: Final = 3_600_000_000
_HOURS: Final = 24
_MOST_BINS: Final = 2048
"""More than `log_bins` has, half of them below 0."""
TOP_ITEMS: Final = 10
"""`top_items_rows` counts the rows of as many items."""
_NUMBERS: Final = (columns.RATING, columns.QUANTITY, columns.VALUE)
_NULLS: Final = {
    "null_ratings": columns.RATING,
    "null_quantities": columns.QUANTITY,
    "null_values": columns.VALUE,
}


@dataclass(frozen=True, kw_only=True)
class DayEvents:
    """The events of one day, by their keys, and the figures of its profile that need no history."""

    frame: pl.DataFrame
    """The rows, with RAW_INTERACTIONS' columns."""
    users: DistinctKeys
    """User ids; rows without one have no key."""
    items: DistinctKeys
    """Item ids; rows without one have no key."""
    pairs: DistinctKeys
    """(user, item); rows without one of them have no key."""
    visits: DistinctKeys
    """(user, hour), or the moment of a row without a user id."""
    content: DistinctKeys
    """All common columns, of the timestamp only the time of day; a kind that is null adds nothing."""
    ratings: DistinctKeys
    """Finite ratings; a key is the rating's float64, as 64 bits."""
    counts: dict[str, int]
    """The profile's COUNTS."""
    shares: dict[str, tuple[int, int]]
    """Those of the profile's SHARES that compare the day with no other day."""
    means: dict[str, tuple[float, float, int]]
    """The profile's MEANS."""
    histograms: dict[str, dict[int, int]]
    """The profile's HISTOGRAMS."""


def pair_keys(users: UInt64, items: UInt64) -> UInt64:
    """Mix the keys of users and items to one key a (user, item)."""
    return mixed_keys(users, items)


def is_untrimmed(ids: pl.Expr) -> pl.Expr:
    """Mark the ids that are empty, or have a blank at either end; null stays null."""
    return (ids != ids.str.strip_chars()) | (ids == "")


def together(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of frames of one schema, one after the other; without copying, unlike `pl.concat`."""
    rows = frames[0].clone()
    for frame in frames[1:]:
        rows.vstack(frame, in_place=True)
    return rows


def read_days(days: Sequence[tuple[date, pl.DataFrame]]) -> list[DayEvents]:
    """Read days, each a frame with RAW_INTERACTIONS' columns and others, which are the same in all frames."""
    if not days:
        return []
    chunk = _Chunk(days)
    shares, means, histograms = chunk.shares(), chunk.means(), chunk.histograms()
    counts = {"rows": chunk.sizes, "users": chunk.users.counts(), "items": chunk.items.counts()}
    return [
        DayEvents(
            frame=frame,
            users=chunk.users.of(n),
            items=chunk.items.of(n),
            pairs=chunk.pairs.of(n),
            visits=chunk.visits.of(n),
            content=chunk.content.of(n),
            ratings=chunk.ratings.of(n),
            counts={name: int(by_day[n]) for name, by_day in counts.items()},
            shares={name: (int(k[n]), int(of[n])) for name, (k, of) in shares.items()},
            means={name: by_day[n] for name, by_day in means.items()},
            histograms={name: by_day[n] for name, by_day in histograms.items()},
        )
        for n, (_, frame) in enumerate(days)
    ]


class _Chunk:
    """The rows of some days, one after the other."""

    def __init__(self, days: Sequence[tuple[date, pl.DataFrame]]) -> None:
        self._arrays = _arrays(together([frame for _, frame in days]))
        self.sizes = np.array([frame.height for _, frame in days], dtype=np.int64)
        self._starts = np.concatenate([[0], np.cumsum(self.sizes)])
        self._day = np.repeat(np.arange(len(days)), self.sizes)
        midnights = np.array([(day - EPOCH).days * _DAY_US for day, _ in days], dtype=np.int64)
        self._since_midnight = self._arrays["time"] - midnights[self._day]
        user, item, time = (self._arrays[name] for name in ("user", "item", "time"))
        has_user, has_item = self._arrays["has_user"], self._arrays["has_item"]
        self._finite = {name: np.isfinite(self._arrays[name]) for name in _NUMBERS}
        numbers = [self._arrays[name].view(np.uint64) for name in _NUMBERS]
        self.users, self.items = self._distinct(user, has_user), self._distinct(item, has_item)
        self.pairs = self._distinct(pair_keys(user, item), has_user & has_item)
        when = np.where(has_user, time // _HOUR_US, time).view(np.uint64)
        self.visits = self._distinct(mixed_keys(user, when))
        content = mixed_keys(user, item, (time % _DAY_US).view(np.uint64), *numbers)
        if (has_kind := self._arrays["has_kind"]).any():
            content = np.where(has_kind, mixed_keys(content, self._arrays["kind"]), content)
        self.content = self._distinct(content)
        rating = self._arrays[columns.RATING]
        self.ratings = self._distinct((rating + 0.0).view(np.uint64), self._finite[columns.RATING])

    def shares(self) -> dict[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
        """Return the shares of rows and visits: by day k and n."""
        rows, array = self.sizes, self._arrays
        users, items = self._per_day(array["has_user"]), self._per_day(array["has_item"])
        inside = array["has_time"] & (self._since_midnight >= 0) & (self._since_midnight < _DAY_US)
        quantity, value = array[columns.QUANTITY], array[columns.VALUE]
        has_number = {name: self._per_day(self._finite[name]) for name in _NUMBERS}
        nulls = {name: self._per_day(array[f"no_{column}"]) for name, column in _NULLS.items()}
        present = 3 * rows - sum(nulls.values())
        return {
            "null_users": (rows - users, rows),
            "null_items": (rows - items, rows),
            **{name: (by_day, rows) for name, by_day in nulls.items()},
            "rows_outside_day": (rows - self._per_day(inside), rows),
            "top_user_rows": (self.users.largest(self.users.rows), users),
            "top_items_rows": (self.items.largest(self.items.rows, count=TOP_ITEMS), items),
            **self._visit_shares(),
            "untrimmed_user_ids": (self._per_day(array["untrimmed_user"]), users),
            "untrimmed_item_ids": (self._per_day(array["untrimmed_item"]), items),
            "numbers_not_finite": (present - sum(has_number.values()), present),
            "quantities_not_positive": (
                self._per_day(self._finite[columns.QUANTITY] & (quantity <= 0)),
                has_number[columns.QUANTITY],
            ),
            "negative_values": (
                self._per_day(self._finite[columns.VALUE] & (value < 0)),
                has_number[columns.VALUE],
            ),
        }

    def means(self) -> dict[str, list[tuple[float, float, int]]]:
        """Return the means of ratings, of logarithms of positive amounts and of rows a user."""
        rating = self._finite[columns.RATING]
        found = {"rating": self._mean(self._arrays[columns.RATING][rating], self._day[rating])}
        for name in (columns.VALUE, columns.QUANTITY, columns.PRICE):
            numbers, days = self._numbers(name)
            positive = numbers > 0
            found[f"log_{name}"] = self._mean(np.log(numbers[positive]), days[positive])
        found["log_rows_a_user"] = self._mean(np.log(self.users.rows), self.users.days)
        return found

    def histograms(self) -> dict[str, list[dict[int, int]]]:
        """Return visits by hour, and `log_bins` of ratings, values, quantities and prices."""
        visits = self.visits.first
        visits = visits[self._arrays["has_time"][visits]]
        hours = self._arrays["time"][visits] % _DAY_US // _HOUR_US
        found = {"hour": self._histogram(hours, self._day[visits], bins=_HOURS)}
        for name, fine in BINS_PER_OCTAVE.items():
            numbers, days = self._numbers(name)
            bins = log_bins(numbers, per_octave=fine) + _MOST_BINS // 2
            found[name] = self._histogram(bins, days, bins=_MOST_BINS, zero=_MOST_BINS // 2)
        return found

    def _visit_shares(self) -> dict[str, tuple[Any, Any]]:
        """Return the shares of visits."""
        with_user = self._arrays["has_user"][self.visits.first]
        visitor = self.users.codes[self.visits.first[with_user]]
        of_user = np.bincount(visitor, minlength=len(self.users.keys))
        by_users = self._by_day(self.visits.days[with_user])
        repeated = np.ones(len(self._day), dtype=bool)
        repeated[self.content.first] = False
        twice = np.unique(self.visits.codes[repeated])
        return {
            "top_user_visits": (self.users.largest(of_user), by_users),
            "repeat_visits": (by_users - self.users.counts(), by_users),
            "duplicate_rows": (self._per_day(repeated), self.sizes),
            "visits_with_duplicates": (self._by_day(self.visits.days[twice]), self.visits.counts()),
        }

    def _distinct(self, keys: UInt64, present: Bools | None = None) -> KeysByDay:
        rows = np.arange(len(keys)) if present is None else np.flatnonzero(present)
        return KeysByDay(keys[rows], rows=rows, days=self._day[rows], starts=self._starts)

    def _numbers(self, name: str) -> tuple[Float64, Int64]:
        """Return the finite numbers of a column, or of `price`: value / quantity where both are positive."""
        if name != columns.PRICE:
            finite = self._finite[name]
            return self._arrays[name][finite], self._day[finite]
        quantity, value = self._arrays[columns.QUANTITY], self._arrays[columns.VALUE]
        both = self._finite[columns.QUANTITY] & self._finite[columns.VALUE]
        sold = both & (quantity > 0) & (value > 0)
        return value[sold] / quantity[sold], self._day[sold]

    def _by_day(self, days: Int64) -> Int64:
        return np.bincount(days, minlength=len(self.sizes))

    def _per_day(self, marked: Bools) -> Int64:
        return self._by_day(self._day[marked])

    def _mean(self, values: Float64, days: Int64) -> list[tuple[float, float, int]]:
        """Return by day mean, standard deviation and n; zeros without values.

        `bincount` adds the values of a day one after the other, whatever the other days are.
        """
        n = self._by_day(days)
        if not len(values):
            return [(0.0, 0.0, 0)] * len(n)
        of = np.maximum(n, 1)
        mean = np.bincount(days, weights=values, minlength=len(n)) / of
        square = np.bincount(days, weights=(values - mean[days]) ** 2, minlength=len(n)) / of
        return list(zip(mean.tolist(), np.sqrt(square).tolist(), n.tolist(), strict=True))

    def _histogram(self, places: Int64, days: Int64, *, bins: int, zero: int = 0) -> list[dict[int, int]]:
        """Return by day bin -> events, ascending; place `zero` is bin 0."""
        found: list[dict[int, int]] = [{} for _ in self.sizes]
        counts = np.bincount(days * bins + places)
        present = np.flatnonzero(counts)
        numbers = (present % bins - zero).tolist()
        for day, number, events in zip(
            (present // bins).tolist(), numbers, counts[present].tolist(), strict=True
        ):
            found[day][number] = events
        return found


_USER: Final = pl.col(columns.USER_ID)
_ITEM: Final = pl.col(columns.ITEM_ID)
_TIME: Final = pl.col(columns.TIMESTAMP)
_ARRAYS: Final = (
    keys_of(_USER).alias("user"),
    _USER.is_not_null().alias("has_user"),
    is_untrimmed(_USER).fill_null(value=False).alias("untrimmed_user"),
    keys_of(_ITEM).alias("item"),
    _ITEM.is_not_null().alias("has_item"),
    is_untrimmed(_ITEM).fill_null(value=False).alias("untrimmed_item"),
    _TIME.to_physical().fill_null(0).alias("time"),
    _TIME.is_not_null().alias("has_time"),
    keys_of(pl.col(columns.KIND)).alias("kind"),
    pl.col(columns.KIND).is_not_null().alias("has_kind"),
    *(pl.col(name).is_null().alias(f"no_{name}") for name in _NUMBERS),
    *(pl.col(name).cast(pl.Float64).fill_null(float("nan")).alias(name) for name in _NUMBERS),
)


def _arrays(rows: pl.DataFrame) -> dict[str, npt.NDArray[Any]]:
    """Read what the figures need from the columns, in one query."""
    read = rows.select(_ARRAYS)
    return {name: read[name].to_numpy() for name in read.columns}
