"""The sequential test: its estimates and intervals against slow ones, and what its clock and its start are."""

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_assets.experiments.judgement import arrays_of
from recsys_assets.experiments.sequential_test import (
    LEAST_USERS,
    Look,
    UserDays,
    bound,
    compare,
    first_decided,
    more_days,
)
from recsys_assets_tests.experiments.simulated_users import user_days
from recsys_assets_tests.experiments.writing import one_experiment

FIRST = (date(2026, 11, 1) - date(1970, 1, 1)).days


def observed(tmp_path: Path, frame: pl.DataFrame) -> UserDays:
    return arrays_of(frame, one_experiment(tmp_path))


def looks(
    tmp_path: Path, frame: pl.DataFrame, metric: str = "ctr", days: int = 10, **options: float
) -> list[Look]:
    found = observed(tmp_path, frame)
    return compare(found, metric, arm=1, days=range(FIRST, FIRST + days), alpha=0.05, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", ["ctr", "conversion", "value_per_answer"])
def test_the_metric_is_a_ratio_of_sums_over_users(tmp_path: Path, metric: str) -> None:
    frame = user_days(seed=1)
    last = looks(tmp_path, frame, metric)[-1]
    own = frame.filter(pl.col("arm") == "popular").group_by("user_id").agg(pl.exclude("arm", "day").sum())
    expected = {
        "ctr": own["clicks"].sum() / own["shown"].sum(),
        "conversion": (own["conversions"] > 0).mean(),
        "value_per_answer": own["value"].sum() / own["shown"].sum(),
    }[metric]
    assert last.value == pytest.approx(expected)
    assert last.users == own.height


def test_the_error_is_that_of_resampled_users(tmp_path: Path) -> None:
    frame = user_days(seed=2, users=2000)
    last = looks(tmp_path, frame)[-1]
    totals = frame.group_by("arm", "user_id").agg(pl.col("shown", "clicks").sum())
    rng, drawn = np.random.default_rng(0), []
    arms = [totals.filter(pl.col("arm") == arm) for arm in ("popular", "now")]
    for _ in range(800):
        picked = [arm[rng.integers(0, arm.height, arm.height)] for arm in arms]
        own, control = (one["clicks"].sum() / one["shown"].sum() for one in picked)
        drawn.append(own - control)
    assert last.standard_error == pytest.approx(np.std(drawn), rel=0.1)


def test_a_days_look_does_not_know_the_days_after(tmp_path: Path) -> None:
    frame = user_days(seed=3)
    early = frame.filter(pl.col("day") < date(2026, 11, 6))
    for alone, among in zip(looks(tmp_path, early, days=5), looks(tmp_path, frame)[:5], strict=True):
        assert alone == pytest.approx(among, nan_ok=True)


def test_there_is_no_interval_with_few_users(tmp_path: Path) -> None:
    for look in looks(tmp_path, user_days(seed=4, users=LEAST_USERS)):
        assert min(look.users, look.control_users) < LEAST_USERS
        assert look.low is None


def test_there_is_no_interval_where_a_few_users_spend_nearly_all(tmp_path: Path) -> None:
    rich = pl.col("user_id").is_in(["u1", "u2", "u3"])
    frame = user_days(seed=5).with_columns(value=pl.when(rich).then(1e6).otherwise(pl.col("value")))
    assert looks(tmp_path, frame, "value_per_answer")[-1].low is None
    assert looks(tmp_path, frame, "ctr")[-1].low is not None


def test_an_interval_is_wider_than_one_that_may_be_looked_at_once(tmp_path: Path) -> None:
    for look in looks(tmp_path, user_days(seed=6)):
        if look.high is not None:
            assert look.high - look.difference > 1.96 * look.standard_error  # type: ignore[operator]


def test_the_bound_grows_so_slowly_that_a_hundredfold_time_costs_little() -> None:
    assert 3.0 < min(bound(time, 0.05) for time in range(1, 100)) < bound(1.0, 0.05) < 3.2
    assert bound(100.0, 0.05) < 3.5


def test_users_who_only_repeat_themselves_do_not_narrow_the_interval(tmp_path: Path) -> None:
    day = user_days(seed=7, days=1, users=2000)
    again = pl.concat([day.with_columns(day=pl.lit(date(2026, 11, 1 + number))) for number in range(10)])
    found = looks(tmp_path, again)
    assert found[-1].low == pytest.approx(found[0].low)
    assert found[-1].high == pytest.approx(found[0].high)


def test_a_planted_difference_is_found_and_stays_found(tmp_path: Path) -> None:
    found = first_decided(looks(tmp_path, user_days(seed=8, users=2000, lift=0.5)))
    assert found is not None
    assert found.difference is not None
    assert found.difference > 0


def test_a_user_in_both_arms_is_compared_with_the_user(tmp_path: Path) -> None:
    frame = user_days(seed=9, users=2000)
    more = pl.col("clicks") + (pl.col("user_id").hash(seed=1) % 3 == 0).cast(pl.Int64)
    second = frame.with_columns(arm=pl.lit("popular"), clicks=more)
    both = pl.concat([frame.with_columns(arm=pl.lit("now")), second])
    strangers = pl.concat([both.filter(pl.col("arm") == "now"), second.with_columns(pl.col("user_id") + "x")])
    within, between = looks(tmp_path, both)[-1], looks(tmp_path, strangers)[-1]
    assert within.difference == pytest.approx(between.difference)
    assert within.standard_error is not None
    assert between.standard_error is not None
    assert within.standard_error < 0.7 * between.standard_error


def test_a_guard_rail_compares_with_a_share_of_the_control(tmp_path: Path) -> None:
    frame = user_days(seed=10, users=2000)
    plain, kept = looks(tmp_path, frame)[-1], looks(tmp_path, frame, keeps=0.9)[-1]
    assert plain.difference is not None
    assert plain.control_value is not None
    assert kept.difference == pytest.approx(plain.difference + 0.1 * plain.control_value)


def test_the_forecast_is_nothing_once_it_is_decided_and_more_before(tmp_path: Path) -> None:
    found = looks(tmp_path, user_days(seed=11, users=2000, lift=0.5))
    assert more_days(found[-1], first_day=FIRST) == 0.0
    unsure = found[-1]._replace(difference=0.01, low=-0.01, high=0.03)
    assert more_days(unsure, first_day=FIRST) == pytest.approx(10 * 3)
