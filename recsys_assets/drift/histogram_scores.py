"""The history of one histogram, and the score of the next day's against it: as a whole and by its bins."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from recsys_assets.drift.scores import Score, Scored, ShareHistory
from recsys_assets.drift.statistics import (
    agreeing,
    by_side,
    count_residual,
    jensen_shannon,
    share_residual,
    upper_spread,
)
from recsys_assets.drift.windows import LEAST_EVENTS, LEAST_SCORES, DayTable, Weekly, Windows, usable
from recsys_assets.storage.arrays import Float64

_RARE: Final = 0.2
"""Shares below it behave like counts."""
_NARROWEST: Final = (1.0, 1.0, 1.0, 0.5)
"""Least width of each statistic. The gap, the largest of many residuals, varies less than one of them."""


@dataclass(frozen=True, kw_only=True)
class HistogramDay:
    """One day's histogram, ready to be kept; NaN where nothing was judged."""

    counts: Float64
    """Events by bin."""
    residuals: Float64
    """Residual of each bin's share."""
    distance: float
    """Distance of the whole histogram from the windows."""
    lowest: float
    """Size of the score of the bin that has most too few events."""
    highest: float
    """Size of the score of the bin that has most too many events."""
    gap: float
    """Size of the residual of the stretch of bins that has most too few events; NaN where bins have no order."""

    @property
    def statistics(self) -> tuple[float, float, float, float]:
        """The numbers that the histogram is judged by: three for its shape, and the gap."""
        return self.distance, self.lowest, self.highest, self.gap


class Stretch(NamedTuple):
    """Neighbouring bins that together have too few events."""

    size: float
    """Size of the residual."""
    bins: tuple[int, int]
    """First and last bin."""
    found: float
    """Share of the events in it."""
    expected: float
    """Usual share of the events in it."""

    def score(self, score: float) -> Score:
        """Return the score of the day that follows from the standardised size."""
        first, last = self.bins
        return Score(
            score=score,
            found=self.found,
            expected=self.expected,
            affected=max(self.expected - self.found, 0.0),
            where=first,
            until=last,
        )


class BinHistory(ShareHistory):
    """The bins of one histogram: shares of one n; bins are added as they occur.

    A bin that is rarer than expected is judged as a negative binomial count of the same spread: shares of
    categories and hours vary by factors, and no ordinary factor makes a share nothing.
    """

    def __init__(self, *, days: int) -> None:
        """Begin without bins, after `days` days without any event."""
        super().__init__(0, totals=1, days=days)

    def judge_bins(self, k: Float64, n: Float64, windows: Windows) -> tuple[Scored, list[Float64]]:
        """Score a day's bins; return also the shares expected by each window."""
        residuals, expected = self._compare(k, n, windows)
        spread = self._spread(windows)
        scores = by_side(residuals, spread)
        beyond_poisson = np.maximum(spread[0] ** 2 - 1, 0)
        losses = agreeing(*(_loss(k, n * share, beyond_poisson) for share in expected))
        rarer = (scores < 0) & (expected[0] < _RARE)
        return Scored(residuals, np.where(rarer, losses, scores), expected[0]), expected

    def widen(self, columns: int) -> None:
        """Add bins, which no day had."""
        self._k.widen(columns, 0.0)
        self._residuals.widen(columns, np.nan)
        self._weekly_spread.clear()

    @property
    def counts(self) -> Float64:
        """Events by day and bin."""
        return self._k.rows

    @property
    def alarming(self) -> Float64:
        """1 for alarming days, shape (days, 1)."""
        return self._alarming.rows


