"""A lock between processes that goes with the process that holds it, however that ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PUBLISHING: Final = ".publishing.lock"
"""Held while a release is put together or deleted."""
MOVING: Final = ".moving.lock"
"""Held while `current` is moved. Taken after PUBLISHING where both are needed."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` (made where missing), waiting for whoever holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
