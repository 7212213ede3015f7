"""Fixtures that the lake's tests share: real files, where a folder of them is given."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


@pytest.fixture
def real_file() -> Callable[[str], Path]:
    """A real file by name; the test is skipped, saying so, where `RECSYS_TEST_DATA` isn't set."""

    def find(name: str) -> Path:
        folder = os.environ.get("RECSYS_TEST_DATA")
        if not folder:
            pytest.skip(f"RECSYS_TEST_DATA is not set: no {name}")
        return Path(folder).resolve() / name

    return find
