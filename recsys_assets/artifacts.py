"""Replacing a folder as one thing, by one build at a time: a reader sees the old one or the new one."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

from recsys_assets.errors import BuildRunningError
from recsys_assets.settings import Home


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """A new empty sibling that takes `folder`'s place when the block ends well; else nothing changes."""
    staged, old = folder.with_name(f".{folder.name}.staged"), folder.with_name(f".{folder.name}.old")
    for left_over in (staged, old):
        rmtree(left_over, ignore_errors=True)
    staged.mkdir(parents=True)
    try:
        yield staged
    except BaseException:
        rmtree(staged, ignore_errors=True)
        raise
    if folder.exists():
        folder.rename(old)
    staged.rename(folder)
    rmtree(old, ignore_errors=True)


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
