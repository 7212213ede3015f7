"""The scores of a day's profile against the profiles before it, and the verdicts that follow from them.

`scores` and `histogram_scores` compare the statistics, `statistics` sets the thresholds by the budget of false
alarms. Nothing here knows the faults that a day may have: unusual for this source is all that counts.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Final

import numpy as np

from recsys_assets.drift.closed_days import ClosedDays
from recsys_assets.drift.day_profile import CATEGORIES, COUNTS, HISTOGRAMS, MEANS, SHARES, Profile
from recsys_assets.drift.histogram_scores import HistogramDay, HistogramHistory
from recsys_assets.drift.scores import CountHistory, MeanHistory, Score, Scored, ScoredCounts, ShareHistory
from recsys_assets.drift.statistics import Thresholds, daily_rate, thresholds
from recsys_assets.drift.windows import Days, DayTable, Weekly, Windows
from recsys_assets.quality.expectations import Verdict
from recsys_assets.settings import QualitySettings
from recsys_assets.storage.arrays import Bools, Float64

PREFIX: Final = "drift_"
_MEAN_NAMES: Final = tuple(f"mean_{name}" for name in MEANS)
SCORED: Final = (
    *COUNTS,
    *SHARES,
    *_MEAN_NAMES,
    "missing_hours",
    *(f"{name}_shape" for name in HISTOGRAMS),
    *(f"{name}_mix" for name in CATEGORIES),
)
"""Names of a day's scores."""
DRIFT_CHECKS: Final = tuple(f"{PREFIX}{name}" for name in SCORED)
"""Names of the drift checks of a day, whatever the source; those that do not apply are ok."""

_FIRST_LIMIT: Final = 4.0
"""Size of a residual that is news as long as there are no thresholds."""
_LEAST_CHANGE: Final = 10
"""A smaller change of a count is not reported: a sparse source has such days all the time."""
_HOURS: Final = frozenset({"hour_shape", "missing_hours"})
"""Scores that are left out beside a closed day, too: its evening, or its morning, is in another UTC day."""
_VOLUME: Final = frozenset({*COUNTS, *_HOURS})
"""Scores that are left out on a day on which shops are closed."""
OF_WHOLE_DAYS: Final = frozenset(f"{PREFIX}{name}" for name in _VOLUME)
"""Checks that say nothing of a day that is not over: amounts, and hours."""
_NARROW: Final = frozenset({"top_user_visits", "repeat_visits", "regular_users"})
"""Shares that vary less than independent events do: most users come once a day."""
_LIGHT: Final = frozenset(
    {*_NARROW, "top_items_rows", "visits_with_duplicates", "bestseller_rows", "missing_hours"}
)
"""Scores that are never far out on an ordinary day. They have a threshold of their own, since counts and mixes, which
now and then are, would set it too high."""
_OF_ONE_USER: Final = ("top_user_rows", "top_user_visits")
_REPEATED: Final = ("duplicate_rows", "visits_with_duplicates")
_UNCLEAN: Final = ("untrimmed_user_ids", "untrimmed_item_ids", "numbers_not_finite")
_SURPLUS: Final = frozenset({*_OF_ONE_USER, *_REPEATED, *_UNCLEAN})
"""Shares of which only too much is a fault."""
_LIGHT_BUDGET: Final = 0.2
"""Their false alarms, on top of the budget, as a part of it."""
_LIGHT_POWER: Final = 1.5
"""Their tail falls faster than an exponential one."""


@dataclass(frozen=True, kw_only=True)
class DayScores:
    """A day's scores, and all that its history keeps of it."""

    scores: dict[str, Score]
    """Name -> score; those that do not apply are left out."""
    thresholds: Mapping[str, Thresholds]
    """Name -> thresholds; empty while there is too little history."""
    profile: Profile
    """The day's profile."""
    residuals: dict[str, Float64]
    """`counts`, `shares`, `means` -> residuals; `levels` -> counts by those of the weekday before."""
    usual_shares: Float64
    """The share of the last 28 days for each of SHARES; NaN for one that was 0 on all kept days."""
    histograms: dict[str, HistogramDay] = field(default_factory=dict)
    """Histogram -> the day's part of its history."""

    def largest(self) -> tuple[float, float]:
        """Return the size of the largest score of the others and of the light ones; NaN without any."""
        sizes: tuple[list[float], list[float]] = ([], [])
        for name, score in self.scores.items():
            sizes[name in _LIGHT].append(abs(score.score))
        others, light = (max(group, default=float("nan")) for group in sizes)
        return others, light

    def usual_share(self, name: str) -> float | None:
        """Return the usual value of the share `name`, if the day's is no news against the days before; else None.

        Before the spread of the residuals is known, a residual counts as it is. What never occurred is news.
        """
        place = SHARES.index(name)
        score, usual = self.scores.get(name), float(self.usual_shares[place])
        size = abs(float(self.residuals["shares"][place]) if score is None else score.score)
        limits = self.thresholds.get(name)
        limit = _FIRST_LIMIT if limits is None else limits.warn
        return usual if size < limit and not math.isnan(usual) else None

    @cached_property
    def alarming(self) -> frozenset[str]:
        """Names of the scores that are large enough to warn."""
        limits = self.thresholds
        return frozenset(n for n, s in self.scores.items() if n in limits and abs(s.score) >= limits[n].warn)


