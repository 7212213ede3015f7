"""Intervals of ratios: they cover the truth as often as they say, since users are the unit."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.experiments.ratio_intervals import ratio_intervals

RUNS, RATE = 1_000, 0.12


def of_users(rng, users):
    """Return runs of users who each have a rate of their own and see one to ten answers: (run, unit, x, y)."""
    runs = np.repeat(np.arange(RUNS), users)
    answers = rng.integers(1, 11, runs.size)
    rates = rng.beta(RATE * 4, (1 - RATE) * 4, runs.size)
    return pl.DataFrame(
        {
            "run": runs,
            "unit": np.tile(np.arange(users), RUNS).astype(str),
            "x": answers.astype(float),
            "y": rng.binomial(answers, rates).astype(float),
        }
    )


@pytest.mark.parametrize(("users", "least"), [(20, 0.92), (60, 0.93), (400, 0.94)])
def test_a_share_is_covered_in_about_95_percent_of_days(users, least):
    found = ratio_intervals(of_users(np.random.default_rng(users), users), by=["run"], share=True)
    covered = ((found["low"] <= RATE) & (found["high"] >= RATE)).mean()
    assert least <= covered <= 0.985


def test_an_interval_that_took_answers_for_the_unit_would_be_too_narrow():
    found = ratio_intervals(of_users(np.random.default_rng(5), 400), by=["run"], share=True)
    answers = found["shown"].mean()
    of_answers = 2 * 1.96 * (RATE * (1 - RATE) / answers) ** 0.5
    assert (found["high"] - found["low"]).mean() > 1.3 * of_answers


def test_an_amount_an_answer_is_covered_in_about_95_percent_of_days():
    rng = np.random.default_rng(8)
    rows = of_users(rng, 200)
    rows = rows.with_columns((pl.col("y") * rng.gamma(2.0, 5.0, rows.height)).alias("y"))
    found = ratio_intervals(rows, by=["run"], share=False)
    assert 0.92 <= ((found["low"] <= RATE * 10) & (found["high"] >= RATE * 10)).mean() <= 0.975


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 3)), min_size=1, max_size=30))
def test_a_share_lies_within_its_interval_and_that_within_0_and_1(given_rows):
    rows = pl.DataFrame(
        {
            "day": [1] * len(given_rows),
            "unit": [unit for unit, _ in given_rows],
            "x": [1.0] * len(given_rows),
            "y": [float(clicks > 1) for _, clicks in given_rows],
        }
    )
    (row,) = ratio_intervals(rows, by=["day"], share=True).to_dicts()
    assert row["value"] == pytest.approx(rows["y"].mean())
    assert (row["users"], row["shown"]) == (rows["unit"].n_unique(), rows.height)
    if row["users"] == 1:
        assert row["low"] is row["high"] is None
    else:
        assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1
        assert row["low"] < row["high"]


def test_of_a_rate_that_nobody_has_the_bound_is_three_divided_by_the_users():
    rows = pl.DataFrame({"day": 1, "unit": [str(n) for n in range(60)], "x": 1.0, "y": 0.0})
    (row,) = ratio_intervals(rows, by=["day"], share=True).to_dicts()
    assert (row["low"], row["value"], row["high"]) == (0.0, 0.0, pytest.approx(0.05))
    (row,) = ratio_intervals(rows, by=["day"], share=False).to_dicts()
    assert row["low"] is row["high"] is None


def test_two_users_who_are_alike_leave_the_spread_of_their_answers():
    rows = pl.DataFrame({"day": 1, "unit": ["a", "b"], "x": [2.0, 2.0], "y": [1.0, 1.0]})
    (row,) = ratio_intervals(rows, by=["day"], share=True).to_dicts()
    assert 0 < row["low"] < 0.3
    assert 0.7 < row["high"] < 1
