"""The manifest of a release: its files with their checksums, and the id that follows from its content."""

import contextlib
import hashlib
import json
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from recsys_assets.errors import BrokenReleaseError, OtherFormatError
from recsys_assets.storage.atomic import read_file, replace_file

MANIFEST_FILE: Final = "manifest.json"
FORMAT: Final = 2
"""Version of the layout, raised whenever a release's files or their meaning change; part of the id."""

WAY_OUT: Final = "publish the release again (`recsys build`) or roll back"
"""The remedy that messages about a broken release end with."""

_DERIVED: Final = ("item_index.", "candidates_", "neighbours_", "training.json")
"""Beginnings of the names of files that hold timings, or come from a search that was chosen by timings. They are
no part of the id; their checksums are verified like those of all files."""


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Checksum and size of one file, as published."""

    sha256: str
    """SHA-256, hexadecimal."""
    bytes: int
    """Size in bytes."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Description of a release, for readers that don't open its other files."""

    release_id: str
    """`<through_day as YYYYMMDD>-<10 hex digits of the content>`."""
    created_at: datetime
    """Time of its first publication, UTC."""
    first_day: date
    """First UTC day of its events."""
    through_day: date
    """Last UTC day of its events."""
    counts: dict[str, int]
    """Numbers of `users`, `items`, `events`, …"""
    settings: dict[str, Any]
    """The settings it was built with."""
    metrics: dict[str, float]
    """Metrics on held-out days, by name."""
    index: dict[str, Any]
    """The index report: the searches measured and the one chosen."""
    lineage: dict[date, str]
    """Day -> checksum of its partition of `interactions` at build time."""
    files: dict[str, FileEntry]
    """Path in the folder -> checksum and size."""
    accepted: dict[date, list[str]] = {}
    """Rejected day that was accepted all the same -> by whom, why and when; no part of the id."""
    format: int = FORMAT
    """Version of the layout."""
    rewritten_from: str = ""
    """Id of the release that this one was, before users were forgotten in it; empty where none were."""
    forgets: list[int] = []
    """Numbers of the forgets that rewrote it, the first one first; no part of the id."""
    sequence: int = 0
    """Place among the releases of its home in the order of publication, from 1; 0 of an earlier version's."""
    seal: str = ""
    """SHA-256 of all else that the manifest says, hexadecimal; empty of an earlier version's."""


