"""Files and folders replaced as one thing: a reader sees the old one or the new one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree


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


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` into `path`: a reader sees the old or the new, also after a power cut."""
    staged = path.with_name(f".{path.name}.staged")
    with staged.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    staged.replace(path)
