"""The simulation of experiments, in small; `recsys bench experiments` has the figures of 1,000 runs."""

import pytest

from recsys_assets.benchmarks.bench_experiments import run, simulated


def test_a_planted_difference_is_found_more_often_than_none() -> None:
    found = run(runs=12, users=400, power_runs=4)
    assert found["most_false_positives"] < found["power"]["+50%"]


@pytest.mark.slow
def test_at_most_one_in_twenty_experiments_without_a_difference_finds_one() -> None:
    assert run(runs=1_000, power_runs=1)["most_false_positives"] <= 0.05


def test_a_seed_gives_the_same_users_again() -> None:
    drawn = [simulated(3, users=50, share=0.5) for _ in range(2)]
    assert all((one == other).all() for one, other in zip(*drawn, strict=True))
