"""The benchmark of the rules, on the default's first weeks."""

import pytest

from recsys_assets.benchmarks.bench_rules import STRENGTHS, run


@pytest.mark.slow
def test_it_compares_the_home_scenario_with_the_plain_list(tmp_path):
    found = run(days=28, home=tmp_path)
    assert found["diversity_gain"] > 0
    assert found["overhead_ms"] > 0
    assert [point["strength"] for point in found["curve"]] == list(STRENGTHS)
    curve = [point["diversity"] for point in found["curve"]]
    assert curve == sorted(curve)
