"""Drift: is a day unusual for this source? Its profile is scored against the profiles before it.

What is compared and how far is unusual stands in `quality.families` and `quality.shapes`; the score from
which a day warns or blocks comes from the budget of false alarms in `quality.thresholds`. Nothing here knows
what may be wrong with a day.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recsys_assets.drift.day_profile import CATEGORIES, COUNTS, HISTOGRAMS, MEANS, SHARES, Profile
from recsys_assets.drift.histogram_scores import ShapeFamily, ShapeTrace
from recsys_assets.drift.scores import CountFamily, MeanFamily, Score, ShareFamily
from recsys_assets.drift.statistics import Floats, Thresholds, daily_rate, thresholds
from recsys_assets.drift.windows import Days, Table
from recsys_assets.quality.expectations import Verdict
from recsys_assets.settings import QualitySettings

PREFIX: Final = "drift_"
SCORED: Final = (
    *COUNTS,
    *SHARES,
    *(f"mean_{name}" for name in MEANS),
    *(f"{name}_shape" for name in HISTOGRAMS),
    *(f"{name}_mix" for name in CATEGORIES),
)
"""What is scored of a day."""
DRIFT_CHECKS: Final = tuple(f"{PREFIX}{name}" for name in SCORED)
"""Names of the drift checks of a day, whatever the source; those that do not apply are ok."""

_TOPS: Final = frozenset({"top_user_rows", "top_item_rows"})
_LEAST_CHANGE: Final = 10
"""A count that is off by fewer is not reported: a sparse source has such days all the time."""
_VOLUME: Final = frozenset({*COUNTS, "hour_shape"})
"""What is not judged on a day on which shops are closed."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A judged day: its results, and what remembering it needs."""

    scores: dict[str, Score]
    """Check (without prefix) -> score; checks that do not apply are left out."""
    thresholds: Thresholds | None
    """None while there is too little history."""
    profile: Profile
    """The day's profile."""
    residuals: dict[str, Floats]
    """By family."""
    histograms: dict[str, ShapeTrace] = field(default_factory=dict)
    """By histogram."""

    def largest(self) -> float:
        """The largest score; NaN without any."""
        return max((abs(score.score) for score in self.scores.values()), default=float("nan"))

    def alarming(self, name: str) -> bool:
        """Whether the check warns."""
        score = self.scores.get(name)
        return score is not None and self.thresholds is not None and abs(score.score) >= self.thresholds.warn


class Drift:
    """The trailing history of one table, and the judgement of the day that comes next."""

    def __init__(self, settings: QualitySettings) -> None:
        """Begin without history."""
        self._settings = settings
        self._warn_rate = daily_rate(settings.alarms_per_year)
        self._block_rate = daily_rate(settings.blocks_per_year)
        self._closed = frozenset(settings.closed_days)
        self._days = Days()
        self._counts, self._shares, self._means = (
            CountFamily(len(COUNTS)),
            ShareFamily(len(SHARES)),
            MeanFamily(len(MEANS)),
        )
        self._histograms: dict[str, ShapeFamily] = {}
        self._largest = Table(1)
        self._thresholds: tuple[int, Thresholds | None] = (-1, None)

    def judge(self, profile: Profile, *, day: date) -> Judgement:
        """Score `day`, later than all remembered ones, against them; remembers nothing."""
        windows = self._days.windows(day)
        counts, (k, n), (mean, deviation, events) = _counts(profile), _shares(profile), _means(profile)
        count_residuals, count_scores, typical = self._counts.judge(counts, windows)
        share_residuals, share_scores, shares = self._shares.judge(k, n, windows)
        mean_residuals, mean_scores, means = self._means.judge(mean, deviation, events, windows)
        scores = {
            **_count_scores(count_scores, counts, typical),
            **_named(SHARES, share_scores, k / np.maximum(n, 1), shares, present=n > 0),
            **_named([f"mean_{name}" for name in MEANS], mean_scores, mean, means, present=events > 0),
        }
        traces: dict[str, ShapeTrace] = {}
        for name in (*HISTOGRAMS, *CATEGORIES):
            histogram = profile.histograms.get(name, {})
            if histogram and name not in self._histograms:
                self._histograms[name] = ShapeFamily(days=len(self._days))
            if name not in self._histograms:
                continue  # what a source never has costs nothing
            traces[name], score = self._histograms[name].judge(histogram, windows)
            if score is not None:
                scores[_shape_name(name)] = score
        left_out = _VOLUME if self._is_closed(day) else frozenset()
        scores = {name: s for name, s in scores.items() if np.isfinite(s.score) and name not in left_out}
        if self._thresholds[0] != windows.week:
            self._thresholds = (windows.week, self._new_thresholds(windows.year))
        return Judgement(
            scores=scores,
            thresholds=self._thresholds[1],
            profile=profile,
            residuals={"counts": count_residuals, "shares": share_residuals, "means": mean_residuals},
            histograms=traces,
        )

    def remember(self, judgement: Judgement, *, day: date) -> None:
        """Add a published day, judged before, to the history."""
        profile, residuals = judgement.profile, judgement.residuals
        k, n = _shares(profile)
        mean, deviation, events = _means(profile)
        closed = self._is_closed(day)
        nothing = np.full_like(residuals["counts"], np.nan)
        self._counts.append(_counts(profile), nothing if closed else residuals["counts"])
        self._shares.append(k, n, residuals=residuals["shares"], alarming=_alarming(judgement, SHARES))
        alarming = _alarming(judgement, [f"mean_{name}" for name in MEANS])
        self._means.append(mean, deviation, events, residuals=residuals["means"], alarming=alarming)
        for name, family in self._histograms.items():
            trace = judgement.histograms.get(name) or family.nothing()
            family.append(trace, alarming=judgement.alarming(_shape_name(name)))
        self._days.append(day)
        self._largest.append(judgement.largest())
        surplus = self._days.surplus()
        if surplus:
            for part in (self._days, self._counts, self._shares, self._means, self._largest):
                part.forget(surplus)
            for family in self._histograms.values():
                family.forget(surplus)

    def verdict(self, name: str, judgement: Judgement) -> Verdict:
        """What follows from the check `name` (without prefix)."""
        if not judgement.alarming(name) or judgement.thresholds is None:
            return "ok"
        score = judgement.scores[name]
        return (
            "block"
            if abs(score.score) >= judgement.thresholds.block and self._is_material(score, judgement)
            else "warn"
        )

    def _is_material(self, score: Score, judgement: Judgement) -> bool:
        rows = judgement.scores.get("rows")
        events = max(judgement.profile.rows, rows.expected if rows is not None else 0)
        return (
            score.affected >= self._settings.material_share
            and score.affected * events >= self._settings.material_rows
        )

    def _is_closed(self, day: date) -> bool:
        """Named in the settings, or a feast: a year ago the date, or the weekday of that week, was closed."""
        if f"{day:%m-%d}" in self._closed or day.isoformat() in self._closed:
            return True
        a_year_ago = {day - timedelta(days=days) for days in (364, 365, 366)}
        alike = (
            then
            for then in a_year_ago
            if then.weekday() == day.weekday() or (then.month, then.day) == (day.month, day.day)
        )
        return any(self._counts.was_closed(place) for place in self._days.places(alike))

    def _new_thresholds(self, year: Any) -> Thresholds | None:
        largest = self._largest.rows[year, 0]
        largest = largest[~np.isnan(largest)]
        if len(self._days) < self._settings.least_history_days or not len(largest):
            return None
        return thresholds(largest, checks=len(SCORED), warn_rate=self._warn_rate, block_rate=self._block_rate)


