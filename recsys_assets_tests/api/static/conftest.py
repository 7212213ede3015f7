"""The browser that the pages are looked at with."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from recsys_assets_tests.api.browsing import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with chromium() as found:
        yield found
