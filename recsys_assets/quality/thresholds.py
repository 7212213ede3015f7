"""How large a day's largest score may be: from a budget of false alarms a year and what past days reached.

Many checks are made of a day; controlled is the largest of their scores, so that the budget holds for the day
and not for each check.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from recsys_assets.quality.statistics import Floats, normal_quantile

_TAIL: Final = 0.1
"""Share of past days whose largest scores say how the tail falls."""
_FAR: Final = 1 - 4 / 365
_PRIOR_TAIL: Final = 0.25
_MOST_TAIL: Final = 1 / 3
"""A Student t of 3 degrees: heavier tails than that are more likely incidents in a short history."""
_PRIOR_DAYS: Final = 10
"""The prior tail index weighs as much as so many days beyond the quantile."""
_CONFIDENCE: Final = 0.95
_DAYS: Final = 365


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Scores from which a day warns, and from which it may block."""

    warn: float
    """Least score that warns."""
    block: float
    """Least score that blocks, if enough rows are affected; > warn."""


def daily_rate(alarms_per_year: float) -> float:
    """False alarms a day for which a year keeps within the budget with 95 % confidence.

    A budget is a limit, not an aim: the number of alarms in a year is about Poisson, and its 95 % quantile
    should be `alarms_per_year` (rounded down: half an alarm means none).
    """
    limit = math.floor(alarms_per_year)
    low, high = 0.0, alarms_per_year + 1.0
    for _ in range(60):
        rate = (low + high) / 2
        within = sum(math.exp(-rate) * rate**k / math.factorial(k) for k in range(limit + 1))
        low, high = (rate, high) if within > _CONFIDENCE else (low, rate)
    return low / _DAYS


def thresholds(largest: Floats, *, checks: int, warn_rate: float, block_rate: float) -> Thresholds:
    """From the largest scores of past days (T,), without NaN.

    The score that a day exceeds with probability `rate` is at least the normal quantile at rate / checks
    (Bonferroni, two-sided), and at least what the past says. Over their 90 % quantile u the largest scores
    exceed it by β on average (peaks over threshold: Coles 2001, "An introduction to statistical modeling of
    extreme values", ch. 4). Warning takes the tail as exponential: u + β ln(0.1 / rate). Blocking, which is
    far out where no day of history was, takes it as Pareto with the same start: u (0.1 / rate)^(β/u)
    (Weissman 1978). β is drawn towards u/4 (a Student t of 4 degrees) as long as few days are known.
    """
    start = excess = 0.0
    if len(largest):
        start = float(np.quantile(largest, 1 - _TAIL))
        beyond = largest[largest > start]
        found = _mean_excess(largest, start)
        excess = (len(beyond) * found + _PRIOR_DAYS * _PRIOR_TAIL * start) / (len(beyond) + _PRIOR_DAYS)

    def bonferroni(rate: float) -> float:
        return normal_quantile(1 - rate / (2 * max(checks, 1)))

    warn = max(bonferroni(warn_rate), start + excess * math.log(max(_TAIL / warn_rate, 1.0)))
    index = min(excess / start, _MOST_TAIL) if start > 0 else 0.0
    block = max(bonferroni(block_rate), start * max(_TAIL / block_rate, 1.0) ** index)
    return Thresholds(warn=warn, block=max(block, warn))


def _mean_excess(largest: Floats, start: float) -> float:
    """Mean of an exponential tail above `start`, the 90 % quantile.

    By the median excess and by the 98.9 % quantile, the larger of both. Quantiles leave out what is beyond
    them (four days of a year, and always the largest), so that single incidents don't raise the thresholds.
    """
    beyond = largest[largest > start] - start
    if not len(beyond):
        return 0.0
    far = min(_FAR, 1 - 2 / len(largest))
    at_far = float(np.quantile(largest, far)) - start
    by_far = at_far / math.log(_TAIL / (1 - far)) if far > 1 - _TAIL / 2 else 0.0
    return max(float(np.median(beyond)) / math.log(2), by_far)
