"""Rate limits of callers."""

from pathlib import Path

import pytest

from recsys_assets.api.http.limits import SLOTS, RateLimit
from recsys_assets.api_settings import ApiSettings


def limited(per_second: float, burst: float, shared: Path | None = None) -> RateLimit:
    return RateLimit(ApiSettings(requests_per_second=per_second, burst=burst), shared=shared)


def test_a_burst_is_allowed_then_the_rate_counts() -> None:
    limit = limited(2, 3)
    assert [limit.wait_for_key("a", 0.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert limit.wait_for_key("a", 0.5) == 0
    assert limit.wait_for_key("a", 0.5) > 0


def test_callers_do_not_share_their_allowance() -> None:
    limit = limited(1, 1)
    assert limit.wait_for_key("a", 0.0) == 0
    assert limit.wait_for_key("b", 0.0) == 0
    assert limit.wait_for_key("a", 0.0) == 1


def test_memory_is_bounded_with_more_callers_than_slots() -> None:
    limit = limited(1, 1)
    for caller in range(2 * SLOTS):
        limit.wait_for_key(str(caller), 0.0)
    assert limit.wait_for_key(str(2 * SLOTS - 1), 0.0) == 1


def test_workers_count_together(tmp_path: Path) -> None:
    one, other = (limited(1, 3, tmp_path / "limits") for _ in range(2))
    assert [limit.wait_for_key("a", 0.0) for limit in (one, other, one, other, one)] == [0, 0, 0, 1, 1]
    assert other.wait_for_key("b", 0.0) == 0
    assert other.wait_for_key("a", 1.0) == 0
    assert one.wait_for_key("a", 1.0) == 1


def test_an_address_has_a_generous_limit_by_default_and_a_key_none() -> None:
    limit = RateLimit(ApiSettings())
    taken = [limit.wait_for_address("192.0.2.1", None, 0.0) == 0 for _ in range(5_000)]
    assert taken.index(False) == 4_000
    assert not any(limit.wait_for_key("a", 0.0) for _ in range(5_000))


def test_an_address_has_the_smaller_of_both_limits() -> None:
    settings = ApiSettings(requests_per_second=100, burst=2, anonymous_requests_per_second=1_000)
    limit = RateLimit(settings)
    assert [limit.wait_for_address("192.0.2.1", None, 0.0) > 0 for _ in range(3)] == [False, False, True]


def test_a_request_may_cost_many() -> None:
    limit = RateLimit(ApiSettings(anonymous_requests_per_second=1, anonymous_burst=30))
    assert limit.wait_for_address("192.0.2.1", None, 0.0, cost=20) == 0
    assert limit.wait_for_address("192.0.2.1", None, 0.0, cost=20) == 0
    assert limit.wait_for_address("192.0.2.1", None, 0.0) == 11


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("unknown", "unknown", True),
    ],
)
def test_a_network_of_one_holder_is_one_caller(one: str, other: str, *, same: bool) -> None:
    limit = RateLimit(ApiSettings(anonymous_requests_per_second=1, anonymous_burst=1))
    assert limit.wait_for_address(one, None, 0.0) == 0
    assert (limit.wait_for_address(other, None, 0.0) > 0) is same


def test_only_a_trusted_proxy_names_the_caller_and_only_by_the_address_that_it_added() -> None:
    settings = ApiSettings(anonymous_requests_per_second=1, anonymous_burst=1, trusted_proxies=["192.0.2.1"])
    limit = RateLimit(settings)
    assert limit.wait_for_address("192.0.2.1", b"6.6.6.6, 198.51.100.1", 0.0) == 0
    assert limit.wait_for_address("192.0.2.1", b"7.7.7.7,198.51.100.1", 0.0) == 1
    assert limit.wait_for_address("192.0.2.1", b"198.51.100.2", 0.0) == 0
    assert limit.wait_for_address("192.0.2.9", b"198.51.100.3", 0.0) == 0
    assert limit.wait_for_address("192.0.2.9", b"198.51.100.4", 0.0) == 1
