"""The database is built once for this folder's tests."""

from pathlib import Path

import pytest

from recsys_assets.features.feature_database import build_features
from recsys_assets_tests.features.rows import CATALOGUE, DAY, ROWS


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a features artifact of ROWS and CATALOGUE."""
    folder = tmp_path_factory.mktemp("artifacts") / "features"
    build_features(ROWS, CATALOGUE, folder, as_of=DAY)
    return folder
