"""Scores of a day's counts, shares and means against those of the days before it.

Every family compares a day with three windows, the last 28 days, the last 8 of the same weekday and the last 3
days, and takes the smallest of the residuals, so that only what is unusual for all is unusual. Days that
alarmed are left out of the first two; in the third they count, so that a new level (a sale, January) alarms
for a day or two and not for weeks. Counts, which follow the week most, take the level of the 28 or 3 days times
the weekday's usual part of it. Residuals are divided by
how widely the residuals of the last year spread. Only days before the judged one enter.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from recsys_assets.drift.statistics import Floats, agreeing, by_side, count_residual, share_residual
from recsys_assets.drift.windows import (
    LEAST_EVENTS,
    WINDOW_DAYS,
    Indexes,
    Table,
    Windows,
    known_spread,
    typical,
    usable,
)


@dataclass(frozen=True, kw_only=True)
class Score:
    """How unusual one statistic of a day is."""

    score: float
    """About standard normal for an ordinary day; signed where more and less are told apart."""
    found: float
    """The day's value: a count, a share, a mean; for a histogram the share in the bin that stands out."""
    expected: float
    """The window's value."""
    affected: float
    """Share of the day's events (or of the expected ones) that this concerns, 0-1."""
    where: int | None = None
    """For histograms the bin that stands out."""
    surplus: int | None = None
    """For histograms the bin that has most too many events, if at least half of its events are too many."""


class CountFamily:
    """Plain counts, judged by negative binomial residuals whose dispersion makes history look normal."""

    _DISPERSIONS: Final = np.concatenate([[0.0], np.geomspace(1e-4, 4.0, 30)])

    def __init__(self, columns: int) -> None:
        """Begin without days."""
        self._columns = columns
        self._counts, self._residuals = Table(columns), Table(columns * len(self._DISPERSIONS))
        self._chosen = (-1, np.zeros((2, columns), dtype=np.int64), np.ones((2, columns)))

    def judge(self, counts: Floats, windows: Windows) -> tuple[Floats, Floats, Floats]:
        """Residuals by dispersion (flat), scores (NaN where unknown) and expected counts."""
        weekday = typical(self._counts.rows[windows.weekday])
        recent = typical(self._counts.rows[windows.recent])
        # The month's level on such a weekday: else half a busy Saturday would pass as a quiet Monday.
        pattern = weekday / typical(self._counts.rows[windows.weeks])
        recent = np.where(np.isnan(pattern), recent, recent * pattern)
        latest = weekday * self._level(windows)
        residuals = agreeing(
            *(
                count_residual(counts[:, None], expected[:, None], self._DISPERSIONS)
                for expected in (recent, weekday, latest)
            )
        )
        if self._chosen[0] != windows.week:
            self._chosen = (windows.week, *self._choose(windows.year))
        _, places, spreads = self._chosen
        sides, each = (residuals[:, 0] > 0).astype(int), np.arange(self._columns)
        scores = residuals[each, places[sides, each]] / spreads[sides, each]
        nearer = np.where(np.abs(counts - recent) < np.abs(counts - weekday), recent, weekday)
        return residuals.ravel(), scores, nearer

    def append(self, counts: Floats, residuals: Floats) -> None:
        """Keep a day."""
        self._counts.append(counts)
        self._residuals.append(residuals)

    def forget(self, count: int) -> None:
        """Drop the oldest days."""
        self._counts.forget(count)
        self._residuals.forget(count)

    def was_closed(self, place: int) -> bool:
        """Whether a kept day was empty that followed four weeks of many events a day."""
        rows = self._counts.rows
        before = rows[max(place - WINDOW_DAYS, 0) : place]
        return bool(rows[place, 0] == 0 and len(before) and typical(before)[0] >= LEAST_EVENTS)

    def _level(self, windows: Windows) -> Floats:
        """By how much the last days differ from what their weekdays had: the median of their ratios."""
        rows = self._counts.rows
        ratios = [
            rows[place] / typical(rows[before])
            for place, before in zip(windows.latest, windows.latest_weekdays, strict=True)
        ]
        return np.median(ratios, axis=0) if ratios else np.full(self._columns, np.nan)

    def _choose(self, year: Indexes) -> tuple[npt.NDArray[np.int64], Floats]:
        """By side and count the least dispersion under which the past is no wider than normal."""
        spreads = known_spread(self._residuals.rows[year]).reshape(2, self._columns, -1)
        fits = np.where(np.isnan(spreads), np.inf, spreads) <= 1
        places = np.where(fits.any(axis=2), fits.argmax(axis=2), len(self._DISPERSIONS) - 1)
        return places, np.take_along_axis(spreads, places[:, :, None], axis=2)[:, :, 0]


