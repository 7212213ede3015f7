"""The manifest: what a release is made of, with checksums, and how its id follows from its content."""

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from recsys_assets.errors import BrokenReleaseError

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
