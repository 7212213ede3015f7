"""The world is built once for this folder's tests; each publishes it into its own home."""

import pytest

from recsys_assets_tests.release.building import build_world
from recsys_assets_tests.release.world import World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("world") / "artifacts")
