"""Rate limits of callers."""

from pathlib import Path

from recsys_assets.api.http.limits import SLOTS, RateLimit


def test_a_burst_is_allowed_then_the_rate_counts() -> None:
    limit = RateLimit(per_second=2, burst=3)
    assert [limit.wait_seconds("a", 0.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert limit.wait_seconds("a", 0.5) == 0
    assert limit.wait_seconds("a", 0.5) > 0


def test_callers_do_not_share_their_allowance() -> None:
    limit = RateLimit(per_second=1, burst=1)
    assert limit.wait_seconds("a", 0.0) == 0
    assert limit.wait_seconds("b", 0.0) == 0
    assert limit.wait_seconds("a", 0.0) == 1


def test_memory_is_bounded_with_more_callers_than_slots() -> None:
    limit = RateLimit(per_second=1, burst=1)
    for caller in range(2 * SLOTS):
        limit.wait_seconds(str(caller), 0.0)
    assert limit.wait_seconds(str(2 * SLOTS - 1), 0.0) == 1


def test_workers_count_together(tmp_path: Path) -> None:
    one, other = (RateLimit(per_second=1, burst=3, shared=tmp_path / "limits") for _ in range(2))
    assert [limit.wait_seconds("a", 0.0) for limit in (one, other, one, other, one)] == [0, 0, 0, 1, 1]
    assert other.wait_seconds("b", 0.0) == 0
    assert other.wait_seconds("a", 1.0) == 0
    assert one.wait_seconds("a", 1.0) == 1
