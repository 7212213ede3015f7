"""A real S3 server of a test's own, SeaweedFS, on loopback ports, ended by its process id."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recsys_assets.benchmarks.scale_servers import ObjectServer, missing_seaweed, seaweed


@contextmanager
def running_seaweed(folder: Path) -> Iterator[ObjectServer]:
    """A server with one bucket, `lake`, and its data in `folder`. Skips where no SeaweedFS is installed."""
    if (missing := missing_seaweed()) is not None:
        pytest.skip(missing)
    with seaweed(folder) as server:
        yield server
