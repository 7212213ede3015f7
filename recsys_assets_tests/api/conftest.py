"""One small release for all tests of the API that only read it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
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
def client(home: Home, tmp_path: Path) -> Iterator[TestClient[Litestar]]:
    """A client of an application over the shared release, with events and keys of its own."""
    own = Home(tmp_path / "own")
    own.root.mkdir()
    own.releases.symlink_to(home.releases)
    with TestClient(create_app(own, clock=lambda: NOW)) as opened:
        opened.home = own  # type: ignore[attr-defined]
        yield opened
