"""Residuals that are about standard normal for counts, shares and means, whatever the size of the day.

One vectorised definition each, and the thresholds on scores that keep a budget of false alarms. The choice of
the history that a day is compared with is made in `windows` and `scores`.
"""

import math
from dataclasses import dataclass
from functools import reduce
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from recsys_assets.storage.arrays import Float64

_SCALE_LEVELS: Final = (0.5, 0.75, 0.9, 0.989)
"""Levels at which past |residuals| are matched with the normal distribution; the highest leaves out the 2 % worst
days (holidays, incidents), so that they do not hide the next one."""

_TAIL: Final = 0.1
"""Share of past days whose largest scores say how the tail falls."""
_FAR: Final = 1 - 4 / 365
"""A second quantile in the tail: all but four days of a year."""
_PRIOR_TAIL: Final = 0.25
"""Tail index expected before any day is known: a Student t of 4 degrees."""
_MOST_TAIL: Final = 1 / 3
"""A Student t of 3 degrees: heavier tails than that are more likely incidents in a short history."""
_PRIOR_DAYS: Final = 10
"""The prior tail index has the weight of this number of days beyond the quantile."""
_CONFIDENCE: Final = 0.95
_DAYS: Final = 365

_NORMAL: Final = NormalDist()


def normal_quantile(probability: float) -> float:
    """Return the standard normal's quantile, 0 < probability < 1."""
    return _NORMAL.inv_cdf(probability)


