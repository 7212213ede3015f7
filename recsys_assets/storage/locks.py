"""Locks between processes, which end with the process that holds them, however that ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recsys_assets.errors import BuildRunningError
from recsys_assets.storage.home import Home


@contextmanager
def only_build(home: Home) -> Iterator[None]:
    """Hold the home's build lock; the system lets go of it when the process ends, however it ends.

    Raises:
        BuildRunningError: another process builds this home.
    """
    home.root.mkdir(parents=True, exist_ok=True)
    with (home.root / ".build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BuildRunningError(
                f"{home.root}: another build of this home is running; wait for it to end"
            ) from None
        yield


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` (made where missing), waiting for whoever holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
