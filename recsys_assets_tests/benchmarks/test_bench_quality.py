"""The benchmark of data quality finds the faults that it injects into real days, and leaves real days alone."""

import os
from pathlib import Path

import pytest

from recsys_assets.benchmarks.bench_quality import run
from recsys_assets.benchmarks.partial_faults import PARTIAL_FAULTS


@pytest.mark.slow
def test_faults_of_part_of_a_day_are_found_in_the_default_source():
    found = run(first_judged=90, last_judged=130, injections=4)
    assert found["block_days"] == 0
    assert found["warn_days"] <= 1
    shares = [found["faults"][name]["detected_share"] for name in PARTIAL_FAULTS]
    assert sum(shares) / len(shares) >= 0.8
    assert {name for name in PARTIAL_FAULTS if found["faults"][name]["detected_share"] < 0.5} == set()


@pytest.mark.slow
def test_days_with_few_rows_get_no_fault_where_many_are_asked_for():
    found = run(first_judged=90, last_judged=100, injections=2, least_rows=1_000_000)
    assert found["faults"] == {}
    assert found["judged_days"] == 11


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Gift_Cards_5.json.gz", "Musical_Instruments_5.json.gz"])
def test_an_untouched_history_of_real_reviews_is_not_rejected(name):
    folder = os.environ.get("RECSYS_TEST_DATA")
    if folder is None:
        pytest.skip(f"RECSYS_TEST_DATA is not set: no {name}")
    (path,) = Path(folder).glob(f"amazon_20*_{name}")
    found = run(source=f"amazon:{path}", last_judged=3600, injections=0)
    assert found["block_days"] == 0
    assert found["warn_days"] <= 4 * found["judged_days"] / 365