class ProfileHistory:
    """The trailing profiles of one table, which the day that comes next is scored against."""

    def __init__(self, settings: QualitySettings) -> None:
        """Begin without history."""
        self._settings = settings
        self._warn_rate = daily_rate(settings.alarms_per_year)
        self._block_rate = daily_rate(settings.blocks_per_year)
        self._closed = ClosedDays(settings.closed_days, were_empty=self._were_closed)
        self._days = Days()
        self._counts = CountHistory(len(COUNTS))
        self._shares = ShareHistory(len(SHARES), narrow=np.array([name in _NARROW for name in SHARES]))
        self._means = MeanHistory(len(MEANS))
        self._histograms: dict[str, HistogramHistory] = {}
        self._largest = DayTable(2)
        self._weekly_thresholds: Weekly[dict[str, Thresholds]] = Weekly()

    def score(self, profile: Profile, *, day: date) -> DayScores:
        """Score `day`, later than all days of the history, without adding it."""
        windows = self._days.windows(day)
        found, (k, n), (mean, deviation, events) = _counts(profile), _shares(profile), _means(profile)
        counts = self._counts.judge(found, windows)
        shares = self._shares.judge(k, n, windows)
        means = self._means.judge(mean, deviation, events, windows)
        histograms, histogram_scores = self._score_histograms(profile, windows)
        scores = {
            **_count_scores(counts, found),
            **_named_scores(SHARES, shares, k / np.maximum(n, 1), present=n > 0),
            **_named_scores(_MEAN_NAMES, means, mean, present=events > 0),
            **histogram_scores,
        }
        left_out = self._left_out(day)
        return DayScores(
            scores={name: s for name, s in scores.items() if np.isfinite(s.score) and name not in left_out},
            thresholds=self._weekly_thresholds.get(windows.week, lambda: self._thresholds(windows.year)),
            profile=profile,
            residuals={
                "counts": counts.residuals,
                "levels": counts.levels,
                "shares": shares.residuals,
                "means": means.residuals,
            },
            usual_shares=np.where(self._shares.ever(), shares.expected, np.nan),
            histograms=histograms,
        )

    def add(self, scored: DayScores, *, day: date) -> None:
        """Add a published day, scored before."""
        profile, residuals = scored.profile, scored.residuals
        k, n = _shares(profile)
        mean, deviation, events = _means(profile)
        unknown = np.full_like(residuals["counts"], np.nan)
        self._counts.append(
            _counts(profile),
            levels=residuals["levels"],
            residuals=unknown if self._closed.on(day) else residuals["counts"],
        )
        self._shares.append(k, n, residuals=residuals["shares"], alarming=_alarming(scored, SHARES))
        alarming = _alarming(scored, _MEAN_NAMES)
        self._means.append(mean, deviation, events, residuals=residuals["means"], alarming=alarming)
        for name, history in self._histograms.items():
            histogram = scored.histograms.get(name) or history.empty_day()
            history.append(histogram, alarming=_shape_name(name) in scored.alarming)
        self._days.append(day)
        self._largest.append(scored.largest())
        surplus = self._days.surplus()
        if surplus:
            for part in (self._days, self._counts, self._shares, self._means, self._largest):
                part.drop_oldest(surplus)
            for history in self._histograms.values():
                history.drop_oldest(surplus)

    def verdict(self, name: str, scored: DayScores) -> Verdict:
        """Return the verdict that follows from the score `name`."""
        if name not in scored.alarming:
            return "ok"
        score = scored.scores[name]
        blocks = abs(score.score) >= scored.thresholds[name].block and self._is_material(score, scored)
        return "block" if blocks else "warn"

    def _score_histograms(
        self, profile: Profile, windows: Windows
    ) -> tuple[dict[str, HistogramDay], dict[str, Score]]:
        histograms: dict[str, HistogramDay] = {}
        scores: dict[str, Score] = {}
        for name in (*HISTOGRAMS, *CATEGORIES):
            histogram = profile.histograms.get(name, {})
            if histogram and name not in self._histograms:
                self._histograms[name] = HistogramHistory(days=len(self._days), ordered=name == "hour")
            if name not in self._histograms:
                continue  # a histogram that a source never has costs nothing
            histograms[name], shape, gap = self._histograms[name].judge(histogram, windows)
            if shape is not None:
                scores[_shape_name(name)] = shape
            if gap is not None:
                scores["missing_hours"] = gap
        return histograms, scores

    def _is_material(self, score: Score, scored: DayScores) -> bool:
        rows = scored.scores.get("rows")
        events = max(scored.profile.rows, rows.expected if rows is not None else 0)
        return (
            score.affected >= self._settings.material_share
            and score.affected * events >= self._settings.material_rows
        )

    def _left_out(self, day: date) -> frozenset[str]:
        """Return the scores that say nothing on `day`, because shops are closed on it or beside it."""
        if self._closed.on(day):
            return _VOLUME
        return _HOURS if self._closed.beside(day) else frozenset()

    def _were_closed(self, days: Iterable[date]) -> bool:
        return any(self._counts.was_closed(place) for place in self._days.places(days))

    def _thresholds(self, year: slice) -> dict[str, Thresholds]:
        found: dict[str, Thresholds] = {}
        if len(self._days) < self._settings.least_history_days:
            return found
        others = [name for name in SCORED if name not in _LIGHT]
        for names, part, power, largest in zip(
            (others, sorted(_LIGHT)),
            (1.0, _LIGHT_BUDGET),
            (1.0, _LIGHT_POWER),
            self._largest.rows[year].T,
            strict=True,
        ):
            known = largest[~np.isnan(largest)]
            if len(known):
                rates = {"warn_rate": part * self._warn_rate, "block_rate": part * self._block_rate}
                limits = thresholds(known, checks=len(names), power=power, **rates)
                found |= dict.fromkeys(names, limits)
        return found


