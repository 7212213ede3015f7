"""Which files of a release were read and found right, so that a restart need not read gigabytes again.

A stamp is a file's device, inode, size and times of change. Whatever writes, replaces or copies a file changes its
stamp (the time of change cannot be set back by a program), and it is read again. What a stamp cannot see is a disk
that decays without being written: `recsys releases verify` reads everything, always.
"""

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from recsys_assets.release.manifest import Manifest, check_sizes, check_sums
from recsys_assets.storage.atomic import replace_file

STAMPS: Final = ".verified"
"""Folder beside the releases, one file a release."""
SETTLED_SECONDS: Final = 2.0
"""A file changed more recently gets no stamp: clocks of file systems are coarse, and a second change in the same
tick would not be seen."""

Stamp = tuple[int, int, int, int, int]
"""Device, inode, bytes, and when the content and the entry changed, ns."""
Stamps = Mapping[str, tuple[str, Stamp]]
"""File -> the checksum that it was found to have, and its stamp then."""


def check_sums_once(folder: Path, manifest: Manifest, *, settled_seconds: float = SETTLED_SECONDS) -> None:
    """`check_sums` of the files that were not found right before, or have changed since.

    Args:
        folder: a release.
        manifest: its manifest.
        settled_seconds: how long ago a file must have changed last to get a stamp.

    Raises:
        BrokenReleaseError: names each file that differs, with the checksum expected and found.
    """
    check_sizes(folder, manifest)
    known = _read(folder)
    # taken before reading, so that a change in between makes the stamp stale
    stamps = {name: (entry.sha256, _stamp(folder / name)) for name, entry in manifest.files.items()}
    unknown = [name for name, stamp in stamps.items() if known.get(name) != stamp]
    if not unknown:
        return
    settled = time.time_ns() - int(settled_seconds * 1e9)
    check_sums(folder, manifest, only=unknown)
    found = {name: stamp for name, stamp in stamps.items() if max(stamp[1][3:]) < settled}
    with contextlib.suppress(OSError):  # a read-only or full disk: the next start reads again
        _file(folder).parent.mkdir(exist_ok=True)
        replace_file(_file(folder), msgspec.json.encode(found))


def _read(folder: Path) -> Stamps:
    try:
        return msgspec.json.decode(_file(folder).read_bytes(), type=dict[str, tuple[str, Stamp]])
    except (OSError, msgspec.DecodeError):
        return {}


def _file(folder: Path) -> Path:
    return folder.parent / STAMPS / f"{folder.name}.json"


def _stamp(path: Path) -> Stamp:
    found = path.stat()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
