"""The test of an experiment that may be looked at every day: a sequence of intervals that all hold together.

The intervals are an asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024, "Time-uniform
central limit theory and asymptotic confidence sequences", Annals of Statistics 52, theorem 2.2; the normal mixture of
Robbins 1970): the probability that any of them, at whatever look, misses the true difference is at most alpha, where
many users take part. The user is the unit: a metric is a ratio of sums over users, and its variance comes from the
users' residuals (delta method: Deng, Knoblich & Lu 2018, "Applying the delta method in metric analytics"), so a user
who comes back every day, or sees both arms, is one observation and not thirty.

Users who come back make the looks depend on one another more than the paper's independent observations do, and by how
much is not known. So the time of the sequence is measured: between two looks it grows by the inverse square of the
correlation of the two differences over users. On that clock a Brownian motion has the same correlation from look to
look. Where looks further apart are at least as correlated as its own, which holds where users differ from one another
for good, it crosses the bound at least as often as the differences do (Slepian 1962). `recsys bench experiments`
simulates it. Several arms share alpha in equal parts (Bonferroni).
"""

from math import log, sqrt
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys_assets.experiments.experiments_file import Metric

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEAST_USERS: Final = 100
"""Users that each of two arms has at the first look: fewer are no case for a central limit theorem."""
LEAST_EFFECTIVE: Final = 8.0
"""Users that the variance of each arm comes from at any look: where a few spend most, a mean is not normal yet."""
_TIGHTEST_AT: Final = 3.0
"""Time, in that of the first look, at which the intervals are narrowest; fixed before any data are seen."""
_LEAST_CORRELATION: Final = 0.05
"""Two looks count as no less correlated: a smaller number is noise, and would end the sequence's time at once."""


class UserDays(NamedTuple):
    """The activity of users on days, one row for a user, an arm and a day. Shapes: n rows."""

    arms: Ints
    """Number of the arm, from 0 for the control, n."""
    users: Ints
    """Number of the user, from 0, the same in every arm, n."""
    days: Ints
    """Day of the answers, days since 1970-01-01, n."""
    shown: Floats
    """Answers shown, n."""
    clicks: Floats
    """Clicked answers, n."""
    conversions: Floats
    """Purchases attributed to them, n."""
    value: Floats
    """Amount attributed to them, n."""


