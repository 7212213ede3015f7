"""The world is built once for this folder's tests; each publishes it into its own home."""

from datetime import timedelta

import pytest

from recsys_assets.release.release_store import ReleaseStore
from recsys_assets_tests.release.building import build_world
from recsys_assets_tests.release.world import LINEAGE, NOW, World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("world") / "artifacts")


@pytest.fixture
def four(world, tmp_path):
    """Releases through four consecutive days, each promoted when it was published; ids oldest first."""
    days = sorted(LINEAGE)
    ids = [
        world.publish(
            tmp_path, lineage={day: LINEAGE[day] for day in days[:count]}, at=NOW + timedelta(days=count)
        ).release_id
        for count in (10, 11, 12, 13)
    ]
    return ReleaseStore(tmp_path / "releases", clock=lambda: NOW), ids
