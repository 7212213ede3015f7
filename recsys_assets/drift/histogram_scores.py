"""The history of one histogram, and the score of the next day's against it: as a whole and by its bins."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from recsys_assets.drift.scores import Score, Scored, ShareHistory
from recsys_assets.drift.statistics import agreeing, by_side, count_residual, jensen_shannon, upper_spread
from recsys_assets.drift.windows import LEAST_EVENTS, LEAST_SCORES, DayTable, Weekly, Windows, usable
from recsys_assets.storage.arrays import Float64

_RARE: Final = 0.2
"""Shares below it behave like counts."""


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

    @property
    def statistics(self) -> tuple[float, float, float]:
        """The three numbers that the histogram is judged by."""
        return self.distance, self.lowest, self.highest


class BinHistory(ShareHistory):
    """The bins of one histogram: shares of one n; bins are added as they occur.

    A bin that is rarer than expected is judged as a negative binomial count of the same spread: shares of
    categories and hours vary by factors, and no ordinary factor makes a share nothing.
    """

    def __init__(self, *, days: int) -> None:
        """Begin without bins, after `days` days without any event."""
        super().__init__(0, totals=1, days=days)

    def judge(self, k: Float64, n: Float64, windows: Windows) -> Scored:
        """Score a day's bins."""
        residuals, expected = self._compare(k, n, windows)
        spread = self._spread(windows)
        scores = by_side(residuals, spread)
        beyond_poisson = np.maximum(spread[0] ** 2 - 1, 0)
        losses = agreeing(*(_loss(k, n * share, beyond_poisson) for share in expected))
        rarer = (scores < 0) & (expected[0] < _RARE)
        return Scored(residuals, np.where(rarer, losses, scores), expected[0])

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

    def __init__(self, *, days: int = 0) -> None:
        """Begin after `days` days without any event."""
        self._columns: dict[int, int] = {}
        self._names: list[int] = []
        self._bins = BinHistory(days=days)
        self._statistics = DayTable(3, rows=days)
        self._weekly_spreads: Weekly[list[tuple[float, float]]] = Weekly()

    def judge(self, histogram: Mapping[int, int], windows: Windows) -> tuple[HistogramDay, Score | None]:
        """Return the day to be kept and its score; None where there is too little to compare."""
        counts = self._row(histogram)
        rows = counts.sum()
        if rows < LEAST_EVENTS or not len(windows.recent):
            return replace(self.empty_day(), counts=counts), None
        distance, elsewhere = self._distance(counts, windows)
        bins = self._bins.judge(counts, np.array([rows]), windows)
        (least, lowest), (most, highest) = self._extremes(bins.scores, windows)
        day = HistogramDay(
            counts=counts, residuals=bins.residuals, distance=distance, lowest=lowest, highest=highest
        )
        by_distance, by_lowest, by_highest = self._standardised(day, windows)
        if np.isnan([by_distance, by_lowest, by_highest]).all():
            return day, None
        worst = least if np.nan_to_num(by_lowest) > np.nan_to_num(by_highest) else most
        surplus = int(np.argmax(counts - rows * bins.expected))
        return day, Score(
            score=float(np.nanmax([by_distance, by_lowest, by_highest])),
            found=float(counts[worst] / rows),
            expected=float(bins.expected[worst]),
            affected=elsewhere,
            where=self._names[worst],
            surplus=self._names[surplus] if counts[surplus] >= 2 * rows * bins.expected[surplus] else None,
        )

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
        """Return the day's three statistics less their centre, divided by their width, in the last year."""
        spreads = self._weekly_spreads.get(
            windows.week,
            lambda: [
                upper_spread(past, least=LEAST_SCORES) for past in self._statistics.rows[windows.year].T
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


def _loss(k: Float64, mean: Float64, beyond_poisson: Float64) -> Float64:
    """Return the residual of a count whose variance is `mean` (1 + `beyond_poisson`) around its mean."""
    return count_residual(k, mean, beyond_poisson / np.maximum(mean, 1e-9))
