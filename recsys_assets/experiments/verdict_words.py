"""Verdicts in words: the outcome of an experiment after a day, for people who decide on it."""

from datetime import date
from math import ceil
from typing import Final

from recsys_assets.experiments.experiments_file import Experiment, Guard, Metric
from recsys_assets.experiments.results import Verdict
from recsys_assets.experiments.sequential_test import LEAST_USERS, Look, more_days

METRIC_WORDS: Final[dict[Metric, str]] = {
    "ctr": "clicked answers a shown one",
    "conversion": "users with a purchase a user",
    "value_per_answer": "value a shown answer",
}
_LONGEST_FORECAST: Final = 365


def verdict_words(
    one: Experiment, arm: str, look: Look, verdict: Verdict, *, decided_on: date | None, first: int
) -> str:
    """Return the verdict on an arm as a sentence or two.

    Args:
        one: the experiment.
        arm: name of the arm.
        look: the last look at it.
        verdict: the verdict.
        decided_on: day of the first look that decided; None where none did.
        first: first day of the experiment, days since 1970-01-01.
    """
    days, users = look.day - first + 1, look.users + look.control_users
    so_far = f"after {_counted(days, 'day')}, {_counted(users, 'user')}"
    if look.value is None or look.control_value is None:
        return f"{arm}: nothing was shown yet {so_far}."
    figures = f"{one.metric} {look.value:.4g} against {look.control_value:.4g}{_change(look)}"
    if verdict in {"better", "worse"}:
        return f"{arm} is {verdict} than {one.control.name}, decided on {decided_on}: {figures}, {so_far}."
    if verdict == "too few users":
        return (
            f"{arm}: too few users {so_far} ({figures}): an interval needs {LEAST_USERS} in each arm, and several"
            " that make the difference."
        )
    return f"{arm}: not decided {so_far}: {figures}; {_forecast(look, first)}."


def guard_words(one: Experiment, guard: Guard, look: Look, *, day: date) -> str:
    """Return why a guard rail ended an arm, with its figures."""
    loss = "" if not guard.worse_than else f" by more than {guard.worse_than:.0%}"
    return (
        f"on {day} its {guard.metric} was surely worse than that of {one.control.name}{loss}:"
        f" {look.value:.4g} against {look.control_value:.4g}, {look.users:,} and {look.control_users:,} users"
    )


def _change(look: Look) -> str:
    if look.low is None or look.high is None or not look.control_value:
        return ""
    change, low, high = (
        (value or 0.0) / abs(look.control_value) for value in (look.difference, look.low, look.high)
    )
    return f" ({change:+.1%}; surely {low:+.1%} to {high:+.1%})"


def _forecast(look: Look, first: int) -> str:
    more = more_days(look, first_day=first)
    if more is None:
        return "there is no difference so far"
    if more > _LONGEST_FORECAST:
        return "at this rate it takes more than a year"
    return f"at this rate about {_counted(max(1, ceil(more)), 'more day')}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
