"""File locks between processes. The system releases a lock when its process ends, even if it was killed."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from recsys_assets.errors import BuildRunningError
from recsys_assets.storage.atomic import make_folder
from recsys_assets.storage.home import Home


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file `path` while the block runs.

    Args:
        path: the lock file; created if missing, with its folder.
        wait: wait until another holder releases it.

    Raises:
        BlockingIOError: another process holds it and `wait` is False.
    """
    make_folder(path.parent)
    with path.open("a") as file, locked_descriptor(file.fileno(), wait=wait):
        yield


@contextmanager
def locked_descriptor(descriptor: int, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of an open file; arguments and errors as in `locked`."""
    fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextmanager
def build_lock(home: Home) -> Iterator[None]:
    """Hold the build lock of a home, so that only one process builds it.

    Raises:
        BuildRunningError: another process is building this home.
    """
    with ExitStack() as held:
        try:
            held.enter_context(locked(home.build_lock, wait=False))
        except BlockingIOError:
            raise BuildRunningError(
                f"{home.root}: another build of this home is running; wait for it to end"
            ) from None
        yield
