"""Releases that are in a store already: one that is whole there stays as it is, a broken one is put again.

A release is immutable and has its files' checksums in its manifest, so that a home can tell a store's damage from a
change: it puts its own release in place of one that lost a file, never in place of another content.
"""

from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from recsys_assets.errors import ObjectMissingError, ObjectStoreError
from recsys_assets.storage.copied_files import sha256_of
from recsys_assets.storage.working_copy import WorkingCopy

_FOLDER: Final = "releases"
_MANIFEST: Final = "manifest.json"


class _File(msgspec.Struct):
    sha256: str


class _Manifest(msgspec.Struct):
    files: dict[str, _File]


def manifest_key(release: str) -> str:
    """Return the key of a release's manifest."""
    return f"{_FOLDER}/{release}/{_MANIFEST}"


def broken_releases(copy: WorkingCopy, releases: Collection[str]) -> list[str]:
    """Return the releases that are not whole in the store, as this home saw it last, and are whole in the home."""
    return [one for one in sorted(releases) if not _is_whole_there(copy, one) and _is_whole_here(copy, one)]


def withdraw_manifests(copy: WorkingCopy, releases: Collection[str]) -> set[str]:
    """Remove the manifests of broken releases, which are no releases any more until all is put; return their keys."""
    keys = {manifest_key(release) for release in releases}
    copy.objects.delete(sorted(keys))
    for key in keys:
        copy.index.files.pop(key, None)
    return keys


def require_same_releases(copy: WorkingCopy, keys: Collection[str]) -> None:
    """Check before a file of a release is put that the store has no other release of its id.

    Raises:
        ObjectStoreError: a release of this id is there with another content.
    """
    for key in keys:
        parts = key.split("/")
        is_new = parts[0] == _FOLDER and parts[-1] == _MANIFEST and key not in copy.index.files
        if is_new:
            require_same_manifest(copy, key)


def require_same_manifest(copy: WorkingCopy, key: str) -> str | None:
    """Return the tag of a manifest that the store has as the home has it; None where it has none.

    Raises:
        ObjectStoreError: a release of this id is there with another content.
    """
    try:
        there = copy.objects.get(key)
        here = (copy.root / key).read_bytes()
    except (ObjectMissingError, FileNotFoundError):
        return None
    if there.content == here:
        return there.tag
    raise ObjectStoreError(
        f"{copy.objects.url}/{key}: a release of this id is there with another content (SHA-256"
        f" {sha256_of(there.content)[:12]}…, here {sha256_of(here)[:12]}…); remove the one that is wrong"
    )


def _is_whole_there(copy: WorkingCopy, release: str) -> bool:
    try:
        files = _files(copy.objects.get(manifest_key(release)).content)
    except ObjectMissingError:
        return False
    known = copy.index.files
    keys = {f"{_FOLDER}/{release}/{name}": one.sha256 for name, one in (files or {}).items()}
    return files is not None and all(
        key in known and known[key].sha256 == checksum for key, checksum in keys.items()
    )


def _is_whole_here(copy: WorkingCopy, release: str) -> bool:
    folder = copy.root / _FOLDER / release
    try:
        files = _files((folder / _MANIFEST).read_bytes())
        return files is not None and all(
            sha256_of(folder / name) == one.sha256 for name, one in files.items()
        )
    except FileNotFoundError:
        return False


def _files(content: bytes) -> Mapping[str, _File] | None:
    """Return the files that a manifest names; None where it is damaged."""
    try:
        return msgspec.json.decode(content, type=_Manifest).files
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