def release_id(
    through_day: date,
    files: Mapping[str, FileEntry],
    settings: Mapping[str, Any],
    lineage: Mapping[date, str],
) -> str:
    """Return the id of this content; time is no part of it, so a rebuild of the same content has the same id."""
    content = {
        "format": FORMAT,
        "files": {name: entry.sha256 for name, entry in files.items() if not name.startswith(_DERIVED)},
        "settings": settings,
        "lineage": {day.isoformat(): checksum for day, checksum in lineage.items()},
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return f"{through_day:%Y%m%d}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Write `manifest.json` into a staged release, and return it with its seal."""
    sealed = msgspec.structs.replace(manifest, seal=_seal(msgspec.json.encode(manifest)))
    content = msgspec.json.format(msgspec.json.encode(sealed), indent=1) + b"\n"
    (folder / MANIFEST_FILE).write_bytes(content)
    return sealed


def _seal(content: bytes) -> str:
    """Return the SHA-256 of a manifest's values without its seal; how they are written does not count."""
    values = json.loads(content)
    values.pop("seal", None)
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class _Layout(msgspec.Struct, frozen=True):
    """The part of a manifest that every version reads."""

    format: int


def read_manifest(folder: Path) -> Manifest:
    """Read `manifest.json`.

    Raises:
        BrokenReleaseError: the file is missing, not a manifest, or of a format that this version doesn't read.
    """
    path = folder / MANIFEST_FILE
    try:
        content = read_file(path)
        found = msgspec.json.decode(content, type=_Layout).format
        if found != FORMAT:
            raise OtherFormatError(f"{path}: format {found}, this version reads {FORMAT}; {WAY_OUT}")
        return msgspec.json.decode(content, type=Manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenReleaseError(f"{path}: no readable manifest ({error}); {WAY_OUT}") from error


def check_identity(folder: Path, manifest: Manifest) -> None:
    """Check that the manifest is the one that was published under the folder's name.

    The id is derived again from content, settings and lineage; the seal covers the rest.

    Raises:
        BrokenReleaseError: the manifest was edited, or the folder was renamed.
    """
    derived = release_id(manifest.through_day, manifest.files, manifest.settings, manifest.lineage)
    path = folder / MANIFEST_FILE
    if not derived == manifest.release_id == folder.name:
        raise BrokenReleaseError(
            f"{path}: says {manifest.release_id} and its content gives {derived}, so it was edited or its folder"
            f" renamed; {WAY_OUT}"
        )
    if manifest.seal and _seal(read_file(path)) != manifest.seal:
        raise BrokenReleaseError(f"{path}: edited since it was published; {WAY_OUT}")


def check_sizes(folder: Path, manifest: Manifest) -> None:
    """Check that every file exists and has its published size: cheap, and finds files that were cut short.

    Raises:
        BrokenReleaseError: names the first file that is missing or has another size.
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
    """Read the files and compare their checksums.

    Args:
        folder: a release.
        manifest: its manifest.
        only: the files to read; None for all.

    Raises:
        BrokenReleaseError: names each file that differs, with the checksums expected and found.
    """
    check_sizes(folder, manifest)
    # the largest first, so that no core is left with a large one at the end
    names = sorted(
        manifest.files if only is None else only, key=lambda name: manifest.files[name].bytes, reverse=True
    )
    with ThreadPoolExecutor() as pool:  # hashing releases the interpreter, so threads run in parallel
        found = dict(zip(names, pool.map(lambda name: _sum_or_reason(folder / name), names), strict=True))
    wrong = [
        f"{folder / name}: sha256 is {found[name]}, expected {entry.sha256}"
        for name, entry in manifest.files.items()
        if name in found and found[name] != entry.sha256
    ]
    if wrong:
        raise BrokenReleaseError("\n".join([*wrong, WAY_OUT]))


def _sum_or_reason(path: Path) -> str:
    """Return a file's checksum, else why it cannot be read, which is no file's checksum."""
    try:
        return sha256(path)
    except OSError as error:
        return f"unknown ({error.strerror})"


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


STAMPS: Final = ".verified"
"""Folder beside the releases with the stamps of verified files, one JSON file a release."""
_SETTLED_SECONDS: Final = 2.0
"""A file that changed more recently gets no stamp: file systems have coarse clocks, and a second change in the
same tick would not be noticed."""

_Stamp = tuple[int, int, int, int, int]
"""Device, inode, size in bytes, and the times of the last change of content and of metadata, ns."""


def check_sums_once(folder: Path, manifest: Manifest, *, settled_seconds: float = _SETTLED_SECONDS) -> None:
    """Check the manifest, and compare the checksums of the files that were never verified or have changed since.

    A verified file is remembered by its stamp (inode, size, times of change).

    Args:
        folder: a release.
        manifest: its manifest.
        settled_seconds: least age of a file's last change for it to get a stamp.

    Raises:
        BrokenReleaseError: names each file that differs, with the checksums expected and found.
    """
    check_identity(folder, manifest)
    check_sizes(folder, manifest)
    known = _read_stamps(folder)
    # taken before reading, so that a change in between makes the stamp stale
    stamps = {name: (entry.sha256, _stamp(folder / name)) for name, entry in manifest.files.items()}
    unknown = [name for name, stamp in stamps.items() if known.get(name) != stamp]
    if not unknown:
        return
    settled = time.time_ns() - int(settled_seconds * 1e9)
    check_sums(folder, manifest, only=unknown)
    found = {name: stamp for name, stamp in stamps.items() if max(stamp[1][3:]) < settled}
    with contextlib.suppress(OSError):  # a read-only or full disk: the next start reads the files again
        replace_file(_stamps_file(folder), msgspec.json.encode(found))


def _read_stamps(folder: Path) -> Mapping[str, tuple[str, _Stamp]]:
    """Read the checksum and stamp of each verified file."""
    try:
        return msgspec.json.decode(_stamps_file(folder).read_bytes(), type=dict[str, tuple[str, _Stamp]])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _stamps_file(folder: Path) -> Path:
    return folder.parent / STAMPS / f"{folder.name}.json"


def _stamp(path: Path) -> _Stamp:
    found = path.stat()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
