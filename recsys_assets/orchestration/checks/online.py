"""Checks on online metrics: what was not reported as it should be, and a rate that is not as usual."""

from collections.abc import Mapping, Sequence
from datetime import date
from statistics import median
from typing import Any, Final

import dagster as dg

from recsys_assets.experiments.daily_metrics import CTR
from recsys_assets.experiments.measure_online import MeasuredOnline
from recsys_assets.experiments.online_results import OnlineMetric, OnlineResults, select

_MOST_UNKNOWN: Final = 0.01
_MOST_UNSHOWN: Final = 0.05
_LEAST_REPORTED: Final = 0.5
"""Share of the usual share of answers that are reported as shown, below which a day warns."""
_USUAL_DAYS: Final = 28
_LEAST_DAYS: Final = 7
"""Days before that a day is compared with, at least."""
_DEVIATIONS: Final = 3 * 1.4826
"""Median absolute deviations of a band that 99.7 % of usual days are in."""
_SPECS: Final = {
    "is_every_answer_ours": "Is the list and arm of every shown answer known? Without them nothing is learnt of rules "
    "and arms. If not: the impressions come from another home's server, or `[retention] answer_days` is too short.",
    "was_what_they_clicked_shown": "Was what they clicked reported as shown? Clicks on lists whose impressions are "
    "lost make every rate too small. If not: look at the client that posts impressions; it must post all it shows.",
    "are_lists_reported_shown": "Are as many answers reported as shown as usual? A page that stopped reporting looks "
    "like a day without visitors. If not: compare `recsys lineage RELEASE` with the client's own count.",
    "is_the_ctr_as_usual": "Is the share of answers that were clicked as in the weeks before? A sudden change is more "
    "often a broken page, a bot or a bad release than a better list. If not: compare the releases and lists of the day "
    "by `recsys online DAY --by release`.",
}
ONLINE_CHECKS: Final = [
    dg.AssetCheckSpec(name=name, asset="online_metrics", description=text) for name, text in _SPECS.items()
]


def answers_on(found: MeasuredOnline, *, given: Mapping[date, int]) -> list[dg.AssetCheckResult]:
    """Return the answers.

    Args:
        found: the outcome of a run.
        given: day -> the answers that the servers counted on it.
    """
    named = found.named_unshown / max(found.named, 1)
    unknown = found.unknown_series / max(found.impressions, 1)
    reported = _reported(found.results, given)
    usual = _usual(found.results)
    return [
        _answer(
            0, passed=unknown <= _MOST_UNKNOWN, unknown=found.unknown_series, impressions=found.impressions
        ),
        _answer(1, passed=named <= _MOST_UNSHOWN, not_shown=found.named_unshown, named=found.named),
        _answer(2, **reported),
        _answer(3, **usual),
    ]


def answers_without() -> list[dg.AssetCheckResult]:
    """Return the answers of a home without impressions: nothing is wrong with nothing."""
    return [_answer(place, passed=True) for place in range(len(_SPECS))]


def _answer(place: int, *, passed: bool, **metadata: Any) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=list(_SPECS)[place],
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=metadata,
    )


def _ctr(results: OnlineResults) -> list[OnlineMetric]:
    """Return the rate of all answers by day, oldest first."""
    return [one for one in select(results.days, group_kind="all") if one.metric == CTR]


def _reported(results: OnlineResults, given: Mapping[date, int]) -> dict[str, Any]:
    """Return whether the newest day's share of answers reported as shown is near that of the days before."""
    shares = [one.shown / given[one.day] for one in _ctr(results) if given.get(one.day)]
    *before, newest = shares[-_USUAL_DAYS - 1 :] or [1.0]
    if len(before) < _LEAST_DAYS:
        return {"passed": True, "compared": f"{len(before)} days before, of {_LEAST_DAYS} needed"}
    usual = median(before)
    return {"passed": newest >= _LEAST_REPORTED * usual, "share": newest, "usual_share": usual}


def _usual(results: OnlineResults) -> dict[str, Any]:
    """Return whether the newest day's interval meets the band of the days before."""
    rates = _ctr(results)[-_USUAL_DAYS - 1 :]
    *before, newest = rates
    if len(before) < _LEAST_DAYS or newest.low is None or newest.high is None:
        return {"passed": True, "compared": f"{len(before)} days before, of {_LEAST_DAYS} needed"}
    low, high = _band([one.value for one in before])
    return {
        "passed": newest.high >= low and newest.low <= high,
        "ctr": newest.value,
        "low": newest.low,
        "high": newest.high,
        "usual_low": low,
        "usual_high": high,
    }


def _band(values: Sequence[float]) -> tuple[float, float]:
    middle = median(values)
    width = _DEVIATIONS * median(abs(one - middle) for one in values)
    return middle - width, middle + width