class Look(NamedTuple):
    """The comparison of one arm with the control after one day, of all days until then."""

    day: int
    """Last day that counts, days since 1970-01-01."""
    users: int
    """Users of the arm so far."""
    control_users: int
    """Users of the control so far."""
    value: float | None
    """The arm's metric; None where nothing was shown."""
    control_value: float | None
    """The control's."""
    difference: float | None
    """Of the arm's metric and `keeps` times the control's; None until the first interval."""
    low: float | None
    """Lower end of the interval that holds at every look."""
    high: float | None
    """Upper end."""
    standard_error: float | None
    """Of the difference."""

    @property
    def excludes_zero(self) -> bool:
        """True where the difference is surely not 0."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def bound(time: float, alpha: float) -> float:
    """Return the half width of the interval at a time, in standard errors.

    sqrt(2 (t r + 1) / (t r) * log(sqrt(t r + 1) / alpha)), with r tuned so that it is least near `_TIGHTEST_AT`
    (Waudby-Smith et al. 2024, theorem 2.2, and their choice of rho).

    Args:
        time: of the sequence, in that of its first look, >= 1.
        alpha: probability of a miss at any look, 0-1, both excluded.
    """
    spread = (-2 * log(alpha) + log(-2 * log(alpha) + 1)) / _TIGHTEST_AT
    grown = time * spread + 1
    return sqrt(2 * grown / (grown - 1) * log(sqrt(grown) / alpha))


def compare(
    observed: UserDays, metric: Metric, *, arm: int, days: range, alpha: float, keeps: float = 1.0
) -> list[Look]:
    """Return the looks at one arm against the control, one a day.

    Args:
        observed: all rows of the experiment; rows of other arms and days do not count.
        metric: the metric.
        arm: number of the arm, 1 or more.
        days: days to look at, the experiment's first one first, days since 1970-01-01.
        alpha: probability that any of these intervals misses, with Bonferroni's share of an arm taken already.
        keeps: share of the control's metric that the arm is compared with; 0.9 for a guard rail of a loss of 10 %.
    """
    sums = _Sums(observed, metric, arm)
    before: Floats | None = None
    time, found = 1.0, []
    for day in days:
        sums.add(day)
        own, control = sums.users(1), sums.users(0)
        value, control_value = sums.ratio(1), sums.ratio(0)
        look = Look(day, own, control, value, control_value, None, None, None, None)
        scores_U = sums.scores(keeps)
        error = sqrt(float(scores_U @ scores_U))
        enough = min(own, control) >= LEAST_USERS and error > 0 and sums.effective_users() >= LEAST_EFFECTIVE
        if enough and value is not None and control_value is not None:
            if before is not None:
                together = float(before @ scores_U) / (error * sqrt(float(before @ before)))
                time /= min(1.0, max(_LEAST_CORRELATION, together)) ** 2
            before = scores_U
            difference, half = value - keeps * control_value, bound(time, alpha) * error
            look = look._replace(
                difference=difference,
                low=difference - half,
                high=difference + half,
                standard_error=error,
            )
        found.append(look)
    return found


class _Sums:
    """Sums over the days so far of two arms: numerator and denominator of the metric, a row an arm, a column a user."""

    def __init__(self, observed: UserDays, metric: Metric, arm: int) -> None:
        kept_n = (observed.arms == 0) | (observed.arms == arm)
        self._rows = UserDays(*(column[kept_n] for column in observed))
        self._metric = metric
        self._size = int(observed.users.max(initial=-1)) + 1
        self._top_AU = np.zeros((2, self._size))
        self._shown_AU = np.zeros((2, self._size))

    def add(self, day: int) -> None:
        rows = self._rows
        top = {"ctr": rows.clicks, "conversion": rows.conversions, "value_per_answer": rows.value}
        of_day = rows.days == day
        for number in range(2):
            kept_n = of_day & ((rows.arms > 0) == bool(number))
            users = rows.users[kept_n]
            self._top_AU[number] += np.bincount(users, top[self._metric][kept_n], self._size)
            self._shown_AU[number] += np.bincount(users, rows.shown[kept_n], self._size)

    def _of(self, number: int) -> tuple[Floats, Floats]:
        """Return numerator and denominator a user; a conversion is a user with a purchase among those shown a list."""
        top_U, shown_U = self._top_AU[number], self._shown_AU[number]
        if self._metric == "conversion":
            seen_U = (shown_U > 0).astype(np.float64)
            return np.minimum(top_U, 1.0) * seen_U, seen_U
        return top_U, shown_U

    def users(self, number: int) -> int:
        return int(np.count_nonzero(self._shown_AU[number]))

    def ratio(self, number: int) -> float | None:
        top_U, below_U = self._of(number)
        total = float(below_U.sum())
        return float(top_U.sum()) / total if total else None

    def effective_users(self) -> float:
        """Return the users that an arm's variance comes from, of the arm with fewer: (sum s^2)^2 / sum s^4."""
        found = []
        for number in range(2):
            squares_U = self._residuals(number) ** 2
            found.append(
                float(squares_U.sum()) ** 2 / float(squares_U @ squares_U) if squares_U.any() else 0.0
            )
        return min(found)

    def _residuals(self, number: int) -> Floats:
        """Return each user's part in the error of an arm's metric; the sum of their squares is its variance."""
        ratio, users = self.ratio(number), self.users(number)
        if ratio is None or users < 2:  # noqa: PLR2004  a variance needs two
            return np.zeros(self._size)
        top_U, below_U = self._of(number)
        return sqrt(users / (users - 1)) / float(below_U.sum()) * (top_U - ratio * below_U)

    def scores(self, keeps: float) -> Floats:
        """Return each user's part in the error of the difference; the sum of their squares is its variance."""
        return self._residuals(1) - keeps * self._residuals(0)


def first_decided(looks: list[Look]) -> Look | None:
    """Return the first look whose interval excludes 0: later ones change nothing about it; None for none."""
    return next((look for look in looks if look.excludes_zero), None)


def more_days(look: Look, *, first_day: int) -> float | None:
    """Estimate the days until a difference like the present one is decided, at the present rate; None where unknown.

    The half width shrinks with the square root of the days.
    """
    if look.difference is None or look.high is None or not look.difference:
        return None
    half, days = look.high - look.difference, look.day - first_day + 1
    return max(0.0, days * ((half / look.difference) ** 2 - 1))
