"""The days that a source's events cover, chosen from its rows a day so that a few broken dates do not widen them."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Self

import numpy as np
import polars as pl

from recsys_assets.errors import EmptySourceError, SourceFormatError
from recsys_assets.lake.values.time_recognition import TOLERANCE
from recsys_assets.storage.arrays import EPOCH, Bools, Int64

MOST_DAYS: Final = 50_000
"""More daily partitions than these (137 years) are a sign of timestamps in another unit."""
_FEW: Final = 1000
"""At most one row in this many is left out for being far from the others."""
_FEW_OF_A_SMALL_LOG: Final = (3, 10)
"""In a small log at most 3 rows are left out, and at most one in 10."""
_LEAST_GAP_DAYS: Final = 365
_LEAST_GAP_SHARE: Final = 0.5
_SHOWN_DAYS: Final = 3


@dataclass(frozen=True, kw_only=True)
class DateRange:
    """The UTC days that a source's events cover."""

    first_day: date
    """The first day."""
    last_day: date
    """The last day, which may be incomplete."""
    rows: int
    """Events from the first to the last day, > 0."""


@dataclass(frozen=True, kw_only=True)
class RowsByDay:
    """The number of events of each UTC day of a source that has any."""

    days: Int64
    """Days since 1970-01-01, ascending."""
    rows: Int64
    """Events of each of these days, > 0."""

    @classmethod
    def from_frame(cls, counted: pl.DataFrame) -> Self:
        """Add up a frame with the columns `day` (date) and `rows`, several rows a day or one."""
        days, place = np.unique(counted["day"].to_physical().to_numpy(), return_inverse=True)
        rows = np.bincount(place, weights=counted["rows"].to_numpy(), minlength=len(days))
        return cls(days=days.astype(np.int64), rows=rows.astype(np.int64))

    @classmethod
    def none(cls) -> Self:
        """Return no day."""
        return cls(days=np.zeros(0, dtype=np.int64), rows=np.zeros(0, dtype=np.int64))

    @property
    def total(self) -> int:
        """The events of all days."""
        return int(self.rows.sum())

    def inside(self, first: date, last: date) -> Self:
        """Return the days from `first` to `last`, inclusive."""
        return self._where(self._is_inside(first, last))

    def outside(self, first: date, last: date) -> Self:
        """Return the days before `first` and after `last`."""
        return self._where(~self._is_inside(first, last))

    def __str__(self) -> str:
        """Return the events of up to three days, such as `4 on 1970-01-16, 1 on 2099-12-31`, or a summary of more."""
        shown = [f"{rows:,} on {_date(day)}" for day, rows in zip(self.days, self.rows, strict=True)]
        if len(shown) > _SHOWN_DAYS:
            first, last = _date(self.days[0]), _date(self.days[-1])
            return f"{self.total:,} on {len(shown):,} days from {first} to {last}"
        return ", ".join(shown)

    def _is_inside(self, first: date, last: date) -> Bools:
        return (self.days >= (first - EPOCH).days) & (self.days <= (last - EPOCH).days)

    def _where(self, wanted: Bools) -> Self:
        return type(self)(days=self.days[wanted], rows=self.rows[wanted])


def choose_range(
    counted: RowsByDay, *, name: str, read_on: date, first: date | None = None, last: date | None = None
) -> DateRange:
    """Return the first and the last day of a log, whatever dates a few broken rows have.

    A day later than `read_on` and a tolerance of one day is never chosen. At the other end a date alone
    proves nothing: real logs begin with years of a few rows (a shop's reviews from 2000 on, one in the first
    three years). So rows are left out only where both hold, as they do for placeholders such as 1970-01-01:

    - they are few: at most 0.1 % of the log; of a small log up to 3 rows, at most 10 %;
    - a gap without any row cuts them off, of more than a year and more than half of the days that stay:
      with them the partitions would be half as many again, and the new ones empty.

    Rows are looked at outwards from the busiest stretch without a gap of a year, so that several broken dates
    far from one another are left out together. Of the real sets that this was tried on, the longest gap that
    belongs to the log is 0.30 of the days after it; the gap after a placeholder is 0.95.

    Args:
        counted: the source's rows by day.
        name: the source's, for errors.
        read_on: the day on which the source was read (UTC).
        first: the first day, where a person chose it.
        last: the last day, where a person chose it; it may be later than `read_on`.

    Raises:
        EmptySourceError: there is no event, or none from `first` to `last`.
        SourceFormatError: every event is later than `read_on`, or the days would be more than `MOST_DAYS`.
    """
    if not len(counted.days):
        raise EmptySourceError(f"{name}: holds no event; give a file with at least one row")
    inside = counted.inside(first or date.min, last or read_on + TOLERANCE)
    if not len(inside.days):
        if first is None and last is None:
            raise SourceFormatError(
                f"{name}: every event is in the future: {counted}; mend the timestamps, or give the days with "
                "`recsys init --from DAY --to DAY`"
            )
        raise EmptySourceError(
            f"{name}: no event from {first or 'its start'} to {last or read_on}: {counted}"
        )
    start, stop = _connected(inside)
    first, last = first or _date(inside.days[start]), last or _date(inside.days[stop])
    count = (last - first).days + 1
    if count > MOST_DAYS:
        raise SourceFormatError(
            f"{name}: events from {first} to {last} would be {count:,} daily partitions; look for timestamps in "
            "another unit or placeholders, and mend them, or give the days with `recsys init --from DAY --to DAY`"
        )
    return DateRange(first_day=first, last_day=last, rows=inside.inside(first, last).total)


def _connected(counted: RowsByDay) -> tuple[int, int]:
    """Return the places of the first and last day of the log, without the few rows that a gap cuts off."""
    days, rows = counted.days, counted.rows
    every, (small, share) = int(rows.sum()), _FEW_OF_A_SMALL_LOG
    few = max(every // _FEW, min(small, every // share))
    before = np.concatenate([[0], np.cumsum(rows)])
    starts = np.concatenate([[0], np.flatnonzero(np.diff(days) > _LEAST_GAP_DAYS) + 1])
    stops = np.append(starts[1:], len(days)) - 1
    busiest = int(np.argmax(before[stops + 1] - before[starts]))
    start, stop = int(starts[busiest]), int(stops[busiest])

    def is_cut_off(gap: int, beyond: int) -> bool:
        return beyond <= few and gap > _LEAST_GAP_SHARE * (int(days[stop]) - int(days[start]) + 1)

    for earlier in range(busiest - 1, -1, -1):
        if is_cut_off(int(days[start] - days[stops[earlier]]), int(before[start])):
            break
        start = int(starts[earlier])
    for later in range(busiest + 1, len(starts)):
        if is_cut_off(int(days[starts[later]] - days[stop]), every - int(before[stop + 1])):
            break
        stop = int(stops[later])
    return start, stop


def _date(day: int) -> date:
    return EPOCH + timedelta(days=int(day))
