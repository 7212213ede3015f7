"""Atomic replacement of files and folders: a reader sees the old content or the new, also after a power cut.

New content is first written to a hidden sibling (`staging_path`) and synced, then renamed over its target, then the
target's folder is synced: what a function here has replaced stays replaced. `Unsynced` does that for many files in
one pass. An error names the file.
"""

import errno
import os
import re
import sqlite3
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Final

_THREADS: Final = 16
"""Syncs that wait at the same time: the file system writes one commit for those that wait together."""
_OS_ERROR: Final = re.compile(r"\(os error (\d+)\)")
"""The number of an error of the system in polars' own errors."""
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


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Put the path into an error of an open file or a database, which has none, or only a part within a folder."""
    try:
        yield
    except OSError as error:
        part = error.filename
        if (
            error.errno is None and type(error) is OSError
        ):  # a library's, as "4096 requested and 1024 written"
            raise OSError(errno.EIO, str(error), str(path)) from error
        if error.errno is not None and (part is None or (isinstance(part, str) and path.is_absolute())):
            error.filename = str(path if part is None else path / part)
        raise
    except sqlite3.Error as error:
        if "filename" not in vars(error):
            vars(error)["filename"] = str(path)
            error.args = (f"{path}: {error}",)  # a failed step of Dagster keeps the text only
        raise
    except Exception as error:
        found = _OS_ERROR.search(str(error))
        if found is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from error


def staging_path(target: Path) -> Path:
    """Return the hidden sibling of `target` where its next content is written."""
    return target.with_name(f".{target.name}.staged")


def make_folder(folder: Path) -> None:
    """Make a folder and its parents where they are missing; the new names are on the disk when this returns."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(exist_ok=True)
        sync(new.parent)


@contextmanager
def replaced_file(target: Path) -> Iterator[Path]:
    """Yield a path to write to; the file replaces `target` when the block ends well, else nothing changes.

    The folder of `target` is made if missing.
    """
    make_folder(target.parent)
    staged = staging_path(target)
    try:
        with named(staged):
            yield staged
        put_in_place(staged, target)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise


def replace_file(target: Path, content: bytes | memoryview, *, mode: int = 0o666) -> os.stat_result:
    """Replace the content of `target` by `content`, and return the status of this very file.

    Args:
        target: the file; its folder is made if missing.
        content: all bytes of the new file.
        mode: permissions of the new file, less the process's umask.
    """
    make_folder(target.parent)
    return _replace(target, content, mode=mode, put=put_in_place)


def _replace(
    target: Path, content: bytes | memoryview, *, mode: int, put: Callable[[Path, Path], object]
) -> os.stat_result:
    staged = staging_path(target)
    with ExitStack() as stack:
        try:
            staged.unlink(missing_ok=True)
            descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            file = stack.enter_context(os.fdopen(descriptor, "wb", buffering=0))
            rest = memoryview(content)
            with named(staged):
                while rest:
                    rest = rest[file.write(rest) :]
            put(staged, target)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise
        return os.fstat(descriptor)  # still open: another process may have replaced it already


def put_in_place(staged: Path, target: Path) -> None:
    """Rename a staged file over `target`; content and name survive a power cut when this returns."""
    _replace_synced(staged, target)
    sync(target.parent)


class Unsynced:
    """Files that were replaced and wait for one pass of syncs.

    Until `settle` returns a power cut may leave a new file empty or in part: nothing durable may name it before. Where
    it replaces another, its content is synced first, so that the cut leaves either of the two whole.
    """

    def __init__(self, root: Path) -> None:
        """Take files in `root` and in folders of it."""
        self._root = root
        self._files: dict[Path, None] = {}

    def replace_file(self, target: Path, content: bytes | memoryview) -> os.stat_result:
        """Replace as the function of this name does, but leave the syncs to `settle`."""
        if not target.parent.is_dir():
            make_folder(self._root)
            target.parent.mkdir(exist_ok=True)
        self._files[target] = None
        return _replace(target, content, mode=0o666, put=_replace_synced if target.exists() else Path.replace)

    def add(self, file: Path) -> None:
        """Take a file that another process may have left without syncing it."""
        self._files[file] = None

    def settle(self) -> None:
        """Wait until all files are on the disk, then forget them; those that are gone again are left out."""
        if self._files:
            sync_all(list(self._files))
            sync_all([*dict.fromkeys(file.parent for file in self._files)])
            sync(self._root)
            self._files.clear()


def _replace_synced(staged: Path, target: Path) -> None:
    sync(staged)
    staged.replace(target)


@contextmanager
def staging_folder(staged: Path) -> Iterator[Path]:
    """Yield `staged` as a new, empty folder; it is removed at the end unless it was moved away."""
    rmtree(staged, ignore_errors=True)
    make_folder(staged)
    try:
        with named(staged):
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


def put_folder_in_place(staged: Path, folder: Path, *, old: Path) -> None:
    """Sync a staged folder, and rename it to `folder`.

    A folder that is there already is renamed to `old` and then removed. Its files are never overwritten, since
    a running process may have mapped them.

    Args:
        staged: the new content, in the same file system.
        folder: the final name.
        old: a free name beside it.
    """
    sync_all([*staged.rglob("*"), staged])
    if folder.exists():
        folder.rename(old)
    staged.rename(folder)
    sync(folder.parent)
    rmtree(old, ignore_errors=True)


def remove_file(file: Path) -> None:
    """Remove a file where there is one; it does not come back after a power cut."""
    try:
        file.unlink()
    except FileNotFoundError:
        return
    sync(file.parent)


def remove_folder(folder: Path, *, hidden: Path | None = None) -> None:
    """Remove a folder and all in it where there is one; its name does not come back after a power cut.

    Args:
        folder: to be removed.
        hidden: a free name beside it. The folder has it, also on the disk, before the first file is removed: under
            its own name there is never a part of it.
    """
    if folder.exists():
        if hidden is not None:
            folder = folder.rename(hidden)
            sync(folder.parent)
        with named(folder):
            rmtree(folder)
        sync(folder.parent)


def sync(path: Path) -> None:
    """Wait until the content of a file, or the entries of a folder, are on the disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with named(path):
            os.fsync(descriptor)
    except OSError as error:
        # a read-only file system has nothing to write, and some cannot sync a folder
        if error.errno != errno.EROFS and (error.errno != errno.EINVAL or not path.is_dir()):
            raise
    finally:
        os.close(descriptor)


def sync_all(paths: Sequence[Path]) -> None:
    """Sync each path, in a few threads; one that is gone is left out."""
    threads = min(_THREADS, len(paths))
    shares = [paths[first::threads] for first in range(threads)]
    if threads == 1:
        _sync_each(paths)
    elif shares:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(_sync_each, shares))


def _sync_each(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            sync(path)
        except FileNotFoundError:
            continue
