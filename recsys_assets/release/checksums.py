"""The manifest: what a release is made of, with checksums, and how its id follows from its content."""

import contextlib
import hashlib
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.release.manifest import WAY_OUT, Manifest
from recsys_assets.storage.atomic import replace_file


def check_sizes(folder: Path, manifest: Manifest) -> None:
    """Cheap: every file is there with the size it was published with (finds what was cut short).

    Raises:
        BrokenReleaseError: the first file that is not.
    """
    for name, entry in manifest.files.items():
        try:
            found = (folder / name).stat().st_size
        except OSError:
            raise BrokenReleaseError(
                f"{folder / name}: missing, expected {entry.bytes} bytes; {WAY_OUT}"
            ) from None
        if found != entry.bytes:
            raise BrokenReleaseError(f"{folder / name}: {found} bytes, expected {entry.bytes}; {WAY_OUT}")


def check_sums(folder: Path, manifest: Manifest, *, only: Collection[str] | None = None) -> None:
    """Read everything, or `only` these files, and compare checksums.

    Raises:
        BrokenReleaseError: names each file that differs, with the checksum expected and found.
    """
    check_sizes(folder, manifest)
    # the largest first, so that no core waits for one at the end
    names = sorted(
        manifest.files if only is None else only, key=lambda name: manifest.files[name].bytes, reverse=True
    )
    with ThreadPoolExecutor() as pool:  # hashing lets go of the interpreter, so files are read side by side
        found = dict(zip(names, pool.map(lambda name: sha256(folder / name), names), strict=True))
    wrong = [
        f"{folder / name}: sha256 is {found[name]}, expected {entry.sha256}"
        for name, entry in manifest.files.items()
        if name in found and found[name] != entry.sha256
    ]
    if wrong:
        raise BrokenReleaseError("\n".join([*wrong, WAY_OUT]))


def sha256(path: Path) -> str:
    """Checksum of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
