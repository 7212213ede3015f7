"""The history of a day's counts, shares and means, and the scores of the next day against it.

A day is compared with three windows: the last 28 days, the last 8 of the same weekday and the last 3 days. The
smallest of the three residuals counts, so that only what is unusual against all of them is unusual. Days that
alarmed are left out of the first two; in the third they count, so that a new level (a sale, January) alarms
for a day or two and not for weeks. Counts, which follow the week most, take the level of the 28 or 3 days times
the weekday's usual part of it. Residuals are divided by the spread of the last year's residuals. Only days
before the judged one enter.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from recsys_assets.drift.statistics import agreeing, by_side, count_residual, share_residual
from recsys_assets.drift.windows import (
    LEAST_EVENTS,
    WINDOW_DAYS,
    DayTable,
    Weekly,
    Windows,
    known_spread,
    typical,
    usable,
)
from recsys_assets.storage.arrays import Bools, Float64, Int64

_NARROWEST: Final = 0.5
"""Least spread of a narrow share; less would be chance."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """The score of one statistic of a day, with the values behind it."""

    score: float
    """About standard normal for an ordinary day; signed where too many and too few are distinguished."""
    found: float
    """The day's value: a count, a share, a mean; for a histogram the share in the bin that stands out."""
    expected: float
    """The window's value."""
    affected: float
    """Share of the day's events (or of the expected ones) that this concerns, 0-1."""
    where: int | None = None
    """For histograms the bin that stands out."""
    until: int | None = None
    """For a stretch of bins that stands out, the last of them; `where` is the first."""
    surplus: int | None = None
    """For histograms the bin with the largest surplus, if at least half of its events are too many."""


class Scored(NamedTuple):
    """A day's statistics of one kind against history; each array has one number a statistic."""

    residuals: Float64
    """To be kept with the day."""
    scores: Float64
    """Residuals divided by their spread; NaN where that is unknown."""
    expected: Float64
    """The window's values."""


class ScoredCounts(NamedTuple):
    """A day's counts against history; each array but `residuals` has one number a count."""

    residuals: Float64
    """To be kept with the day: one for each count and dispersion, flat."""
    levels: Float64
    """To be kept with the day: its counts by those that its weekday had before."""
    scores: Float64
    """Residuals divided by their spread; NaN where that is unknown."""
    expected: Float64
    """The window's values."""


class CountHistory:
    """Plain counts, judged by negative binomial residuals whose dispersion makes history look normal."""

    _DISPERSIONS: Final = np.concatenate([[0.0], np.geomspace(1e-4, 4.0, 30)])

    def __init__(self, columns: int) -> None:
        """Begin without days."""
        self._columns = columns
        self._counts, self._levels = DayTable(columns), DayTable(columns)
        self._residuals = DayTable(columns * len(self._DISPERSIONS))
        self._fitted: Weekly[tuple[Int64, Float64]] = Weekly()

    def judge(self, counts: Float64, windows: Windows) -> ScoredCounts:
        """Score a day's counts."""
        weekday = typical(self._counts.rows[windows.weekday])
        recent = typical(self._counts.rows[windows.recent])
        # The month's level on such a weekday: else half a busy Saturday would pass as a quiet Monday.
        pattern = weekday / typical(self._counts.rows[windows.weeks])
        recent = np.where(np.isnan(pattern), recent, recent * pattern)
        latest = weekday * self._level(windows)
        expected = np.array([recent, weekday, latest])
        residuals = agreeing(*count_residual(counts[:, None], expected[:, :, None], self._DISPERSIONS))
        places, spreads = self._fitted.get(windows.week, lambda: self._fit(windows.year))
        sides, each = (residuals[:, 0] > 0).astype(int), np.arange(self._columns)
        scores = residuals[each, places[sides, each]] / spreads[sides, each]
        nearer = np.where(np.abs(counts - recent) < np.abs(counts - weekday), recent, weekday)
        return ScoredCounts(residuals.ravel(), counts / weekday, scores, nearer)

    def append(self, counts: Float64, *, levels: Float64, residuals: Float64) -> None:
        """Keep a day."""
        self._counts.append(counts)
        self._levels.append(levels)
        self._residuals.append(residuals)

    def drop_oldest(self, count: int) -> None:
        """Drop the oldest days."""
        self._counts.drop_oldest(count)
        self._levels.drop_oldest(count)
        self._residuals.drop_oldest(count)

    def was_closed(self, place: int) -> bool:
        """Return True if the kept day at `place` was empty after four weeks of many events a day."""
        rows = self._counts.rows
        before = rows[max(place - WINDOW_DAYS, 0) : place]
        return bool(rows[place, 0] == 0 and len(before) and typical(before)[0] >= LEAST_EVENTS)

    def _level(self, windows: Windows) -> Float64:
        """Return the median ratio of the last days to what their weekdays had before."""
        levels = self._levels.rows[windows.latest]
        return np.asarray(np.median(levels, axis=0)) if len(levels) else np.full(self._columns, np.nan)

    def _fit(self, year: slice) -> tuple[Int64, Float64]:
        """Choose, by side and count, the least dispersion under which the past is no wider than normal.

        Returns:
            Positions in `_DISPERSIONS` and the spreads there, both of shape (2, counts).
        """
        spreads = known_spread(self._residuals.rows[year]).reshape(2, self._columns, -1)
        fits = np.where(np.isnan(spreads), np.inf, spreads) <= 1
        places = np.where(fits.any(axis=2), fits.argmax(axis=2), len(self._DISPERSIONS) - 1)
        return places, np.take_along_axis(spreads, places[:, :, None], axis=2)[:, :, 0]


