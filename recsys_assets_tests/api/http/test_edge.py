"""The outermost layer: keys, limits, request ids, headers, and ids with a slash in a path."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.api.http.edge import as_sent, routable
from recsys_assets.api_settings import ApiSettings
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import key_header


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("a/b")
@example("\0")
@example("\x001/\x000%2F")
def test_any_id_comes_through_routing_as_it_was_sent(path_id):
    raw = f"/v1/users/{quote(path_id, safe='')}/history".encode()
    path = routable(raw) or f"/v1/users/{path_id}/history"

    empty, version, users, found, history = path.split("/")

    assert (empty, version, users, history) == ("", "v1", "users", "history")
    assert as_sent(found) == path_id


def test_other_paths_stay_as_the_server_decoded_them():
    assert routable(b"/v1/users/a%20b/history") is None


EVENT = {"events": [{"user_id": "u1", "item_id": "i3"}]}


@pytest.fixture
def locked(own: Home) -> Iterator[TestClient[Litestar]]:
    """A client of an application that needs a key for reads too, limits the rate and accepts small bodies only."""
    settings = ApiSettings(
        require_key_for_reads=True, requests_per_second=0.001, burst=5, max_body_bytes=2_000
    )
    with TestClient(create_app(own, settings=settings)) as client:
        yield client


def test_reads_need_a_key_where_that_is_configured(own: Home, locked: TestClient[Litestar]) -> None:
    rejected = locked.get("/v1/popular")
    assert rejected.status_code == 401
    assert rejected.headers["www-authenticate"].startswith("Bearer")
    answered = locked.get("/v1/popular", headers=key_header(own, locked, "read"))
    assert answered.status_code == 200
    assert answered.headers["cache-control"] == "private, no-cache"


def test_health_needs_no_key_and_no_allowance(locked: TestClient[Litestar]) -> None:
    assert {locked.get("/health/ready").status_code for _ in range(9)} == {200}


def test_an_unknown_key_is_rejected_even_where_none_is_needed(client: TestClient[Litestar]) -> None:
    assert client.get("/v1/popular", headers={"X-API-Key": "rk_1_2"}).status_code == 401


def test_a_key_that_may_read_may_not_write(own: Home, locked: TestClient[Litestar]) -> None:
    answer = locked.post("/v1/events", json=EVENT, headers=key_header(own, locked, "read"))
    assert answer.status_code == 403
    assert "no scope `write`" in answer.json()["detail"]


def test_a_caller_over_the_limit_learns_the_seconds_to_wait(own: Home, locked: TestClient[Litestar]) -> None:
    mine, other = key_header(own, locked, "read"), key_header(own, locked, "write")
    answers = [locked.get("/v1/popular", headers=mine) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert locked.get("/v1/popular", headers=other).status_code == 200


@pytest.fixture
def limited(own: Home) -> Iterator[TestClient[Litestar]]:
    """A client of an application that allows an address thirty requests."""
    settings = ApiSettings(anonymous_requests_per_second=0.001, anonymous_burst=30)
    with TestClient(create_app(own, settings=settings)) as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/v1/popular", "/nowhere", "/v1/popular?k=x", "/v1/popular?category=" + "x" * 9_000]
)
def test_every_request_counts_whatever_its_answer(limited: TestClient[Litestar], path: str) -> None:
    statuses = [limited.get(path).status_code for _ in range(31)]
    assert statuses[-1] == 429
    assert 429 not in statuses[:-1]


def test_an_unknown_key_costs_more_than_a_request(own: Home, limited: TestClient[Litestar]) -> None:
    unknown = [limited.get("/v1/popular", headers={"X-API-Key": "rk_1_2"}).status_code for _ in range(3)]
    assert unknown == [401, 401, 429]
    assert limited.get("/v1/popular").status_code == 429
    assert limited.get("/v1/popular", headers=key_header(own, limited, "read")).status_code == 200


def test_large_bodies_are_rejected_with_or_without_a_declared_length(
    own: Home, locked: TestClient[Litestar]
) -> None:
    headers = key_header(own, locked, "read")
    declared = locked.post("/v1/recommendations", content=b"x" * 3_000, headers=headers)
    chunked = locked.post("/v1/recommendations", content=iter([b"x" * 1_500] * 2), headers=headers)
    assert (declared.status_code, chunked.status_code) == (413, 413)


def test_only_a_harmless_request_id_is_kept(client: TestClient[Litestar]) -> None:
    assert client.get("/health/live", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert (
        client.get("/health/live", headers={"X-Request-Id": "<script>"}).headers["x-request-id"] != "<script>"
    )


def test_head_has_the_headers_of_get_and_no_body(client: TestClient[Litestar]) -> None:
    got, head = client.get("/v1/popular"), client.head("/v1/popular")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-length", "content-type", "cache-control", "x-release-id"):
        assert head.headers[name] == got.headers[name]


def test_pages_allow_scripts_from_here_only(client: TestClient[Litestar]) -> None:
    for path in ("/", "/schema", "/schema/scalar"):
        headers = client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe-inline" not in headers["content-security-policy"].split("style-src")[0]
        assert headers["x-content-type-options"] == "nosniff"
