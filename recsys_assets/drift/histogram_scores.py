"""Scores of a day's histograms against those of the days before: the whole, and bins that stand out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from recsys_assets.drift.scores import Score, ShareFamily
from recsys_assets.drift.statistics import Floats, agreeing, count_residual, jensen_shannon, upper_spread
from recsys_assets.drift.windows import LEAST_EVENTS, LEAST_SCORES, Table, Windows, usable

_RARE: Final = 0.2
"""Shares below it behave like counts."""


@dataclass(frozen=True, kw_only=True)
class ShapeTrace:
    """What keeping a judged histogram needs; NaN where nothing was judged."""

    counts: Floats
    """Events by bin."""
    residuals: Floats
    """Of each bin's share."""
    distance: float
    """To the windows."""
    lowest: float
    """Size of the score of the bin that has most too few events."""
    highest: float
    """Likewise too many."""


class BinFamily(ShareFamily):
    """The bins of one histogram: shares of one n, and more of them as they occur.

    What is rarer than expected is judged by a negative binomial count that varies as widely: shares of
    categories and hours vary by factors, and by a factor none comes to nothing.
    """

    def __init__(self, *, days: int) -> None:
        """Begin without bins, after `days` days without any event."""
        super().__init__(0)
        self._k, self._residuals = Table(0, rows=days), Table(0, rows=days)
        self._n, self._alarming = Table(1, rows=days, fill=0.0), Table(1, rows=days, fill=0.0)

    def widen(self, columns: int) -> None:
        """More bins, which no day had."""
        self._k.widen(columns, 0.0)
        self._residuals.widen(columns, np.nan)
        self._spread = (-1, self._spread[1])

    @property
    def counts(self) -> Floats:
        """Events by day and bin."""
        return self._k.rows

    @property
    def alarming(self) -> Floats:
        """1 for alarming days, shape (days, 1)."""
        return self._alarming.rows

    def _scores(self, k: Floats, n: Floats, residuals: Floats, *, expected: tuple[Floats, ...]) -> Floats:
        scores = super()._scores(k, n, residuals, expected=expected)
        beyond_poisson = np.maximum(self._spread[1][0] ** 2 - 1, 0)
        losses = agreeing(*(_loss(k, n * share, beyond_poisson) for share in expected))
        return np.where((scores < 0) & (expected[0] < _RARE), losses, scores)


class ShapeFamily:
    """One histogram by day."""

    def __init__(self, *, days: int = 0) -> None:
        """Begin after `days` days without any event."""
        self._columns: dict[int, int] = {}
        self._names: list[int] = []
        self._bins = BinFamily(days=days)
        self._scored = [Table(1, rows=days) for _ in range(3)]
        self._spread: tuple[int, list[tuple[float, float]]] = (-1, [])

    def judge(self, histogram: Mapping[int, int], windows: Windows) -> tuple[ShapeTrace, Score | None]:
        """What `append` wants back, and the score; None where there is too little to compare."""
        counts = self._row(histogram)
        rows = counts.sum()
        if rows < LEAST_EVENTS or not len(windows.recent):
            return replace(self.nothing(), counts=counts), None
        distance, elsewhere = self._distance(counts, windows)
        residuals, scores, expected = self._bins.judge(counts, np.array([rows]), windows)
        (least, lowest), (most, highest) = self._extremes(scores, windows)
        trace = ShapeTrace(
            counts=counts, residuals=residuals, distance=distance, lowest=lowest, highest=highest
        )
        if self._spread[0] != windows.week:
            past = [table.rows[windows.year, 0] for table in self._scored]
            self._spread = (windows.week, [upper_spread(column, least=LEAST_SCORES) for column in past])
        found = (distance, lowest, highest)
        scored = [
            (value - center) / width for value, (center, width) in zip(found, self._spread[1], strict=True)
        ]
        if all(np.isnan(scored)):
            return trace, None
        surplus = int(np.argmax(counts - rows * expected))
        worst = least if np.nan_to_num(scored[1]) > np.nan_to_num(scored[2]) else most
        return trace, Score(
            score=float(np.nanmax(scored)),
            found=float(counts[worst] / rows),
            expected=float(expected[worst]),
            affected=elsewhere,
            where=self._names[worst],
            surplus=self._names[surplus] if counts[surplus] >= 2 * rows * expected[surplus] else None,
        )

    def nothing(self) -> ShapeTrace:
        """The trace of a day that has no event."""
        bins = len(self._names)
        unknown = float("nan")
        return ShapeTrace(
            counts=np.zeros(bins),
            residuals=np.full(bins, unknown),
            distance=unknown,
            lowest=unknown,
            highest=unknown,
        )

    def append(self, trace: ShapeTrace, *, alarming: bool) -> None:
        """Keep a day."""
        counts, residuals = trace.counts, trace.residuals
        missing = len(self._names) - len(counts)  # bins that other looks at the day have brought since
        if missing or len(residuals) != len(counts):
            counts = np.concatenate([counts, np.zeros(missing)])
            unknown = np.full(len(counts) - len(residuals), np.nan)
            residuals = np.concatenate([residuals, unknown])
        self._bins.append(
            counts, np.array([counts.sum()]), residuals=residuals, alarming=np.array([alarming])
        )
        for table, value in zip(self._scored, (trace.distance, trace.lowest, trace.highest), strict=True):
            table.append(value)

    def forget(self, count: int) -> None:
        """Drop the oldest days."""
        self._bins.forget(count)
        for table in self._scored:
            table.forget(count)

    def _row(self, histogram: Mapping[int, int]) -> Floats:
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

    def _distance(self, counts: Floats, windows: Windows) -> tuple[float, float]:
        """The smaller of both windows' normalised Jensen-Shannon distances, and of the shares elsewhere."""
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

    def _extremes(self, scores: Floats, windows: Windows) -> tuple[tuple[int, float], tuple[int, float]]:
        """The bins with most too few and most too many events, and the size of their scores.

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


def _loss(k: Floats, mean: Floats, beyond_poisson: Floats) -> Floats:
    """Residual of a count whose variance is `mean` (1 + `beyond_poisson`) around its mean."""
    return count_residual(k, mean, beyond_poisson / np.maximum(mean, 1e-9))
