"""File locks between processes. The system releases a lock when its process ends, even if it was killed.

Whatever is read, changed and written back is so under a lock of its kind; a test lists every module that writes into
a home, with its lock.
"""

import fcntl
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Final

from recsys_assets.errors import BuildInterruptedError, BuildRunningError
from recsys_assets.storage.atomic import make_folder
from recsys_assets.storage.home import Home
from recsys_assets.storage.store_place import note_of


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


SHORTLY: Final = 10.0
"""Seconds that a command of a moment waits for another one to end."""
PULL_LOCK: Final = "pull.lock"
"""Lock file in `Home.copy`, beside the build lock, of who brings a home to the state of its object store."""
_POLL_SECONDS: Final = 0.05
_holders = dict[Path, int]()
_locks = dict[Path, ExitStack]()
_counting = threading.Lock()


@contextmanager
def build_lock(home: Home, *, patience: float = 0.0) -> Iterator[None]:
    """Hold the build lock of a home, so that only one process changes its days, artifacts and settings.

    A process that holds it may take it again: a build's runs do.

    Args:
        home: the home.
        patience: seconds to wait for another process; `SHORTLY` outlasts a command, not a build.

    Raises:
        BuildRunningError: another process holds it.
    """
    with ExitStack() as held:
        _hold(home, held, end=time.monotonic() + patience)
        yield


def require_build(home: Home) -> None:
    """Check that some process, of this machine or of another on the same disk, holds a home's build lock.

    Raises:
        BuildInterruptedError: none does: the build that this process works for has ended.
    """
    path = home.lock("build")
    make_folder(path.parent)
    with path.open("a") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return
    raise BuildInterruptedError(
        f"{home.root}: the build that began this work has ended; what was finished is kept"
    )


def _hold(home: Home, held: ExitStack, *, end: float) -> None:
    """Take the lock for `held`, or count one more holder in this process."""
    path, is_first = home.lock("build"), True
    while True:
        with _counting:
            try:
                if not _holders.get(path):
                    with ExitStack() as held_here:
                        held_here.enter_context(locked(path, wait=False))
                        if note_of(home.root).exists():
                            held_here.enter_context(_held_store(home, patience=end - time.monotonic()))
                        _locks[path] = held_here.pop_all()
                _holders[path] = _holders.get(path, 0) + 1
            except BlockingIOError:
                pass
            else:
                held.callback(_let_go, path)
                return
        if is_first and note_of(home.root).exists():
            is_first = False
            with locked(home.copy / PULL_LOCK):  # who only takes up what others pushed ends soon
                continue
        if time.monotonic() >= end:
            raise BuildRunningError(
                f"{home.root}: another build of this home, or a command that changes it, is running; wait for it to"
                " end"
            )
        time.sleep(_POLL_SECONDS)


def _held_store(home: Home, *, patience: float) -> AbstractContextManager[None]:
    """Return what holds the object store that a home is a copy of, see `store_writing.held_store`."""
    from recsys_assets.storage.store_writing import (  # noqa: PLC0415  only where there is a store; it takes locks
        held_store,
    )

    return held_store(home.root, patience=patience)


def _let_go(path: Path) -> None:
    """Count one holder less, and release the lock after the last one."""
    with _counting:
        _holders[path] -= 1
        if not _holders[path]:
            _locks.pop(path).close()
