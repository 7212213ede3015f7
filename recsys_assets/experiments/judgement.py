"""The daily judgement of experiments: a look at each arm, its verdict in words, and the guard rails.

It reads the activity of users as `user_days` gives it, stores looks (`results`) and ends (`standing`), and keeps a
notice for each arm that a guard rail ended.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from recsys_assets.experiments.experiments_file import Experiment, Guard, Metric
from recsys_assets.experiments.results import (
    ArmLook,
    DayLook,
    ExperimentResult,
    Verdict,
    add_look,
    read_result,
)
from recsys_assets.experiments.sequential_test import Look, UserDays, compare, first_decided
from recsys_assets.experiments.standing import RecordedEnd, Standing, record_end, standing_of
from recsys_assets.experiments.verdict_words import guard_words, verdict_words
from recsys_assets.notices.delivery import send_notice
from recsys_assets.notices.outbox import Notice
from recsys_assets.notify_settings import NotifySettings
from recsys_assets.storage.home import Home

DaysOf = Callable[[Experiment, date], pl.DataFrame]
"""Returns the activity of users through a day: `arm, user_id, day, shown, clicks, conversions, value`."""
_EPOCH: Final = date(1970, 1, 1)


class Judged(NamedTuple):
    """The judgement of one experiment."""

    result: ExperimentResult
    """All looks, the newest last."""
    ended: list[RecordedEnd]
    """Arms that guard rails ended now."""


def judge(
    home: Home,
    now: datetime,
    *,
    days_of: DaysOf,
    settings: NotifySettings | None = None,
    late_days: float = 7.0,
) -> list[Judged]:
    """Look at every experiment that began and was not stopped, through the last finished day.

    One that is over is looked at until late events cannot change its last day any more.

    Args:
        home: the home; the caller holds its build lock.
        now: the time, UTC.
        days_of: see `DaysOf`.
        settings: where notices go; nowhere where None.
        late_days: days after which nothing counts for an answer any more.

    Raises:
        ExperimentsError: the experiments, or earlier results, cannot be read.
    """
    found = []
    for standing in standing_of(home):
        one, yesterday = standing.experiment, now.astimezone(UTC).date() - timedelta(days=1)
        through = min(one.end, yesterday)
        if standing.stopped is not None or through < one.start:
            continue
        if yesterday > one.end + timedelta(days=late_days) and _looked_at(home, one.name, one.end):
            continue
        observed = arrays_of(days_of(one, through), one)
        look = look_at(standing, observed, through, before=read_result(home, one.name))
        result = add_look(home, one, look, now=now)
        ended = list(_ended(standing, observed, through, now=now))
        for end in ended:
            if settings is not None:
                send_notice(home, settings, _notice(end, one))
            record_end(home, end)
        found.append(Judged(result, ended))
    return found


def _looked_at(home: Home, name: str, day: date) -> bool:
    result = read_result(home, name)
    return result is not None and any(look.day == day for look in result.days)


def arrays_of(frame: pl.DataFrame, experiment: Experiment) -> UserDays:
    """Return a frame of `DaysOf` as arrays, without rows of arms that the experiment has not, or of no user."""
    numbers = {arm.name: number for number, arm in enumerate(experiment.arms)}
    kept = frame.filter(pl.col("arm").is_in(list(numbers)) & pl.col("user_id").is_not_null())
    users = kept["user_id"].rank("dense").cast(pl.Int64) - 1

    def floats(name: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        return kept[name].cast(pl.Float64).fill_null(0.0).to_numpy()

    return UserDays(
        arms=np.array([numbers[arm] for arm in kept["arm"].to_list()], dtype=np.int64),
        users=users.to_numpy(),
        days=kept["day"].cast(pl.Date).to_physical().cast(pl.Int64).to_numpy(),
        shown=floats("shown"),
        clicks=floats("clicks"),
        conversions=floats("conversions"),
        value=floats("value"),
    )


def look_at(
    standing: Standing, observed: UserDays, through: date, *, before: ExperimentResult | None = None
) -> DayLook:
    """Return the look at an experiment after one day.

    Args:
        standing: the experiment and its ends.
        observed: the activity of its users through that day.
        through: the day.
        before: earlier looks; a decision in them stays.
    """
    one = standing.experiment
    shown = [int(observed.shown[observed.arms == number].sum()) for number in range(len(one.arms))]
    rows, words = list[ArmLook](), list[str]()
    for number, arm in enumerate(one.arms[1:], start=1):
        looks = looks_of(one, observed, number, one.metric, through)
        last = looks[-1]
        if not rows:
            control = one.control.name
            rows.append(
                ArmLook(arm=control, users=last.control_users, shown=shown[0], value=last.control_value)
            )
        decided = _decided_before(before, arm.name) or _decided(looks)
        verdict = decided[0] if decided else "not decided" if last.difference is not None else "too few users"
        rows.append(
            ArmLook(
                arm=arm.name,
                users=last.users,
                shown=shown[number],
                value=last.value,
                difference=last.difference,
                low=last.low,
                high=last.high,
                verdict=verdict,
            )
        )
        words.append(
            verdict_words(
                one,
                arm.name,
                last,
                verdict,
                decided_on=decided[1] if decided else None,
                first=_number(one.start),
            )
        )
        if arm.name in standing.ended:
            words[-1] += f" Ended by a guard rail: {standing.ended[arm.name].why}."
    return DayLook(day=through, arms=rows, words=words)


def looks_of(
    one: Experiment,
    observed: UserDays,
    arm: int,
    metric: Metric,
    through: date,
    *,
    keeps: float = 1.0,
) -> list[Look]:
    """Return the looks at one arm from the first day on; alpha is shared among the arms."""
    days = range(_number(one.start), _number(through) + 1)
    return compare(observed, metric, arm=arm, days=days, alpha=one.alpha / (len(one.arms) - 1), keeps=keeps)


def _decided(looks: Sequence[Look]) -> tuple[Verdict, date] | None:
    found = first_decided(list(looks))
    if found is None or found.difference is None:
        return None
    return "better" if found.difference > 0 else "worse", _EPOCH + timedelta(days=found.day)


def _decided_before(before: ExperimentResult | None, arm: str) -> tuple[Verdict, date] | None:
    for look in before.days if before else ():
        for row in look.arms:
            if row.arm == arm and row.verdict in {"better", "worse"}:
                return row.verdict, look.day
    return None


def _ended(standing: Standing, observed: UserDays, through: date, *, now: datetime) -> Iterator[RecordedEnd]:
    one = standing.experiment
    for number, arm in enumerate(one.arms):
        if number == 0 or arm.name in standing.ended:
            continue
        for guard in one.guards:
            looks = looks_of(one, observed, number, guard.metric, through, keeps=1.0 - guard.worse_than)
            broken = next((look for look in looks if look.high is not None and look.high < 0), None)
            if broken is not None:
                yield _end(one, arm.name, guard, broken, now=now)
                break


def _end(one: Experiment, arm: str, guard: Guard, look: Look, *, now: datetime) -> RecordedEnd:
    figures = {
        "value": look.value,
        "control_value": look.control_value,
        "users": look.users,
        "control_users": look.control_users,
        "high": look.high,
        "worse_than": guard.worse_than,
    }
    return RecordedEnd(
        at=now,
        experiment=one.name,
        arm=arm,
        why=guard_words(one, guard, look, day=_EPOCH + timedelta(days=look.day)),
        figures={name: float(value) for name, value in figures.items() if value is not None},
    )


def _notice(end: RecordedEnd, one: Experiment) -> Notice:
    return Notice(
        id=f"experiment-{end.experiment}-{end.arm}",
        at=end.at,
        kind="ended_arm",
        subject=f"Experiment {end.experiment}: arm {end.arm} was ended by a guard rail",
        text=(
            f"Arm {end.arm} of experiment {end.experiment} was ended: {end.why}.\nIts users get what arm"
            f" {one.control.name} gets. See: recsys experiments show {end.experiment}"
        ),
        details={"experiment": end.experiment, "arm": end.arm, **end.figures},
    )


def _number(day: date) -> int:
    return (day - _EPOCH).days
