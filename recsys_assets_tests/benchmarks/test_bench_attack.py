"""The attacks are drawn by their seed, and every figure is measured on a real server."""

from itertools import islice

import pytest

from recsys_assets.benchmarks import bench_attack
from recsys_assets.benchmarks.attack_requests import AttackRequests, send
from recsys_assets_tests.api.servers import running
from recsys_assets_tests.api.world import make_home

OPENAPI = {
    "paths": {
        "/v1/items/{item_id}/similar": {
            "get": {"parameters": [{"in": "path", "name": "item_id"}, {"in": "query", "name": "k"}]}
        },
        "/v1/events": {"post": {}},
    }
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_home(tmp_path_factory.mktemp("home"))


def drawn(count, *, seed):
    return list(islice(AttackRequests(OPENAPI, ids=["u1", "i1"], key="rk_a_b", seed=seed), count))


def test_a_seed_gives_the_same_requests_and_another_seed_others():
    assert drawn(50, seed=1) == drawn(50, seed=1)
    assert drawn(50, seed=1) != drawn(50, seed=2)


def test_routes_and_malformed_framing_are_both_drawn():
    requests = drawn(300, seed=0)
    assert any(request.sent.startswith(b"GET /v1/items/u1/similar") for request in requests)
    assert any(b"Transfer-Encoding: chunked" in request.sent for request in requests)
    assert 10 < sum(request.incomplete for request in requests) < 60


def test_a_request_is_sent_and_its_status_returned(home):
    with running(home) as server:
        outcomes = [send(server.port, request) for request in drawn(30, seed=3)]
    assert {outcome.status for outcome in outcomes if outcome.status} <= {
        200,
        400,
        401,
        404,
        405,
        413,
        414,
        415,
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_attack_is_measured(home):
    found = bench_attack.run(seconds=1.0, fuzz_cases=60, faults=False, home=home)

    assert found["fuzz_cases"] == 60
    assert found["errors_5xx"] == 0, found["first_5xx"]
    assert 0 < found["revoke_seconds"] < 10
    assert found["live_p99_ms_quiet"] > 0
    assert found["recommend_ratio_searching"] > 0
    assert found["new_client_ms_held"] > 0