class HistogramHistory:
    """One histogram by day."""

    def __init__(self, *, days: int = 0, ordered: bool = False) -> None:
        """Begin after `days` days without any event; `ordered` bins have neighbours, as hours do."""
        self._columns: dict[int, int] = {}
        self._names: list[int] = []
        self._ordered = ordered
        self._bins = BinHistory(days=days)
        self._statistics = DayTable(4, rows=days)
        self._weekly_spreads: Weekly[list[tuple[float, float]]] = Weekly()

    def judge(
        self, histogram: Mapping[int, int], windows: Windows
    ) -> tuple[HistogramDay, Score | None, Score | None]:
        """Return the day to be kept, the score of its shape and that of its emptiest stretch of bins.

        A score is None where there is too little to compare; that of the stretch also where bins have no order.
        """
        counts = self._row(histogram)
        rows = counts.sum()
        if rows < LEAST_EVENTS or windows.recent.stop == 0:
            return replace(self.empty_day(), counts=counts), None, None
        distance, elsewhere = self._distance(counts, windows)
        bins, expected = self._bins.judge_bins(counts, np.array([rows]), windows)
        (least, lowest), (most, highest) = self._extremes(bins.scores, windows)
        stretch = self._emptiest(counts, expected) if self._ordered else None
        day = HistogramDay(
            counts=counts,
            residuals=bins.residuals,
            distance=distance,
            lowest=lowest,
            highest=highest,
            gap=float("nan") if stretch is None else stretch.size,
        )
        by_distance, by_lowest, by_highest, by_gap = self._standardised(day, windows)
        gap = None if stretch is None or math.isnan(by_gap) else stretch.score(by_gap)
        if np.isnan([by_distance, by_lowest, by_highest]).all():
            return day, None, gap
        worst = least if np.nan_to_num(by_lowest) > np.nan_to_num(by_highest) else most
        surplus = int(np.argmax(counts - rows * bins.expected))
        shape = Score(
            score=float(np.nanmax([by_distance, by_lowest, by_highest])),
            found=float(counts[worst] / rows),
            expected=float(bins.expected[worst]),
            affected=elsewhere,
            where=self._names[worst],
            surplus=self._names[surplus] if counts[surplus] >= 2 * rows * bins.expected[surplus] else None,
        )
        return day, shape, gap

    def empty_day(self) -> HistogramDay:
        """Return a day without any event."""
        bins = len(self._names)
        unknown = float("nan")
        return HistogramDay(
            counts=np.zeros(bins),
            residuals=np.full(bins, unknown),
            distance=unknown,
            lowest=unknown,
            highest=unknown,
            gap=unknown,
        )

    def append(self, day: HistogramDay, *, alarming: bool) -> None:
        """Keep a day."""
        counts, residuals = day.counts, day.residuals
        missing = len(self._names) - len(counts)  # bins that other candidates for the day have brought since
        if missing or len(residuals) != len(counts):
            counts = np.concatenate([counts, np.zeros(missing)])
            unknown = np.full(len(counts) - len(residuals), np.nan)
            residuals = np.concatenate([residuals, unknown])
        self._bins.append(
            counts, np.array([counts.sum()]), residuals=residuals, alarming=np.array([alarming])
        )
        self._statistics.append(day.statistics)

    def drop_oldest(self, count: int) -> None:
        """Drop the oldest days."""
        self._bins.drop_oldest(count)
        self._statistics.drop_oldest(count)

    def _row(self, histogram: Mapping[int, int]) -> Float64:
        """Return the events by column, with new columns for bins that never occurred."""
        new = [name for name in histogram if name not in self._columns]
        if new:
            for name in new:
                self._columns[name] = len(self._names)
                self._names.append(name)
            self._bins.widen(len(new))
        row = np.zeros(len(self._names))
        for name, rows in histogram.items():
            row[self._columns[name]] = rows
        return row

    def _standardised(self, day: HistogramDay, windows: Windows) -> list[float]:
        """Return the day's four statistics less their centre, divided by their width, in the last year."""
        spreads = self._weekly_spreads.get(
            windows.week,
            lambda: [
                upper_spread(past, least=LEAST_SCORES, narrowest=narrowest)
                for past, narrowest in zip(self._statistics.rows[windows.year].T, _NARROWEST, strict=True)
            ],
        )
        return [
            (value - center) / width for value, (center, width) in zip(day.statistics, spreads, strict=True)
        ]

    def _distance(self, counts: Float64, windows: Windows) -> tuple[float, float]:
        """Return the smallest normalised Jensen-Shannon distance from a window, and of the shares elsewhere."""
        found = []
        rows = counts.sum()
        for window in (windows.recent, windows.weekday, windows.latest):
            alarming = self._bins.alarming[window]
            use = 1.0 if window is windows.latest else usable(alarming)
            reference = (self._bins.counts[window] * use).sum(axis=0)
            events = reference.sum()
            if events < LEAST_EVENTS:
                continue
            expected = reference / events
            # 8 n JS is about chi-square for small differences (JS ~ chi²/8), its root about normal (Fisher).
            effective = rows * events / (rows + events)
            degrees = max(np.minimum(1, rows * expected).sum() - 1, 1)
            distance = np.sqrt(16 * effective * jensen_shannon(counts, reference)) - np.sqrt(2 * degrees - 1)
            found.append((float(distance), float(np.abs(counts / rows - expected).sum() / 2)))
        if not found:
            return float("nan"), 0.0
        return min(distance for distance, _ in found), min(elsewhere for _, elsewhere in found)

    def _extremes(self, scores: Float64, windows: Windows) -> tuple[tuple[int, float], tuple[int, float]]:
        """Return the bins with most too few and most too many events, and the size of their scores.

        After Bonferroni over the bins in use: their number times the tail probability, which falls as
        exp(-z²/2), is written as a normal score again.
        """
        if np.isnan(scores).all():
            return (0, float("nan")), (0, float("nan"))
        active = max(int((self._bins.counts[windows.recent].sum(axis=0) > 0).sum()), 1)
        least, most = int(np.nanargmin(scores)), int(np.nanargmax(scores))
        sizes = np.maximum([-scores[least], scores[most]], 0)
        lowest, highest = np.sqrt(np.maximum(sizes**2 - 2 * np.log(active), 0))
        return (least, float(lowest)), (most, float(highest))

    def _emptiest(self, counts: Float64, expected: list[Float64]) -> Stretch:
        """Return the stretch of neighbouring bins whose events are most too few against every window.

        A spatial scan statistic on a line (Kulldorff 1997): a day that ends early, begins late, or has a gap.
        """
        order = np.argsort(self._names)
        first, last = np.triu_indices(len(order))
        rows = counts.sum()

        def sums(values: Float64) -> Float64:
            totals = np.concatenate([[0.0], np.cumsum(values[order])])
            summed: Float64 = totals[last + 1] - totals[first]
            return summed

        found = sums(counts)
        shares = [np.clip(sums(share / share.sum()), 1e-9, 1 - 1e-9) for share in expected]
        residuals = agreeing(*(share_residual(found, rows, share) for share in shares))
        worst = int(np.argmin(residuals))
        return Stretch(
            size=max(-float(residuals[worst]), 0.0),
            bins=(self._names[order[first[worst]]], self._names[order[last[worst]]]),
            found=float(found[worst] / rows),
            expected=float(shares[0][worst]),
        )


def _loss(k: Float64, mean: Float64, beyond_poisson: Float64) -> Float64:
    """Return the residual of a count whose variance is `mean` (1 + `beyond_poisson`) around its mean."""
    return count_residual(k, mean, beyond_poisson / np.maximum(mean, 1e-9))
