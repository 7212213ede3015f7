"""The windows of past days that a day is compared with, and the growing arrays that keep those days."""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any, Final, Generic, TypeVar

import numpy as np

from recsys_assets.drift.statistics import normal_quantile, spread
from recsys_assets.storage.arrays import Float64, Int64

T = TypeVar("T")

WINDOW_DAYS: Final = 28
LATEST_DAYS: Final = 3
WEEKDAY_WEEKS: Final = 8
YEAR_DAYS: Final = 365
KEPT_DAYS: Final = YEAR_DAYS + 7 * WEEKDAY_WEEKS
"""Older days are in no window of a day whose residuals still count."""
LEAST_EVENTS: Final = 30
"""With fewer events a mean or a histogram says little."""
LEAST_SCORES: Final = 28
"""With fewer past residuals the spread is unknown, and nothing is judged."""
_NORMAL_QUARTILE: Final = normal_quantile(0.75)
_CROWDED: Final = 0.25
"""Where a larger share of a window alarmed, the alarming level is the new normal, and counts."""


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Positions in the kept history that a day is compared with."""

    latest: slice
    """The last 3 kept days: a level that has lasted that long is no news."""
    recent: slice
    """The last 28 kept days."""
    weekday: Int64
    """The last 8 kept days of the same weekday."""
    weeks: slice
    """The last 56 kept days."""
    year: slice
    """The last 365 kept days up to the last Sunday: the spread of residuals is recomputed once a week."""
    week: int
    """Ordinal of its Monday."""


class Days:
    """The days that are kept, and the windows of a day to come."""

    def __init__(self) -> None:
        self._ordinals: list[int] = []

    def __len__(self) -> int:
        return len(self._ordinals)

    def append(self, day: date) -> None:
        """Add `day`, later than all before."""
        self._ordinals.append(day.toordinal())

    def places(self, days: Iterable[date]) -> list[int]:
        """Return the positions of those of `days` that are kept."""
        found = [(bisect_left(self._ordinals, day.toordinal()), day.toordinal()) for day in days]
        return [n for n, ordinal in found if n < len(self) and self._ordinals[n] == ordinal]

    def drop_oldest(self, count: int) -> None:
        """Drop the oldest `count` days."""
        del self._ordinals[:count]

    def surplus(self) -> int:
        """Return the number of oldest days that no window needs; 0 until there are enough to be worth dropping."""
        return len(self._ordinals) - KEPT_DAYS if len(self._ordinals) >= 2 * KEPT_DAYS else 0

    def windows(self, day: date) -> Windows:
        """Return the windows that `day`, later than all kept ones, is compared with.

        Days are counted, not dates: while every day is rejected, the last good ones stay the reference.
        """
        kept, today = len(self._ordinals), day.toordinal()
        monday = today - day.weekday()
        before_monday = bisect_left(self._ordinals, monday)
        alike = (
            place
            for place in range(kept - 1, max(kept - KEPT_DAYS, 0) - 1, -1)
            if (today - self._ordinals[place]) % 7 == 0
        )
        return Windows(
            latest=slice(max(kept - LATEST_DAYS, 0), kept),
            recent=slice(max(kept - WINDOW_DAYS, 0), kept),
            weekday=np.array(list(islice(alike, WEEKDAY_WEEKS))[::-1], dtype=np.int64),
            weeks=slice(max(kept - 7 * WEEKDAY_WEEKS, 0), kept),
            year=slice(max(before_monday - YEAR_DAYS, 0), before_monday),
            week=monday,
        )


class DayTable:
    """A growing float64 array, one row a day; columns may be added."""

    def __init__(self, columns: int, *, rows: int = 0, fill: float = np.nan) -> None:
        """Begin with `rows` rows of `fill`."""
        self._array = np.full((rows + 64, columns), fill)
        self._rows = rows

    @property
    def rows(self) -> Float64:
        """All rows, oldest first."""
        return self._array[: self._rows]

    def append(self, row: Any) -> None:
        """Add a row."""
        if self._rows == len(self._array):
            self._array = np.concatenate([self._array, np.empty_like(self._array)])
        self._array[self._rows] = row
        self._rows += 1

    def widen(self, columns: int, fill: float) -> None:
        """Add columns to the right, `fill` for the days before."""
        self._array = np.concatenate([self._array, np.full((len(self._array), columns), fill)], axis=1)

    def drop_oldest(self, count: int) -> None:
        """Drop the oldest rows."""
        self._array = self._array[count:].copy()
        self._rows -= count


class Weekly(Generic[T]):
    """A value that is computed once a week and kept until the next one."""

    def __init__(self) -> None:
        self._kept: tuple[int, T] | None = None

    def get(self, week: int, compute: Callable[[], T]) -> T:
        """Return the value of `week`, computed where it is another week than last time."""
        if self._kept is None or self._kept[0] != week:
            self._kept = (week, compute())
        return self._kept[1]

    def clear(self) -> None:
        """Forget the value."""
        self._kept = None


def usable(alarming: Float64) -> Float64:
    """Return 1 for days that serve as reference, 0 for alarming ones, unless those are too many to be exceptions.

    Shape of both: (days, m).
    """
    if not alarming.any():
        return np.ones_like(alarming)
    return np.where(alarming.mean(axis=0) > _CROWDED, 1.0, 1.0 - alarming)


def typical(counts: Float64) -> Float64:
    """Return each column's mean after clipping to its median ± 3 robust standard deviations: (days, m) -> (m,)."""
    if not len(counts):
        return np.full(counts.shape[1], np.nan)
    middle = _median(counts)
    deviation = _median(np.abs(counts - middle)) / _NORMAL_QUARTILE
    width = 3 * np.maximum(deviation, np.sqrt(middle + 1))
    clipped: Float64 = np.clip(counts, middle - width, middle + width)
    mean: Float64 = (clipped.sum(axis=0) + 0.5) / (len(counts) + 1)
    return mean


def _median(values: Float64) -> Float64:
    """Return each column's median, as `np.median` does, which is slow on few numbers."""
    ascending = np.sort(values, axis=0)
    middle: Float64 = (ascending[(len(values) - 1) // 2] + ascending[len(values) // 2]) / 2
    return middle


def known_spread(residuals: Float64, *, least: Float64 | float = 1.0) -> Float64:
    """Return `spread`, (2, m), with NaN for columns that have too few known residuals."""
    known = (~np.isnan(residuals)).sum(axis=0) >= LEAST_SCORES
    found: Float64 = np.where(known, spread(residuals, least=least), np.nan)
    return found
