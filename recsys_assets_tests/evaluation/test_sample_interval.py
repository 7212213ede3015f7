"""The interval of a difference covers chance, and how much further it may grow with the users."""

import numpy as np
import pytest

from recsys_assets.evaluation.evaluated_users import paired_difference
from recsys_assets.evaluation.sample_interval import interval_on_all

DRAWN = np.random.default_rng(0).normal(0.01, 0.05, 800)


def width(sample, halves, *, share=0.5):
    _, low, high = interval_on_all(sample, halves, share=share, seed=0)
    return high - low


def test_a_difference_that_halves_show_too_has_the_interval_of_the_bootstrap():
    found = paired_difference(np.zeros(800), DRAWN, seed=3)

    assert interval_on_all(DRAWN, DRAWN, share=0.5, seed=3) == pytest.approx(found)


def test_a_difference_that_changed_from_halves_to_the_sample_may_change_on():
    assert width(DRAWN, DRAWN - 0.02) > 2 * 0.02
    assert width(DRAWN, DRAWN - 0.02) == pytest.approx(width(DRAWN, DRAWN + 0.02))


def test_a_smaller_sample_leaves_more_doublings_to_change_in():
    chance, half, quarter = (
        width(DRAWN, DRAWN - change, share=share) for change, share in ((0, 0.5), (0.02, 0.5), (0.02, 0.25))
    )

    assert quarter**2 - chance**2 == pytest.approx(4 * (half**2 - chance**2), rel=0.1)


def test_two_fits_that_differ_by_chance_widen_the_interval():
    noise = np.random.default_rng(1).normal(0, 0.05, 800)

    assert width(DRAWN, DRAWN + noise) > 1.2 * width(DRAWN, DRAWN)


def test_no_difference_at_all_has_no_width():
    assert interval_on_all(np.zeros(50), np.zeros(50), share=0.1, seed=0) == (0, 0, 0)


def test_intervals_cover_the_truth_of_known_learning_curves():
    """Differences of 60 seeds: users differ, each fit adds noise, and each doubling adds half of the one before."""
    within = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        users = rng.normal(-0.01, 0.05, 200)
        fits = rng.normal(0, 0.03, (3, 200))
        full, sample, halves = users + fits[0], users + 0.002 + fits[1], users + 0.006 + fits[2]
        _, low, high = interval_on_all(sample[:100], halves[:100], share=0.5, seed=seed)
        within += low <= full.mean() <= high
    assert within >= 0.93 * 60
