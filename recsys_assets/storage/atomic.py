"""Files and folders replaced as one thing: a reader sees the old one or the new one, never a part of one.

Everything that is replaced is first written to a hidden sibling (`staging_path`), then renamed over its target.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree


def staging_path(target: Path) -> Path:
    """The hidden sibling where the next content of `target` is written."""
    return target.with_name(f".{target.name}.staged")


@contextmanager
def replaced_file(target: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a path to write to, which takes `target`'s place when the block ends well; else nothing changes.

    Args:
        target: the file to replace; its folder is made where missing.
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


def replace_file(target: Path, content: bytes, *, durable: bool = True, mode: int = 0o666) -> None:
    """Replace `target` by `content`.

    Args:
        target: the file; its folder is made where missing.
        content: all of it.
        durable: as in `replaced_file`.
        mode: permissions of the new file, less the process's umask.
    """
    with replaced_file(target, durable=durable) as staged:
        staged.unlink(missing_ok=True)
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)


def put_in_place(staged: Path, target: Path, *, durable: bool = False) -> None:
    """Rename a staged file over `target`; with `durable` both survive a power cut from then on."""
    if durable:
        sync(staged)
    staged.replace(target)
    if durable:
        sync(target.parent)


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Yield a new empty folder that takes `folder`'s place when the block ends well; else nothing changes."""
    staged, old = staging_path(folder), folder.with_name(f".{folder.name}.old")
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


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