class ShareFamily:
    """Counts k of n, judged by binomial residuals. Shape of everything: (days, shares)."""

    def __init__(self, columns: int) -> None:
        """Begin without days."""
        self._k, self._n = Table(columns), Table(columns)
        self._residuals, self._alarming = Table(columns), Table(columns)
        self._spread = (-1, np.ones((2, columns)))

    def judge(self, k: Floats, n: Floats, windows: Windows) -> tuple[Floats, Floats, Floats]:
        """Residuals, scores (NaN where unknown) and expected shares."""
        recent, recent_events = self._expected(windows.recent)
        weekday, weekday_events = self._expected(windows.weekday)
        latest, latest_events = self._expected(windows.latest, whatever=True)
        residuals = agreeing(
            _binomial(k, n, recent, recent_events),
            _binomial(k, n, weekday, weekday_events),
            _binomial(k, n, latest, latest_events),
        )
        if self._spread[0] != windows.week:
            self._spread = (windows.week, known_spread(self._residuals.rows[windows.year]))
        return residuals, self._scores(k, n, residuals, expected=(recent, weekday, latest)), recent

    def append(self, k: Floats, n: Floats, *, residuals: Floats, alarming: npt.NDArray[np.bool_]) -> None:
        """Keep a day; `alarming` shares do not serve as a reference until they are the rule."""
        self._k.append(k)
        self._n.append(n)
        self._residuals.append(residuals)
        self._alarming.append(alarming)

    def forget(self, count: int) -> None:
        """Drop the oldest days."""
        for table in (self._k, self._n, self._residuals, self._alarming):
            table.forget(count)

    def _expected(self, window: Indexes, *, whatever: bool = False) -> tuple[Floats, Floats]:
        """Shares in the window and their events; days that alarmed are left out unless `whatever`."""
        alarming = self._alarming.rows[window]
        use = np.ones_like(alarming) if whatever else usable(alarming)
        hits = (self._k.rows[window] * use).sum(axis=0)
        events = (self._n.rows[window] * use).sum(axis=0)
        return (hits + 0.5) / (events + 1), events  # Jeffreys' half: never seen is rare, not impossible

    def _scores(self, k: Floats, n: Floats, residuals: Floats, *, expected: tuple[Floats, ...]) -> Floats:
        del k, n, expected
        return by_side(residuals, self._spread[1])


class MeanFamily:
    """Means with their standard deviation and n, judged by standard errors."""

    def __init__(self, columns: int) -> None:
        """Begin without days."""
        self._mean, self._deviation, self._n = Table(columns), Table(columns), Table(columns)
        self._residuals, self._alarming = Table(columns), Table(columns)
        self._spread = (-1, np.ones((2, columns)))

    def judge(
        self, mean: Floats, deviation: Floats, n: Floats, windows: Windows
    ) -> tuple[Floats, Floats, Floats]:
        """Residuals, scores (NaN where unknown) and expected means."""
        first, expected = self._residual(mean, deviation, n, windows.recent)
        second, _ = self._residual(mean, deviation, n, windows.weekday)
        third, _ = self._residual(mean, deviation, n, windows.latest, whatever=True)
        residuals = agreeing(first, second, third)
        if self._spread[0] != windows.week:
            self._spread = (windows.week, known_spread(self._residuals.rows[windows.year]))
        return residuals, by_side(residuals, self._spread[1]), expected

    def append(
        self,
        mean: Floats,
        deviation: Floats,
        n: Floats,
        *,
        residuals: Floats,
        alarming: npt.NDArray[np.bool_],
    ) -> None:
        """Keep a day."""
        self._mean.append(mean)
        self._deviation.append(deviation)
        self._n.append(n)
        self._residuals.append(residuals)
        self._alarming.append(alarming)

    def forget(self, count: int) -> None:
        """Drop the oldest days."""
        for table in (self._mean, self._deviation, self._n, self._residuals, self._alarming):
            table.forget(count)

    def _residual(
        self, mean: Floats, deviation: Floats, n: Floats, window: Indexes, *, whatever: bool = False
    ) -> tuple[Floats, Floats]:
        """Standard errors off the window's mean, and that; alarming days are left out unless `whatever`."""
        means, alarming = self._mean.rows[window], self._alarming.rows[window]
        weights = self._n.rows[window] * (1.0 if whatever else usable(alarming))
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


def _binomial(k: Floats, n: Floats, share: Floats, events: Floats) -> Floats:
    """Residual of k of n against a share that itself was seen in `events`; NaN where there were none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = share_residual(k, n, share) / np.sqrt(1 + n / events)
    return np.where(events > 0, residual, np.nan)
