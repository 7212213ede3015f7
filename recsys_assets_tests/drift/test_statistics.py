"""Residuals are about normal where their model holds, whatever the size; thresholds keep the budget."""

import numpy as np
import pytest

from recsys_assets.drift.statistics import (
    agreeing,
    count_residual,
    daily_rate,
    jensen_shannon,
    share_residual,
    spread,
    thresholds,
)


@pytest.mark.parametrize("mean", [3, 30, 3000])
def test_poisson_counts_have_normal_residuals(mean):
    counts = np.random.default_rng(0).poisson(mean, 20_000)
    residuals = count_residual(counts, float(mean), 0.0)
    assert np.quantile(np.abs(residuals), 0.95) < 2.05
    assert (np.abs(residuals) > 4).mean() < 1e-3


@pytest.mark.parametrize(("n", "share"), [(5, 0.3), (200, 0.02), (4000, 0.5)])
def test_binomial_shares_have_normal_residuals(n, share):
    k = np.random.default_rng(0).binomial(n, share, 20_000)
    residuals = share_residual(k, float(n), share)
    assert np.quantile(np.abs(residuals), 0.95) < 2.05
    assert (np.abs(residuals) > 4).mean() < 1e-3


def test_dispersion_makes_a_count_less_unusual():
    assert abs(count_residual(50, 100.0, 0.1)) < abs(count_residual(50, 100.0, 0.0))


def test_a_share_of_no_events_is_not_judged():
    assert np.isnan(share_residual(0, 0.0, 0.1))


def test_spread_of_normal_residuals_is_about_one():
    residuals = np.random.default_rng(0).normal(size=(365, 200))
    assert 1 <= np.median(spread(residuals)) < 1.25


def test_spread_separates_surges_from_losses():
    residuals = np.abs(np.random.default_rng(0).normal(size=(365, 1))) * 10
    below, above = spread(residuals)[:, 0]
    assert below == 1
    assert above > 9


def test_spread_ignores_unknown_residuals():
    residuals = np.random.default_rng(0).normal(size=(100, 1)) * 3
    padded = np.concatenate([residuals, np.full((50, 1), np.nan)])
    assert np.allclose(spread(residuals), spread(padded))


def test_the_smallest_of_agreeing_residuals_counts():
    nan = float("nan")
    assert np.array_equal(
        agreeing([3.0, -3.0, 3.0, nan, nan], [1.0, -5.0, -1.0, 2.0, nan], [9.0, -2.0, 9.0, nan, nan]),
        [1.0, -2.0, 0.0, 2.0, nan],
        equal_nan=True,
    )


def test_divergence_is_zero_for_equal_and_ln_2_for_disjoint_histograms():
    assert jensen_shannon(np.array([1.0, 3.0]), np.array([2.0, 6.0])) == pytest.approx(0)
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 9.0])) == pytest.approx(np.log(2))


def test_a_budget_is_kept_with_95_percent_confidence():
    rate = daily_rate(4.0) * 365
    within = sum(np.exp(-rate) * rate**k / np.prod(range(1, k + 1)) for k in range(5))
    assert within == pytest.approx(0.95, abs=1e-3)


def test_a_smaller_budget_needs_larger_scores():
    largest = np.abs(np.random.default_rng(0).normal(size=300)) + 1
    few, many = (
        thresholds(largest, checks=30, warn_rate=daily_rate(a), block_rate=daily_rate(0.5)) for a in (1, 12)
    )
    assert few.warn > many.warn
    assert few.block >= few.warn


def test_one_incident_does_not_raise_the_thresholds():
    largest = np.abs(np.random.default_rng(0).normal(size=300)) + 1
    rates = {"checks": 30, "warn_rate": daily_rate(4), "block_rate": daily_rate(0.5)}
    bad = np.append(largest, 1000.0)
    calm, once = thresholds(largest, **rates), thresholds(bad, **rates)
    assert once.warn < 1.1 * calm.warn
    assert once.block < 1.3 * calm.block


def test_a_tail_that_falls_faster_has_a_lower_threshold_for_warning_only():
    largest = np.abs(np.random.default_rng(3).normal(size=(365, 6))).max(axis=1)
    rates = {"checks": 6, "warn_rate": 1e-4, "block_rate": 1e-5}
    careful, light = thresholds(largest, **rates), thresholds(largest, power=1.5, **rates)
    assert largest.max() < light.warn < careful.warn
    assert light.block == careful.block
