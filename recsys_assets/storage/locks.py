"""Locks between processes. The system releases one when the process that holds it ends, however it ends."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from recsys_assets.errors import BuildRunningError
from recsys_assets.storage.home import Home


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file `path`, which is made where missing.

    Args:
        path: the lock file.
        wait: wait for another holder to release it.

    Raises:
        BlockingIOError: another process holds it and `wait` is False.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file, locked_descriptor(file.fileno(), wait=wait):
        yield


@contextmanager
def locked_descriptor(descriptor: int, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a file that is open already; errors as in `locked`."""
    fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextmanager
def build_lock(home: Home) -> Iterator[None]:
    """Hold the home's build lock, so that one process at a time builds it.

    Raises:
        BuildRunningError: another process builds this home.
    """
    with ExitStack() as held:
        try:
            held.enter_context(locked(home.build_lock, wait=False))
        except BlockingIOError:
            raise BuildRunningError(
                f"{home.root}: another build of this home is running; wait for it to end"
            ) from None
        yield
