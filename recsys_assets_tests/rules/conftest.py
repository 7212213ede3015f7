"""One small home with a release for the tests of rules that only read it."""

from pathlib import Path

import pytest

from recsys_assets.release.load import Release, load_current, load_release
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.world import make_home, publish_release
from recsys_assets_tests.rules.blends import save_blend


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return make_home(tmp_path_factory.mktemp("rules"))


@pytest.fixture(scope="session")
def release(shared: Home) -> Release:
    return load_release(shared.releases / str(ReleaseStore(shared.releases).current_id()))


@pytest.fixture(scope="session")
def blend_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose release has every part of a score."""
    home = Home(tmp_path_factory.mktemp("blend"))
    publish_release(home, save=save_blend)
    return home


@pytest.fixture(scope="session")
def blend(blend_home: Home) -> Release:
    return load_current(blend_home.releases)


@pytest.fixture
def home(shared: Home, tmp_path: Path) -> Home:
    """A home of its own over the shared release."""
    own = Home(tmp_path / "own")
    own.root.mkdir()
    own.releases.symlink_to(shared.releases)
    return own
