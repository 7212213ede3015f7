"""Promotion over HTTP."""

from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import key_header


def test_promoting_needs_an_admin_and_a_release_that_is_kept(own: Home, client: TestClient[Litestar]) -> None:
    current = ReleaseStore(own.releases).current_id()
    writer, admin = key_header(own, client, "write"), key_header(own, client, "admin")

    def promote(release: str | None, headers: dict[str, str]) -> int:
        return client.post("/v1/releases:promote", json={"release": release}, headers=headers).status_code

    assert promote(current, writer) == 403
    assert promote("../../etc", admin) == 404
    assert promote(current, admin) == 200
