"""Releases in an object store, as a working copy puts them: the manifest last."""

from pathlib import Path

from recsys_assets.release.manifest import MANIFEST_FILE
from recsys_assets.release.release_objects import release_key
from recsys_assets.storage.object_store import ObjectStore


def put_release(store: ObjectStore, folder: Path) -> None:
    """Put every file of a release into a store."""
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST_FILE]
    for file in (*files, folder / MANIFEST_FILE):
        store.put_file(release_key(folder.name, file.relative_to(folder).as_posix()), file)
