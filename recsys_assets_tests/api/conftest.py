"""One small release for all tests of the API that only read it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.api.http.auth import add_key
from recsys_assets.release.load import Release, load_release
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.world import make_home

NOW = datetime(2024, 4, 2, tzinfo=UTC)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return make_home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def release(home: Home) -> Release:
    current = ReleaseStore(home.releases).current_id()
    assert current is not None
    return load_release(home.releases / current)


@pytest.fixture
def own(home: Home, tmp_path: Path) -> Home:
    """A home over the shared release, with events and keys of its own."""
    found = Home(tmp_path / "own")
    found.root.mkdir()
    found.releases.symlink_to(home.releases)
    return found


@pytest.fixture
def client(own: Home) -> Iterator[TestClient[Litestar]]:
    """A client of an application over `own`."""
    with TestClient(create_app(own, clock=lambda: NOW)) as opened:
        opened.home = own  # type: ignore[attr-defined]
        yield opened


def key_header(home: Home, client: TestClient[Litestar], scope: str) -> dict[str, str]:
    """The header of a new key with one scope, which the application knows at once."""
    secret = add_key(home, name=scope, scopes=[scope], now=NOW)[1]
    client.app.state.service.keys.refresh()
    return {"Authorization": f"Bearer {secret}"}
