"""Promotion over HTTP."""

from pathlib import Path

from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import key_header
from recsys_assets_tests.api.world import make_home, publish_release


def test_promoting_needs_an_admin_and_a_release_that_is_kept(own: Home, client: TestClient[Litestar]) -> None:
    current = ReleaseStore(own.releases).current_id()
    writer, admin = key_header(own, client, "write"), key_header(own, client, "admin")

    def promote(release: str | None, headers: dict[str, str]) -> int:
        return client.post("/v1/releases:promote", json={"release": release}, headers=headers).status_code

    assert promote(current, writer) == 403
    assert promote("../../etc", admin) == 404
    assert promote(current, admin) == 200


def test_a_release_that_cannot_be_served_is_not_promoted_and_no_path_is_shown(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    current = ReleaseStore(home.releases).current_id()
    other = publish_release(home, seed=1, promote=False)
    (home.releases / other / "items.hash.npy").write_bytes(b"rot")
    with TestClient(create_app(home)) as client:
        answer = client.post(
            "/v1/releases:promote", json={"release": other}, headers=key_header(home, client, "admin")
        )
    assert answer.status_code == 409
    assert f"releases/{other}/items.hash.npy: 3 bytes" in answer.json()["detail"]
    assert str(tmp_path) not in answer.text
    assert ReleaseStore(home.releases).current_id() == current