class ShareHistory:
    """Counts k of n, judged by binomial residuals."""

    def __init__(
        self, columns: int, *, totals: int | None = None, days: int = 0, narrow: Bools | None = None
    ) -> None:
        """Begin after `days` days without any event.

        Args:
            columns: number of shares.
            totals: 1 where all shares are of one n and alarm together; else each share has its own.
            days: number of days before.
            narrow: shares that may vary less than independent events do; None for none.
        """
        self._narrow = np.zeros(columns, dtype=bool) if narrow is None else narrow
        totals = columns if totals is None else totals
        self._k = DayTable(columns, rows=days)
        self._n, self._alarming = DayTable(totals, rows=days, fill=0.0), DayTable(totals, rows=days, fill=0.0)
        self._residuals = DayTable(columns, rows=days)
        self._weekly_spread: Weekly[Float64] = Weekly()

    def judge(self, k: Float64, n: Float64, windows: Windows) -> Scored:
        """Score a day's shares."""
        residuals, expected = self._compare(k, n, windows)
        return Scored(residuals, by_side(residuals, self._spread(windows)), expected[0])

    def append(self, k: Float64, n: Float64, *, residuals: Float64, alarming: Bools) -> None:
        """Keep a day; `alarming` shares do not serve as a reference until they are the rule."""
        self._k.append(k)
        self._n.append(n)
        self._residuals.append(residuals)
        self._alarming.append(alarming)

    def ever(self) -> Bools:
        """Mark the shares that were not 0 on all kept days."""
        return np.asarray((self._k.rows > 0).any(axis=0))

    def drop_oldest(self, count: int) -> None:
        """Drop the oldest days."""
        for table in (self._k, self._n, self._residuals, self._alarming):
            table.drop_oldest(count)

    def _compare(self, k: Float64, n: Float64, windows: Windows) -> tuple[Float64, list[Float64]]:
        """Return the residuals, and the shares expected by each window: recent, weekday, latest."""
        shares, events = zip(
            self._reference(windows.recent),
            self._reference(windows.weekday),
            self._reference(windows.latest, with_alarming=True),
            strict=True,
        )
        return agreeing(*_binomial(k, n, np.array(shares), np.array(events))), list(shares)

    def _spread(self, windows: Windows) -> Float64:
        """Return the spread of the last year's residuals, (2, shares)."""
        return self._weekly_spread.get(
            windows.week,
            lambda: known_spread(self._residuals.rows[windows.year], least=self._least_spread(windows.year)),
        )

    def _least_spread(self, year: slice) -> Float64 | float:
        """Return the least spread of each share: lower for narrow ones, where there is enough to measure it."""
        if not len(self._k.rows[year]) or not self._narrow.any():
            return 1.0
        hits, events = np.median(self._k.rows[year], axis=0), np.median(self._n.rows[year], axis=0)
        return np.where(self._narrow & (hits >= 1) & (events >= LEAST_EVENTS), _NARROWEST, 1.0)

    def _reference(self, window: slice | Int64, *, with_alarming: bool = False) -> tuple[Float64, Float64]:
        """Return the window's shares and their events, without the days that alarmed unless `with_alarming`."""
        hits, events, alarming = self._k.rows[window], self._n.rows[window], self._alarming.rows[window]
        if not with_alarming and alarming.any():
            use = usable(alarming)
            hits, events = hits * use, events * use
        hits, events = hits.sum(axis=0), events.sum(axis=0)
        return (hits + 0.5) / (events + 1), events  # Jeffreys' half: never seen is rare, not impossible