def _count_scores(scored: ScoredCounts, found: Float64) -> dict[str, Score]:
    """Name the scores of the counts that changed by enough to matter."""
    expected = scored.expected
    judged = {}
    for place, name in enumerate(COUNTS):
        change = abs(found[place] - expected[place])
        if change >= _LEAST_CHANGE:
            judged[name] = Score(
                score=float(scored.scores[place]),
                found=float(found[place]),
                expected=float(expected[place]),
                affected=float(change / max(found[place], expected[place])),
            )
    return judged


def _named_scores(
    names: Sequence[str], scored: Scored, found: Float64, *, present: Bools
) -> dict[str, Score]:
    """Name the scores of shares, which affect the part of the day by which they changed, or of means."""
    known = np.flatnonzero(present & np.isfinite(scored.scores)).tolist()
    scores, values, usual = scored.scores.tolist(), found.tolist(), scored.expected.tolist()
    return {
        names[n]: Score(
            score=max(scores[n], 0.0) if names[n] in _SURPLUS else scores[n],
            found=values[n],
            expected=usual[n],
            affected=abs(values[n] - usual[n]) if names is SHARES else 0.0,
        )
        for n in known
    }


def _shape_name(histogram: str) -> str:
    return f"{histogram}_mix" if histogram in CATEGORIES else f"{histogram}_shape"


def _counts(profile: Profile) -> Float64:
    return np.array([profile.counts[name] for name in COUNTS], dtype=float)


def _shares(profile: Profile) -> tuple[Float64, Float64]:
    pairs = np.array([profile.shares.get(name, (0, 0)) for name in SHARES], dtype=float)
    return pairs[:, 0], pairs[:, 1]


def _means(profile: Profile) -> tuple[Float64, Float64, Float64]:
    found = np.array([profile.means[name] for name in MEANS], dtype=float)
    return found[:, 0], found[:, 1], found[:, 2]


def _alarming(scored: DayScores, names: Sequence[str]) -> Bools:
    return np.array([name in scored.alarming for name in names])
