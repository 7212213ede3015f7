"""Releases of a home, judged by their own manifests: one that is whole here is never replaced by another content.

A release is immutable, so that an object which differs from a whole release of the same id is damaged.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import msgspec

from recsys_assets.storage.copied_files import sha256_of

RELEASES: Final = "releases"
"""Folder of the releases."""
MANIFEST: Final = "manifest.json"
"""The file of a release that is put last, and names the others."""
_IN_RELEASE: Final = 3
"""Parts of the key of a release's file, at least."""


class _File(msgspec.Struct):
    sha256: str


class _Manifest(msgspec.Struct):
    files: dict[str, _File]


def manifest_key(release: str) -> str:
    """Return the key of a release's manifest."""
    return f"{RELEASES}/{release}/{MANIFEST}"


def release_of(key: str) -> str:
    """Return the id of the release that a key is a file of; empty for another key."""
    parts = key.split("/")
    is_file = parts[0] == RELEASES and len(parts) >= _IN_RELEASE and not parts[1].startswith(".")
    return parts[1] if is_file else ""


def checksums_in(manifest: bytes) -> Mapping[str, str] | None:
    """Return the SHA-256 of each file that a manifest names; None where it is damaged."""
    try:
        return {name: one.sha256 for name, one in msgspec.json.decode(manifest, type=_Manifest).files.items()}
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def is_whole_here(root: Path, release: str) -> bool:
    """Return whether the home `root` has a release with every file as its manifest names it; all are read."""
    folder = root / RELEASES / release
    try:
        files = checksums_in((folder / MANIFEST).read_bytes())
        return files is not None and all(sha256_of(folder / name) == one for name, one in files.items())
    except (FileNotFoundError, NotADirectoryError):
        return False


def is_wrong_here(root: Path, key: str, checksum: str) -> bool:
    """Return whether content for `key` is not that of its release, which the home `root` has whole.

    Args:
        root: the home's folder.
        key: of an object.
        checksum: SHA-256 of its content, hexadecimal.
    """
    right = _right_checksum(root, key)
    return right not in {None, checksum} and is_whole_here(root, release_of(key))


def is_kept_whole(root: Path, key: str, listing: Collection[str]) -> bool:
    """Return whether the home `root` keeps a file of a release that a store lost, though it has the release's manifest.

    Args:
        root: the home's folder.
        key: of an object that is gone.
        listing: the keys of the store.
    """
    release = release_of(key)
    return bool(release) and manifest_key(release) in listing and _is_named_and_whole(root, key, release)


def _is_named_and_whole(root: Path, key: str, release: str) -> bool:
    return _right_checksum(root, key) is not None and is_whole_here(root, release)


def _right_checksum(root: Path, key: str) -> str | None:
    """Return the SHA-256 that a file has by the manifest of its release here; None where that does not name it."""
    release = release_of(key)
    manifest = root / manifest_key(release)
    if not release or not manifest.is_file():
        return None
    content = manifest.read_bytes()
    if key == manifest_key(release):
        return sha256_of(content)
    return (checksums_in(content) or {}).get(key.removeprefix(f"{RELEASES}/{release}/"))