class MeanHistory:
    """Means with their standard deviation and n, judged by standard errors."""

    def __init__(self, columns: int) -> None:
        """Begin without days."""
        self._mean, self._deviation, self._n = DayTable(columns), DayTable(columns), DayTable(columns)
        self._residuals, self._alarming = DayTable(columns), DayTable(columns)
        self._weekly_spread: Weekly[Float64] = Weekly()

    def judge(self, mean: Float64, deviation: Float64, n: Float64, windows: Windows) -> Scored:
        """Score a day's means."""
        if (n < LEAST_EVENTS).all():
            unknown = np.full(len(n), np.nan)
            return Scored(unknown, unknown, unknown)
        recent, expected = self._compare(mean, deviation, n, windows.recent)
        weekday, _ = self._compare(mean, deviation, n, windows.weekday)
        latest, _ = self._compare(mean, deviation, n, windows.latest, with_alarming=True)
        residuals = agreeing(recent, weekday, latest)
        spread = self._weekly_spread.get(
            windows.week, lambda: known_spread(self._residuals.rows[windows.year])
        )
        return Scored(residuals, by_side(residuals, spread), expected)

    def append(
        self, mean: Float64, deviation: Float64, n: Float64, *, residuals: Float64, alarming: Bools
    ) -> None:
        """Keep a day."""
        self._mean.append(mean)
        self._deviation.append(deviation)
        self._n.append(n)
        self._residuals.append(residuals)
        self._alarming.append(alarming)

    def drop_oldest(self, count: int) -> None:
        """Drop the oldest days."""
        for table in (self._mean, self._deviation, self._n, self._residuals, self._alarming):
            table.drop_oldest(count)

    def _compare(
        self,
        mean: Float64,
        deviation: Float64,
        n: Float64,
        window: slice | Int64,
        *,
        with_alarming: bool = False,
    ) -> tuple[Float64, Float64]:
        """Return the distance from the window's means in standard errors, and those means.

        Days that alarmed are left out unless `with_alarming`.
        """
        means, alarming = self._mean.rows[window], self._alarming.rows[window]
        weights = self._n.rows[window] * (1.0 if with_alarming else usable(alarming))
        events = weights.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            expected = (weights * means).sum(axis=0) / events
            squares = self._deviation.rows[window] ** 2 + (means - expected) ** 2
            within = (weights * squares).sum(axis=0) / events
            # Equal numbers have no variance to judge the first other one by: the day's own counts too.
            error = np.sqrt(np.maximum(within, deviation**2) * (1 / n + 1 / events))
            off = mean - expected
            residual = np.where(error > 0, off / error, np.sign(off) * np.sqrt(n))
        return np.where((events >= LEAST_EVENTS) & (n >= LEAST_EVENTS), residual, np.nan), expected


def _binomial(k: Float64, n: Float64, share: Float64, events: Float64) -> Float64:
    """Return the residual of k of n against a share that itself was seen in `events`; NaN where there were none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = share_residual(k, n, share) / np.sqrt(1 + n / events)
    return np.where(events > 0, residual, np.nan)
