"""The index of a working copy: the object and the local file that each key had when both were the same last."""

import os
from pathlib import Path
from typing import Final

import msgspec

from recsys_assets.storage.atomic import read_file, replace_file
from recsys_assets.storage.day_journal import state_of
from recsys_assets.storage.home import Home

_INDEX: Final = "index.json"
FileState = tuple[int, int, int, int]
"""`day_journal.state_of` a file."""
NO_FILE: Final[FileState] = (-1, 0, 0, 0)
"""State of a file that is not there."""


class CopiedFile(msgspec.Struct, frozen=True, array_like=True):
    """A key whose object and local file had the same content."""

    tag: str
    """The object's tag."""
    sha256: str
    """SHA-256 of the content, hexadecimal."""
    state: FileState
    """State of the local file."""


class CopyIndex(msgspec.Struct, kw_only=True):
    """All keys of a working copy, but for the days of tables."""

    head: str = ""
    """Tag of the store's `.head` that was seen last; empty before the first."""
    number: int = 0
    """Its number of pushes."""
    files: dict[str, CopiedFile] = {}
    """Key -> object and file that were the same."""


def read_index(root: Path) -> CopyIndex:
    """Return the index of the copy in the home `root`; an empty one where there is none, or half of one."""
    try:
        return msgspec.json.decode(read_file(Home(root).copy / _INDEX), type=CopyIndex)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return CopyIndex()


def write_index(root: Path, index: CopyIndex) -> None:
    """Replace the index of the copy in the home `root`."""
    replace_file(Home(root).copy / _INDEX, msgspec.json.encode(index))


def local_state(file: Path) -> FileState:
    """Return the state of a local file; `NO_FILE` where there is none."""
    try:
        return state_of(os.stat(file))  # noqa: PTH116  half the time of a Path
    except (FileNotFoundError, NotADirectoryError):
        return NO_FILE
