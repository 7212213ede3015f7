"""Releases that are in a store already: one that is whole there stays as it is, a broken one is put again.

A release is immutable and has its files' checksums in its manifest, so that a home can tell a store's damage from a
change: it puts its own release in place of one that lost a file, never in place of another content.
"""

from collections.abc import Collection

from recsys_assets.errors import ObjectMissingError, ObjectStoreError
from recsys_assets.storage.copied_files import sha256_of
from recsys_assets.storage.whole_releases import (
    MANIFEST,
    RELEASES,
    checksums_in,
    is_whole_here,
    manifest_key,
)
from recsys_assets.storage.working_copy import WorkingCopy


def broken_releases(copy: WorkingCopy, releases: Collection[str]) -> list[str]:
    """Return the releases that are not whole in the store, as this home saw it last, and are whole in the home."""
    return [
        one for one in sorted(releases) if not _is_whole_there(copy, one) and is_whole_here(copy.root, one)
    ]


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
        is_new = parts[0] == RELEASES and parts[-1] == MANIFEST and key not in copy.index.files
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
        files = checksums_in(copy.objects.get(manifest_key(release)).content)
    except ObjectMissingError:
        return False
    known = copy.index.files
    return files is not None and all(
        (key := f"{RELEASES}/{release}/{name}") in known and known[key].sha256 == checksum
        for name, checksum in files.items()
    )