def count_residual(k: Any, mean: Any, relative_variance: Any) -> Float64:
    """Return the signed deviance residual of a negative binomial count, with continuity correction.

    The variance is mean + relative_variance * mean²: sampling noise, and what days differ by; 0 is Poisson.
    Close to normal down to means near 1 (Pierce & Schafer 1986, "Residuals in generalized linear models"; the
    negative binomial deviance: McCullagh & Nelder 1989, "Generalized linear models", p. 373). Broadcasts.
    """
    mean = np.maximum(mean, 1e-9)
    nearer = _continuity(k, mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(nearer > 0, nearer * np.log(nearer / mean), 0.0)
        size = 1 / np.maximum(relative_variance, 1e-12)
        # (k + r) ln((k + r) / (μ + r)) tends to k - μ for large r; log1p keeps its digits
        rest = (nearer + size) * np.log1p((nearer - mean) / (mean + size))
    residual: Float64 = np.sign(nearer - mean) * np.sqrt(2 * np.maximum(own - rest, 0))
    return residual


def share_residual(k: Any, n: Any, share: Any) -> Float64:
    """Return the signed deviance residual of a binomial count k of n, with continuity correction; NaN where n is 0.

    `share` (0-1, exclusive) is the expected one. Broadcasts. (McCullagh & Nelder 1989, table 2.1.)
    """
    mean = n * share
    nearer = _continuity(k, mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        hits = np.where(nearer > 0, nearer * np.log(nearer / mean), 0.0)
        misses = np.where(n - nearer > 0, (n - nearer) * np.log((n - nearer) / (n - mean)), 0.0)
        residual = np.sign(nearer - mean) * np.sqrt(2 * np.maximum(hits + misses, 0))
    return np.where(np.asarray(n) > 0, residual, np.nan)


def spread(residuals: Float64, *, least: Float64 | float = 1.0) -> Float64:
    """Return the factor by which past residuals are wider than standard normal, below and above 0; at least 1.

    Shape: (T, m) -> (2, m). The largest ratio of a quantile of the residuals to the normal's, over several
    levels: the median alone (the MAD) would miss heavy tails, and one number for both sides would let rare
    surges hide losses. 1 is the floor that sampling noise sets. The factor on a sampling standard error is
    the idea of Laney's p'-chart (2002, "Improved control charts for attributes"). NaN is left out.
    """
    found = np.ones((2, *residuals.shape[1:]))
    if len(residuals):
        upper = [(1 + level) / 2 for level in _SCALE_LEVELS]
        quantiles = _quantiles(residuals, [*(1 - level for level in upper), *upper])
        normal = np.array([normal_quantile(level) for level in upper])[:, None]
        found[0] = np.fmax(least, (-quantiles[: len(upper)] / normal).max(axis=0))
        found[1] = np.fmax(least, (quantiles[len(upper) :] / normal).max(axis=0))
    return found


def by_side(residuals: Float64, spreads: Float64) -> Float64:
    """Return residuals (m,) divided by the spread (2, m) of their side."""
    scores: Float64 = residuals / np.where(residuals < 0, spreads[0], spreads[1])
    return scores


def upper_spread(scores: Float64, *, least: int, narrowest: float = 1.0) -> tuple[float, float]:
    """Return centre (at least 0) and upper width (at least `narrowest`) of past scores, shape (T,), as in `spread`.

    The width is NaN where fewer than `least` are known. NaN is left out.
    """
    known = scores[~np.isnan(scores)]
    if len(known) < least:
        return 0.0, float("nan")
    center, *upper = np.quantile(known, _SCALE_LEVELS)
    widths = [
        (q - center) / normal_quantile(level) for q, level in zip(upper, _SCALE_LEVELS[1:], strict=True)
    ]
    return max(float(center), 0.0), max(narrowest, *widths)


def agreeing(*residuals: Any) -> Float64:
    """Return the smallest of the residuals where their signs agree, else 0: unusual only if unusual in every way.

    NaN (no such history) is left out. Broadcasts.
    """
    found: Float64 = reduce(_agreeing, residuals)
    return found


def _agreeing(first: Any, second: Any) -> Float64:
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    both = np.where(
        np.sign(first) == np.sign(second), np.sign(first) * np.minimum(np.abs(first), np.abs(second)), 0.0
    )
    return np.where(np.isnan(first), second, np.where(np.isnan(second), first, both))


def jensen_shannon(counts: Float64, reference: Float64) -> float:
    """Return the Jensen-Shannon divergence of two histograms over the same bins, nats, 0 to ln 2 (Lin 1991)."""
    p, q = counts / counts.sum(), reference / reference.sum()
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(p > 0, p * np.log(p / middle), 0.0).sum()
        right = np.where(q > 0, q * np.log(q / middle), 0.0).sum()
    return float(max(left + right, 0.0) / 2)


def _quantiles(values: Float64, levels: list[float]) -> Float64:
    """Return linearly interpolated quantiles of each column without its NaN, (levels, m); NaN for an empty column.

    The same as `np.nanquantile`, which takes the columns one by one and is slow.
    """
    ascending = np.sort(values, axis=0)  # NaN comes last
    last = (~np.isnan(values)).sum(axis=0) - 1
    places = np.array(levels)[:, None] * np.maximum(last, 0)
    below = np.floor(places).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(last, 0))
    low = np.take_along_axis(ascending, below, axis=0)
    found: Float64 = low + (places - below) * (np.take_along_axis(ascending, above, axis=0) - low)
    return found


def _continuity(k: Any, mean: Any) -> Float64:
    """Move `k` by up to a half towards the mean, since k stands for the interval of whole numbers k ± 0.5."""
    k = np.asarray(k, dtype=float)
    moved: Float64 = np.where(k > mean, np.maximum(k - 0.5, mean), np.minimum(k + 0.5, mean))
    return moved


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The scores from which a day warns, and from which it may block."""

    warn: float
    """Least score that warns."""
    block: float
    """Least score that blocks, if enough rows are affected; > warn."""


def daily_rate(alarms_per_year: float) -> float:
    """Return the rate of false alarms a day that keeps a year within its budget with 95 % confidence.

    A budget is a limit, not an aim: the number of alarms in a year is about Poisson, and its 95 % quantile
    should be `alarms_per_year` (rounded down: half an alarm means none).
    """
    limit = math.floor(alarms_per_year)
    low, high = 0.0, alarms_per_year + 1.0
    for _ in range(60):
        rate = (low + high) / 2
        within = term = math.exp(-rate)
        for k in range(1, limit + 1):  # step by step: the power and the factorial alone may be infinite
            term *= rate / k
            within += term
        low, high = (rate, high) if within > _CONFIDENCE else (low, rate)
    return low / _DAYS


def thresholds(
    largest: Float64, *, checks: int, warn_rate: float, block_rate: float, power: float = 1.0
) -> Thresholds:
    """Set the thresholds from the largest scores of past days, shape (T,), without NaN.

    The score that a day exceeds with probability `rate` is at least the normal quantile at rate / checks
    (Bonferroni, two-sided), and at least what the past says. Over their 90 % quantile u the largest scores
    exceed it by β on average (peaks over threshold: Coles 2001, "An introduction to statistical modeling of
    extreme values", ch. 4). Warning takes the tail of scores to the `power` as exponential: u + β ln(0.1 / rate),
    where a power of 1 is careful, and 2 right for normal scores. Blocking, which is far out where no day of
    history was, takes it as Pareto with the same start: u (0.1 / rate)^(β/u) (Weissman 1978). β is drawn towards
    u/4 (a Student t of 4 degrees) as long as few days are known.
    """
    start, excess = _tail(largest)
    powered, powered_excess = (start, excess) if power == 1 else _tail(largest**power)

    def bonferroni(rate: float) -> float:
        return normal_quantile(1 - rate / (2 * max(checks, 1)))

    reached = powered + powered_excess * math.log(max(_TAIL / warn_rate, 1.0))
    warn = max(bonferroni(warn_rate), reached ** (1 / power))
    index = min(excess / start, _MOST_TAIL) if start > 0 else 0.0
    block = max(bonferroni(block_rate), start * max(_TAIL / block_rate, 1.0) ** index)
    return Thresholds(warn=warn, block=max(block, warn))


def _tail(largest: Float64) -> tuple[float, float]:
    """Return the 90 % quantile and the mean excess over it; zeros without days."""
    if not len(largest):
        return 0.0, 0.0
    start = float(np.quantile(largest, 1 - _TAIL))
    beyond = int((largest > start).sum())
    found = _mean_excess(largest, start)
    return start, (beyond * found + _PRIOR_DAYS * _PRIOR_TAIL * start) / (beyond + _PRIOR_DAYS)


def _mean_excess(largest: Float64, start: float) -> float:
    """Return the mean of an exponential tail above `start`, the 90 % quantile.

    The larger of two estimates, by the median excess and by the 98.9 % quantile. Quantiles ignore the values
    beyond them (four days of a year, and always the largest), so that single incidents don't raise the thresholds.
    """
    beyond = largest[largest > start] - start
    if not len(beyond):
        return 0.0
    far = min(_FAR, 1 - 2 / len(largest))
    at_far = float(np.quantile(largest, far)) - start
    by_far = at_far / math.log(_TAIL / (1 - far)) if far > 1 - _TAIL / 2 else 0.0
    return max(float(np.median(beyond)) / math.log(2), by_far)
