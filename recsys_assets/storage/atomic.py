"""Atomic replacement of files and folders: a reader sees the old content or the new, never part of either.

New content is first written to a hidden sibling (`staging_path`), which is then renamed over its target.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Final

SMALL_BYTES: Final = 64 << 20
"""Most bytes of a file that is read whole by `read_file`."""


def read_file(path: Path, *, most: int = SMALL_BYTES) -> bytes:
    """Return the content of a file that others replace; it never waits, be it a pipe or a device.

    Raises:
        OSError: the file cannot be read, is no regular file, or has more than `most` bytes.
    """
    _require_regular(path, path.stat())  # first: opening some devices has effects
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with ExitStack() as stack:
        stack.callback(os.close, descriptor)
        _require_regular(path, os.fstat(descriptor))
        file = stack.enter_context(os.fdopen(descriptor, "rb", closefd=False))
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"more than {most:,} bytes", str(path))
    return content


def _require_regular(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "no regular file", str(path))


def staging_path(target: Path) -> Path:
    """Return the hidden sibling of `target` where its next content is written."""
    return target.with_name(f".{target.name}.staged")


@contextmanager
def replaced_file(target: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a path to write to; the file replaces `target` when the block ends well, else nothing changes.

    Args:
        target: the file to replace; its folder is created if missing.
        durable: also survive a power cut (fsync of file and folder), which costs some milliseconds.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = staging_path(target)
    try:
        yield staged
        put_in_place(staged, target, durable=durable)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise


def replace_file(
    target: Path, content: bytes | memoryview, *, durable: bool = True, mode: int = 0o666
) -> os.stat_result:
    """Replace the content of `target` by `content`, and return the status of this very file.

    Args:
        target: the file; its folder is created if missing.
        content: all bytes of the new file.
        durable: as in `replaced_file`.
        mode: permissions of the new file, less the process's umask.
    """
    with ExitStack() as stack:
        with replaced_file(target, durable=durable) as staged:
            staged.unlink(missing_ok=True)
            descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            file = stack.enter_context(os.fdopen(descriptor, "wb"))
            file.write(content)
            file.flush()
        return os.fstat(descriptor)  # still open: another process may have replaced it already


def put_in_place(staged: Path, target: Path, *, durable: bool = False) -> None:
    """Rename a staged file over `target`; with `durable`, content and name then survive a power cut."""
    if durable:
        sync(staged)
    staged.replace(target)
    if durable:
        sync(target.parent)


@contextmanager
def staging_folder(staged: Path) -> Iterator[Path]:
    """Yield `staged` as a new, empty folder; it is removed at the end unless it was moved away."""
    rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    try:
        yield staged
    finally:
        rmtree(staged, ignore_errors=True)


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Yield a new, empty folder that replaces `folder` when the block ends well; else nothing changes."""
    old = folder.with_name(f".{folder.name}.old")
    rmtree(old, ignore_errors=True)
    with staging_folder(staging_path(folder)) as staged:
        yield staged
        put_folder_in_place(staged, folder, old=old)


def put_folder_in_place(staged: Path, folder: Path, *, old: Path, durable: bool = False) -> None:
    """Rename a staged folder to `folder`.

    A folder that is there already is renamed to `old` and then removed. Its files are never overwritten, since
    a running process may have mapped them.

    Args:
        staged: the new content, in the same file system.
        folder: the final name.
        old: a free name beside it.
        durable: also survive a power cut; the staged files and folders are then synced first.
    """
    if durable:
        sync_tree(staged)
    if folder.exists():
        folder.rename(old)
    staged.rename(folder)
    if durable:
        sync(folder.parent)
    rmtree(old, ignore_errors=True)


def sync_tree(root: Path) -> None:
    """Wait until every file and folder under `root`, and `root` itself, is on the disk."""
    for path in root.rglob("*"):
        sync(path)
    sync(root)


def sync(path: Path) -> None:
    """Wait until the content of a file, or the entries of a folder, are on the disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
