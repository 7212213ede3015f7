"""Which requests need which key, and how much they may send."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.api.http.auth import add_key
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.settings import ApiSettings
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import NOW

EVENT = {"events": [{"user_id": "u1", "item_id": "i3"}]}


@pytest.fixture
def own(home: Home, tmp_path: Path) -> Home:
    found = Home(tmp_path / "own")
    found.root.mkdir()
    found.releases.symlink_to(home.releases)
    return found


@pytest.fixture
def locked(own: Home) -> Iterator[TestClient[Litestar]]:
    """A client of an application that wants a key for reads too, limits the rate and takes small bodies."""
    settings = ApiSettings(
        require_key_for_reads=True, requests_per_second=0.001, burst=5, max_body_bytes=2_000
    )
    with TestClient(create_app(own, settings=settings)) as client:
        yield client


def header(own: Home, client: TestClient[Litestar], scope: str) -> dict[str, str]:
    secret = add_key(own, name=scope, scopes=[scope], now=NOW)[1]
    client.app.state.service.keys.refresh()
    return {"Authorization": f"Bearer {secret}"}


def test_reads_need_a_key_where_that_is_configured(own: Home, locked: TestClient[Litestar]) -> None:
    refused = locked.get("/v1/popular")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    answered = locked.get("/v1/popular", headers=header(own, locked, "read"))
    assert answered.status_code == 200
    assert answered.headers["cache-control"] == "private, no-cache"


def test_health_needs_no_key_and_no_allowance(locked: TestClient[Litestar]) -> None:
    assert {locked.get("/health/ready").status_code for _ in range(9)} == {200}


def test_an_unknown_key_is_refused_even_where_none_is_needed(client: TestClient[Litestar]) -> None:
    assert client.get("/v1/popular", headers={"X-API-Key": "rk_1_2"}).status_code == 401


def test_a_key_that_may_read_may_not_write(own: Home, locked: TestClient[Litestar]) -> None:
    answer = locked.post("/v1/events", json=EVENT, headers=header(own, locked, "read"))
    assert answer.status_code == 403
    assert "no scope `write`" in answer.json()["detail"]


def test_a_caller_who_asks_too_often_is_told_when_to_come_back(
    own: Home, locked: TestClient[Litestar]
) -> None:
    mine, other = header(own, locked, "read"), header(own, locked, "write")
    answers = [locked.get("/v1/popular", headers=mine) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert locked.get("/v1/popular", headers=other).status_code == 200


def test_large_bodies_are_refused_with_or_without_a_declared_length(
    own: Home, locked: TestClient[Litestar]
) -> None:
    headers = header(own, locked, "read")
    declared = locked.post("/v1/recommendations", content=b"x" * 3_000, headers=headers)
    chunked = locked.post("/v1/recommendations", content=iter([b"x" * 1_500] * 2), headers=headers)
    assert (declared.status_code, chunked.status_code) == (413, 413)


def test_promoting_needs_an_admin_and_a_release_that_is_kept(own: Home, locked: TestClient[Litestar]) -> None:
    current = ReleaseStore(own.releases).current_id()
    writer, admin = header(own, locked, "write"), header(own, locked, "admin")

    def promote(release: str | None, headers: dict[str, str]) -> int:
        return locked.post("/v1/releases:promote", json={"release": release}, headers=headers).status_code

    assert promote(current, writer) == 403
    assert promote("../../etc", admin) == 404
    assert promote(current, admin) == 200


def test_pages_of_allowed_origins_may_call(own: Home) -> None:
    origin = "https://shop.example"
    with TestClient(create_app(own, settings=ApiSettings(cors_origins=[origin]))) as client:
        allowed = client.get("/v1/popular", headers={"Origin": origin})
        other = client.get("/v1/popular", headers={"Origin": "https://elsewhere.example"})
    assert allowed.headers["access-control-allow-origin"] == origin
    assert "access-control-allow-origin" not in other.headers
