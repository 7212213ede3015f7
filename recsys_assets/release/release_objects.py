"""Releases in an object store: fetched whole into a folder, or not at all.

A release is there once its manifest is, which is put last, under the same names as in a home:
`releases/<id>/manifest.json`.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from recsys_assets.errors import (
    BrokenReleaseError,
    ObjectMissingError,
)
from recsys_assets.release.manifest import (
    MANIFEST_FILE,
    WAY_OUT,
    Manifest,
    check_identity,
    check_sums_once,
    read_manifest,
)
from recsys_assets.storage.atomic import put_folder_in_place, replace_file, staging_folder
from recsys_assets.storage.object_store import ObjectStore

RELEASES: Final = "releases"
"""Folder of the releases, in a home and in a store."""
_FETCHING: Final = ".fetching"
"""Folder beside the releases, of the one that is being fetched."""
_THREADS: Final = 4
"""Files that are fetched at the same time."""

Check = Callable[[], object]


def release_key(release_id: str, name: str = "") -> str:
    """Return the key of a release's file; of its folder, with a slash at its end, where no file is named."""
    return f"{RELEASES}/{release_id}/{name}"


def read_release_manifest(store: ObjectStore, release_id: str) -> Manifest:
    """Return the manifest of a release in a store.

    Raises:
        ObjectMissingError: the store has no such release.
        BrokenReleaseError: it is no manifest.
    """
    return _decoded(store, release_id, store.get(release_key(release_id, MANIFEST_FILE)).content)


def _decoded(store: ObjectStore, release_id: str, content: bytes) -> Manifest:
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        where = f"{store.url}/{release_key(release_id, MANIFEST_FILE)}"
        raise BrokenReleaseError(f"{where}: no readable manifest ({error}); {WAY_OUT}") from error
    return manifest


def releases_in(store: ObjectStore) -> Sequence[str]:
    """Return the ids of the releases that a store has whole, in the order of their ids."""
    keys = (one.key.split("/") for one in store.list(f"{RELEASES}/"))
    return [parts[1] for parts in keys if len(parts) == 3 and parts[2] == MANIFEST_FILE]  # noqa: PLR2004 - a/b/c


def fetch_release(
    store: ObjectStore, release_id: str, releases: Path, *, check: Check = lambda: None
) -> Path:
    """Copy a release of a store into the folder of releases, verified; return its folder.

    One that is there already, with the store's manifest and its checksums, is not fetched again.

    Args:
        store: the object store.
        release_id: the release.
        releases: the home's folder of releases; made if missing.
        check: called before each file; raises where the fetch should end.

    Raises:
        ObjectMissingError: the store has no such release.
        BrokenReleaseError: an object is missing or damaged; the message names it and both checksums.
    """
    content = store.get(release_key(release_id, MANIFEST_FILE)).content
    manifest, target = _decoded(store, release_id, content), releases / release_id
    if _is_whole(target, content):
        return target
    with staging_folder(releases / _FETCHING / release_id) as staged:
        replace_file(staged / MANIFEST_FILE, content)
        check_identity(staged, manifest)
        for folder in sorted({(staged / name).parent for name in manifest.files}):
            folder.mkdir(parents=True, exist_ok=True)
        _fetch_files(store, manifest, staged, check)
        put_folder_in_place(staged, target, old=releases / f".replaced-{release_id}")
    return target


def _fetch_files(store: ObjectStore, manifest: Manifest, staged: Path, check: Check) -> None:
    def fetch(name: str) -> None:
        check()
        fault = _fetch_file(store, manifest, name, staged / name)
        if fault is not None:
            raise BrokenReleaseError(f"{fault}; {WAY_OUT}")

    with ThreadPoolExecutor(_THREADS) as pool:
        fetched = [pool.submit(fetch, name) for name in manifest.files]
        try:
            for one in fetched:
                one.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _is_whole(folder: Path, content: bytes) -> bool:
    """Return True where a folder has this manifest and the files that it names."""
    try:
        if (folder / MANIFEST_FILE).read_bytes() != content:
            return False
        check_sums_once(folder, read_manifest(folder))
    except (OSError, BrokenReleaseError):
        return False
    return True


def _fetch_file(store: ObjectStore, manifest: Manifest, name: str, path: Path) -> str | None:
    """Fetch one file; return why it cannot be used, None where it can."""
    key, entry = release_key(manifest.release_id, name), manifest.files[name]
    try:
        found = store.get_file(key, path)
    except ObjectMissingError:
        return f"{store.url}/{key}: missing, expected {entry.bytes} bytes"
    if found != entry.sha256:
        return f"{store.url}/{key}: sha256 is {found}, expected {entry.sha256}"
    return None


def verify_release(store: ObjectStore, release_id: str, scratch: Path) -> Manifest:
    """Read every file of a release in a store, compare its checksum, and return the manifest.

    Args:
        store: the object store.
        release_id: the release.
        scratch: a folder for one file at a time, which is removed again.

    Raises:
        ObjectMissingError: the store has no such release.
        BrokenReleaseError: names each object that is missing or differs, with the checksums expected and found.
    """
    manifest = read_release_manifest(store, release_id)
    with staging_folder(scratch) as folder:
        faults = [fault for fault in _faults(store, manifest, folder / "file") if fault is not None]
    if faults:
        raise BrokenReleaseError("\n".join([*faults, WAY_OUT]))
    return manifest


def _faults(store: ObjectStore, manifest: Manifest, path: Path) -> Iterator[str | None]:
    for name in manifest.files:
        yield _fetch_file(store, manifest, name, path)
