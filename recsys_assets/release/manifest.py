"""The manifest: what a release is made of, with checksums, and how its id follows from its content."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.storage.atomic import replace_file

MANIFEST_FILE: Final = "manifest.json"
FORMAT: Final = 1
"""Raised whenever a release's files or their meaning change; part of the id."""

WAY_OUT: Final = "publish the release again (`recsys build`) or roll back"
"""What to do about a broken release."""

_DERIVED: Final = ("item_index.", "candidates_", "neighbours_", "training.json")
"""Files that hold timings, or follow from other files by a search chosen by timings. They do not count for
the id; their checksums are verified like any other's."""


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One file as it was published."""

    sha256: str
    """Checksum, hexadecimal."""
    bytes: int
    """Size."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known of a release without opening its files."""

    release_id: str
    """`<through_day as YYYYMMDD>-<10 hex digits of the content>`."""
    created_at: datetime
    """When it was published first, UTC."""
    first_day: date
    """First day of the events in it."""
    through_day: date
    """Last day of the events in it."""
    counts: dict[str, int]
    """`users`, `items`, `events`, …"""
    settings: dict[str, Any]
    """The settings it was built with."""
    metrics: dict[str, float]
    """Held-out quality, by name."""
    index: dict[str, Any]
    """What the index build found and chose."""
    lineage: dict[date, str]
    """Each day's partition of `interactions` -> its checksum when this was built."""
    files: dict[str, FileEntry]
    """Path inside the folder -> checksum and size."""
    accepted: dict[date, list[str]] = {}
    """Days in it whose audit had refused them -> who let them through, why and when; no part of the content."""
    format: int = FORMAT
    """Version of the layout."""


def release_id(
    through_day: date,
    files: Mapping[str, FileEntry],
    settings: Mapping[str, Any],
    lineage: Mapping[date, str],
) -> str:
    """The id of this content; time does not count, so that building again finds the same release."""
    content = {
        "format": FORMAT,
        "files": {name: entry.sha256 for name, entry in files.items() if not name.startswith(_DERIVED)},
        "settings": settings,
        "lineage": {day.isoformat(): checksum for day, checksum in lineage.items()},
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return f"{through_day:%Y%m%d}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json` and see it onto the disk."""
    with (folder / MANIFEST_FILE).open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_manifest(folder: Path) -> Manifest:
    """Read `manifest.json`.

    Raises:
        BrokenReleaseError: it is missing, not a manifest, or of a format that this version does not read.
    """
    path = folder / MANIFEST_FILE
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise BrokenReleaseError(f"{path}: no readable manifest ({error}); {WAY_OUT}") from error
    if manifest.format != FORMAT:
        raise BrokenReleaseError(
            f"{path}: format {manifest.format}, this version reads {FORMAT}; publish again"
        )
    return manifest


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
