"""Events over HTTP count at once, and none that got a 202 is lost or there twice when workers are killed."""

import pytest

from recsys_assets.benchmarks.bench_events import run


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_event_is_lost_or_doubled_and_each_counts_at_once() -> None:
    found = run(users=200, items=100, seconds=0.5, kills=3, clients=(2,), tried=5)
    assert (found["kills"], found["lost"], found["duplicated"]) == (3, 0, 0)
    assert found["accepted_under_kills"] > 0
    assert found["events_per_second"] > 0
    assert found["share_of_fsync_limit"] > 0
    assert found["effective_ms"] > 0
    assert found["recommend_ratio"] > 0
