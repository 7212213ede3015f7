"""`recsys bench experiments`: how often the test of experiments is wrong, and how soon it sees a difference.

Made users come back on many days, differ from one another for good, and spend very different amounts; the product's own
test looks at them every day.
"""

from typing import Any, Final, get_args

import numpy as np

from recsys_assets.benchmarks.harness import machine
from recsys_assets.experiments.experiments_file import Metric
from recsys_assets.experiments.sequential_test import Floats, UserDays, compare, first_decided

_METRICS: Final[tuple[Metric, ...]] = get_args(Metric)
_DAYS: Final = 30
_FIXED: Final = 1.959964
"""Standard errors of an interval of 95 % that may be looked at once."""
_LIFTS: Final = (0.1, 0.2, 0.3, 0.5)


def run(*, runs: int = 1_000, users: int = 800, power_runs: int = 100) -> dict[str, Any]:
    """Simulate experiments of 30 daily looks without a difference, and with planted ones.

    Args:
        runs: experiments without a difference, at a share of 0.5 and at one of 0.1.
        users: users of each; three times as many with a planted difference, and at a share of 0.1.
        power_runs: experiments a planted difference.

    Returns:
        `false_positives`: share of the experiments without a difference that found one at any look, by metric and
        share of users; `peeking`: the same where each look uses an interval of 95 % that may be looked at once;
        `power`: share of the experiments with a lift of clicks that found it within the 30 days, and
        `median_days` until then.
    """
    false_positives: dict[str, float] = {}
    peeking: dict[str, float] = {}
    for share, count in ((0.5, users), (0.1, 3 * users)):
        found = dict.fromkeys(_METRICS, 0)
        peeked = dict.fromkeys(_METRICS, 0)
        for seed in range(runs):
            observed = simulated(seed, users=count, share=share)
            for metric in _METRICS:
                looks = compare(observed, metric, arm=1, days=range(_DAYS), alpha=0.05)
                found[metric] += first_decided(looks) is not None
                peeked[metric] += any(
                    look.difference is not None
                    and look.standard_error is not None
                    and abs(look.difference) > _FIXED * look.standard_error
                    for look in looks
                )
        false_positives |= {f"{metric}, share {share}": found[metric] / runs for metric in _METRICS}
        peeking |= {f"{metric}, share {share}": peeked[metric] / runs for metric in _METRICS}
    return {
        "false_positives": false_positives,
        "most_false_positives": max(false_positives.values()),
        "peeking": peeking,
        **_power(power_runs, users=3 * users),
        "runs": runs,
        "looks": _DAYS,
        "machine": machine("numpy"),
    }


def _power(runs: int, *, users: int) -> dict[str, Any]:
    power: dict[str, float] = {}
    median_days: dict[str, float | None] = {}
    for lift in _LIFTS:
        days = []
        for seed in range(runs):
            observed = simulated(10_000 + seed, users=users, share=0.5, lift=lift)
            decided = first_decided(compare(observed, "ctr", arm=1, days=range(_DAYS), alpha=0.05))
            if decided is not None and decided.difference is not None and decided.difference > 0:
                days.append(decided.day + 1)
        power[f"{lift:+.0%}"] = len(days) / runs
        median_days[f"{lift:+.0%}"] = float(np.median(days)) if days else None
    return {"power": power, "median_days": median_days, "power_users": users}


def simulated(seed: int, *, users: int, share: float, lift: float = 0.0, days: int = _DAYS) -> UserDays:
    """Return the activity of made users in two arms.

    A user arrives on some day, comes back with a probability of the user's own, sees one or more answers a day, clicks
    with a probability of the user's own, and buys after some clicks; amounts are log-normal with a heavy tail.

    Args:
        seed: of all draws.
        users: their number.
        share: share of the users in the second arm, 0-1.
        lift: relative difference of the probability of a click in the second arm.
        days: number of days, from 0.
    """
    rng = np.random.default_rng(seed)
    arms = (rng.random(users) < share).astype(np.int64)
    arrival = rng.integers(0, days, (2, users)).min(axis=0)
    returns, wish = rng.beta(1, 3, users), rng.beta(1, 9, users)
    wish = np.minimum(1.0, wish * (1 + lift * arms))
    ids, on_days, counts = [], [], list[tuple[Floats, ...]]()
    for day in range(days):
        there = np.flatnonzero((arrival == day) | ((arrival < day) & (rng.random(users) < returns)))
        shown = 1 + rng.poisson(1.5, len(there))
        clicks = rng.binomial(shown, wish[there])
        conversions = rng.binomial(clicks, 0.15)
        value = conversions * rng.lognormal(2.0, 1.2, len(there))
        ids.append(there)
        on_days.append(np.full(len(there), day, dtype=np.int64))
        counts.append(tuple(one.astype(np.float64) for one in (shown, clicks, conversions, value)))
    everybody = np.concatenate(ids).astype(np.int64)
    return UserDays(
        arms[everybody],
        everybody,
        np.concatenate(on_days),
        *(np.concatenate(columns) for columns in zip(*counts, strict=True)),
    )
