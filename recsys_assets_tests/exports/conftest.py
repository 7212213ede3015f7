"""One small release for the tests of exports, and homes over it with a state and events of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys_assets.storage.home import Home
from recsys_assets_tests.api.world import make_home, publish_release
from recsys_assets_tests.database_servers import running_postgres, running_redis


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return make_home(tmp_path_factory.mktemp("exported"))


@pytest.fixture
def home(shared_home: Home, tmp_path: Path) -> Home:
    """A home over the shared release."""
    found = Home(tmp_path / "home")
    found.root.mkdir()
    found.releases.symlink_to(shared_home.releases)
    return found


@pytest.fixture
def growing(tmp_path: Path) -> Home:
    """A home of its own, where another release can be published."""
    found = make_home(tmp_path / "growing")
    publish_release(found, users=44, seed=1, promote=False)
    return found


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url