def _count_scores(scores: Floats, found: Floats, expected: Floats) -> dict[str, Score]:
    """Of the counts that changed by enough to matter; what changed is measured against all events."""
    rows = max(found[0], expected[0])
    judged = {}
    for place, name in enumerate(COUNTS):
        change = abs(found[place] - expected[place])
        of = rows if name in _TOPS else max(found[place], expected[place])
        if change >= _LEAST_CHANGE:
            judged[name] = Score(
                score=float(scores[place]),
                found=float(found[place]),
                expected=float(expected[place]),
                affected=float(change / of),
            )
    return judged


def _named(
    names: Sequence[str], scores: Floats, found: Floats, expected: Floats, *, present: npt.NDArray[np.bool_]
) -> dict[str, Score]:
    """Shares concern the part of the day by which they changed; of means that is not known."""
    return {
        name: Score(
            score=float(scores[place]),
            found=float(found[place]),
            expected=float(expected[place]),
            affected=float(abs(found[place] - expected[place])) if name in SHARES else 0.0,
        )
        for place, name in enumerate(names)
        if present[place]
    }


def _shape_name(histogram: str) -> str:
    return f"{histogram}_mix" if histogram in CATEGORIES else f"{histogram}_shape"


def _counts(profile: Profile) -> Floats:
    return np.array([profile.counts[name] for name in COUNTS], dtype=float)


def _shares(profile: Profile) -> tuple[Floats, Floats]:
    pairs = np.array([profile.shares.get(name, (0, 0)) for name in SHARES], dtype=float)
    return pairs[:, 0], pairs[:, 1]


def _means(profile: Profile) -> tuple[Floats, Floats, Floats]:
    found = np.array([profile.means[name] for name in MEANS], dtype=float)
    return found[:, 0], found[:, 1], found[:, 2]


def _alarming(judgement: Judgement, names: Any) -> Any:
    return np.array([judgement.alarming(name) for name in names])


def tell(name: str, judgement: Judgement, *, bin_name: str = "") -> str:
    """One sentence on the check `name` (without prefix): what was found, what was expected."""
    score = judgement.scores[name]
    what = name.replace("_", " ")
    if name in COUNTS:
        return f"{what}: {score.found:,.0f}, about {score.expected:,.0f} expected"
    if name in SHARES:
        return f"{what}: {score.found:.2%}, about {score.expected:.2%} expected"
    if name.startswith("mean_"):
        return f"{what.replace('mean log', 'typical')}: {_typical(name, score)}"
    typical = f"mean_log_{name.removesuffix('_shape')}"
    mostly = (
        f" (typically {_typical(typical, judgement.scores[typical])})" if judgement.alarming(typical) else ""
    )
    return (
        f"{what}: {score.affected:.0%} of the rows lie elsewhere than usual{mostly}; "
        f"{bin_name} has {score.found:.2%} instead of {score.expected:.2%}"
    )


def _typical(name: str, score: Score) -> str:
    """The mean found and expected; of logarithms the geometric mean, in the unit of the column."""
    found, expected = (np.exp(value) if "_log_" in name else value for value in (score.found, score.expected))
    return f"{found:.3g}, about {expected:.3g} expected"
