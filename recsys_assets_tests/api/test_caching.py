"""A shared HTTP cache between the API and its users (RFC 9111): right answers, and nobody else's."""

from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.world import publish_release


class SharedCache:
    """Keeps what may be kept, by URL and the headers that `Vary` names; asks again with `If-None-Match`."""

    def __init__(self, origin: TestClient[Litestar]) -> None:
        self._origin = origin
        self._kept: dict[tuple[str, ...], httpx.Response] = {}
        self.kept_paths: set[str] = set()
        self.log: list[int] = []

    def get(self, path: str, headers: dict[str, str] | None = None, *, stale: bool = False) -> httpx.Response:
        asked = {name.lower(): value for name, value in (headers or {}).items()}
        for key, kept in self._kept.items():
            if key == self._key(path, asked, kept):
                if not stale:
                    self.log.append(0)
                    return kept
                again = self._ask(path, {**asked, "If-None-Match": kept.headers["etag"]})
                return kept if again.status_code == 304 else self._keep(path, asked, again)
        return self._keep(path, asked, self._ask(path, asked))

    def _ask(self, path: str, headers: dict[str, str]) -> httpx.Response:
        answer = self._origin.get(path, headers={"Accept-Encoding": "identity", **headers})
        self.log.append(answer.status_code)
        return answer

    def _keep(self, path: str, asked: dict[str, str], answer: httpx.Response) -> httpx.Response:
        allowed = answer.headers.get("cache-control", "")
        if answer.status_code == 200 and "public" in allowed and "no-store" not in allowed:
            self._kept[self._key(path, asked, answer)] = answer
            self.kept_paths.add(path)
        return answer

    def _key(self, path: str, asked: dict[str, str], answer: httpx.Response) -> tuple[str, ...]:
        varied = [name.strip().lower() for name in answer.headers.get("vary", "").split(",")]
        return (path, *(asked.get(name, "") for name in varied))


@pytest.fixture
def own(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    publish_release(home, seed=1)
    return home


def test_two_users_never_see_each_others_answer(own: Home) -> None:
    with TestClient(create_app(own)) as client:
        cache = SharedCache(client)
        for _ in range(2):
            for user in ("u1", "u2", "nobody"):
                answer = cache.get(
                    f"/v1/users/{user}/recommendations", {"X-API-Key": ""} if user == "" else {}
                )
                assert answer.json()["user_id"] == user
                assert cache.get(f"/v1/users/{user}/history").status_code in {200, 404}
            cache.get("/v1/popular")
            cache.get("/v1/items/i5/similar")
    assert cache.kept_paths == {"/v1/popular", "/v1/items/i5/similar"}
    assert cache.log.count(0) == 2


@pytest.mark.parametrize("path", ["/v1/popular", "/v1/users/u1/recommendations", "/v1/items/i5/similar"])
def test_a_tag_holds_until_the_release_changes(own: Home, path: str) -> None:
    with TestClient(create_app(own)) as client:
        tag = client.get(path).headers["etag"]
        assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
        publish_release(own, seed=2, created_at=datetime(2024, 4, 2, tzinfo=UTC))
        client.app.state.service.live.swap()
        changed = client.get(path, headers={"If-None-Match": tag})
        assert changed.status_code == 200
        assert changed.headers["etag"] != tag


def test_a_stale_answer_is_asked_for_again_by_its_tag(own: Home) -> None:
    with TestClient(create_app(own)) as client:
        cache = SharedCache(client)
        first = cache.get("/v1/popular")
        assert cache.get("/v1/popular", stale=True) is first
        assert cache.log == [200, 304]
