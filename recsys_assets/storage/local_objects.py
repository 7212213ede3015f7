"""Objects as files of a folder, for one machine or a shared file system with locks: rename and flock.

The content of an object is the file of its name; its metadata lies in `.objects/` under its tag, so that a reader never
joins the metadata of one version to the content of another.
"""

import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from recsys_assets.errors import ObjectChangedError, ObjectExistsError, ObjectMissingError, ObjectStoreError
from recsys_assets.storage.atomic import make_folder, put_in_place, remove_file, replace_file
from recsys_assets.storage.locks import locked
from recsys_assets.storage.object_store import (
    ObjectEntry,
    StoredObject,
    checked_key,
    decoded_metadata,
    encoded_metadata,
)

_BESIDE: Final = ".objects"
"""Folder of the lock, of files being written, and of metadata."""
_NO_FILE: Final = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR}
_TRIES: Final = 100
"""Reads of an object that is replaced each time while it is read."""


class LocalObjects:
    """A folder of objects; a tag is the SHA-256 of the content."""

    def __init__(self, root: Path) -> None:
        """Take a folder, which may not exist."""
        self._root = root
        self._beside = root / _BESIDE
        self._tags: dict[Path, tuple[tuple[int, int, int], str]] = {}

    @property
    def url(self) -> str:
        """The folder."""
        return str(self._root)

    def get(self, key: str) -> StoredObject:
        """Return an object."""
        path = self._path(key)
        for _ in range(_TRIES):
            content, version = self._read(key)
            tag = hashlib.sha256(content).hexdigest()
            kept = self._kept(key, tag)
            if _version(path) == version:
                return StoredObject(content, tag, kept)
        raise ObjectChangedError(f"{path}: is replaced all the time; read it again")

    def get_changed(self, key: str, *, tag: str | None) -> StoredObject | None:
        """Return an object unless it has this tag."""
        return None if tag is not None and self._tag(key) == tag else self.get(key)

    def put(self, key: str, content: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        """Replace an object; return its tag."""
        with self._staged(key) as staged:
            replace_file(staged, content)
            return self._place(staged, key, hashlib.sha256(content).hexdigest(), metadata)

    def create(self, key: str, content: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        """Make an object that was not there; return its tag."""
        with self._staged(key) as staged:
            replace_file(staged, content)
            return self._place(staged, key, hashlib.sha256(content).hexdigest(), metadata, new=True)

    def swap(self, key: str, content: bytes, *, tag: str, metadata: Mapping[str, str] | None = None) -> str:
        """Replace an object that still has this tag; return the new one."""
        with self._staged(key) as staged:
            replace_file(staged, content)
            return self._place(staged, key, hashlib.sha256(content).hexdigest(), metadata, before=tag)

    def put_file(self, key: str, path: Path, *, metadata: Mapping[str, str] | None = None) -> str:
        """Replace an object by the content of a file; return its tag."""
        with self._staged(key) as staged:
            shutil.copyfile(path, staged)
            return self._place(staged, key, _checksum(staged), metadata)

    def get_file(self, key: str, path: Path) -> str:
        """Write an object into a new file; return its SHA-256."""
        try:
            shutil.copyfile(self._path(key), path)
        except OSError as error:
            self._raise_missing(key, error)
            raise
        return _checksum(path)

    def metadata(self, key: str) -> Mapping[str, str]:
        """Return what was put with an object."""
        path = self._path(key)
        for _ in range(_TRIES):
            tag = self._tag(key)
            kept = self._kept(key, tag)
            if self._tag(key) == tag:
                return kept
        raise ObjectChangedError(f"{path}: is replaced all the time; read it again")

    def list(self, prefix: str = "") -> Iterator[ObjectEntry]:
        """Yield the objects whose key begins with `prefix`, in the order of their keys; reads each new file once."""
        found = []
        for folder, folders, names in os.walk(self._root / prefix.rpartition("/")[0]):
            if Path(folder) == self._root and _BESIDE in folders:
                folders.remove(_BESIDE)
            within = Path(folder).relative_to(self._root)
            found += [key for name in names if (key := (within / name).as_posix()).startswith(prefix)]
        for key in sorted(found):
            try:
                yield ObjectEntry(key, self._path(key).stat().st_size, self._tag(key))
            except (FileNotFoundError, ObjectMissingError):  # removed since
                continue

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects and folders that are empty then; those that are not there are left out."""
        for key in keys:
            path = self._path(key)
            with self._locked():
                if path.is_file():
                    remove_file(path)
                shutil.rmtree(self._beside / "metadata" / key, ignore_errors=True)
                self._tags.pop(path, None)
                for folder in path.parents:
                    if folder == self._root or not folder.is_dir() or any(folder.iterdir()):
                        break
                    folder.rmdir()

    def _path(self, key: str) -> Path:
        if checked_key(key).split("/")[0] == _BESIDE:
            raise ObjectStoreError(
                f"key {key[:200]!r}: the folder {_BESIDE} is the store's own; take another name"
            )
        return self._root / key

    def _read(self, key: str) -> tuple[bytes, tuple[int, int, int]]:
        try:
            with self._path(key).open("rb") as file:
                return file.read(), _identity(os.fstat(file.fileno()))
        except OSError as error:
            self._raise_missing(key, error)
            raise

    def _tag(self, key: str) -> str:
        """Return the tag of an object; its content is read once a version."""
        path = self._path(key)
        known = self._tags.get(path)
        if known is None or known[0] != _version(path):
            content, version = self._read(key)
            known = self._tags[path] = (version, hashlib.sha256(content).hexdigest())
        return known[1]

    def _raise_missing(self, key: str, error: OSError) -> None:
        if error.errno in _NO_FILE:
            raise ObjectMissingError(f"{self._root / key}: no such object") from error

    def _kept(self, key: str, tag: str) -> Mapping[str, str]:
        try:
            return decoded_metadata(json.loads(self._beside_file(key, tag).read_bytes()))
        except FileNotFoundError:
            return {}

    def _beside_file(self, key: str, tag: str) -> Path:
        return self._beside / "metadata" / key / f"{tag}.json"

    @contextmanager
    def _staged(self, key: str) -> Iterator[Path]:
        self._path(key)
        staged = self._beside / "staged" / uuid.uuid4().hex
        make_folder(staged.parent)
        try:
            yield staged
        finally:
            staged.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with locked(self._beside / "lock"):
            yield

    def _place(
        self,
        staged: Path,
        key: str,
        tag: str,
        metadata: Mapping[str, str] | None,
        *,
        new: bool = False,
        before: str | None = None,
    ) -> str:
        """Move a staged file to its name where the condition holds, its metadata first; return its tag."""
        encoded, path, beside = encoded_metadata(metadata), self._path(key), self._beside_file(key, tag)
        with self._locked():
            if new and path.exists():
                raise ObjectExistsError(f"{path}: is there already")
            if before is not None and (not path.is_file() or self._tag(key) != before):
                raise ObjectChangedError(f"{path}: another writer replaced it meanwhile; read it again")
            try:
                make_folder(path.parent)
                if encoded:
                    replace_file(beside, json.dumps(encoded).encode())
                put_in_place(staged, path)
            except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
                raise ObjectStoreError(
                    f"{path}: a part of this key is an object, or it is a folder"
                ) from error
            for other in beside.parent.glob("*.json") if beside.parent.is_dir() else ():
                if not encoded or other != beside:
                    remove_file(other)
        return tag


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _version(path: Path) -> tuple[int, int, int] | None:
    try:
        return _identity(path.stat())
    except OSError:
        return None


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_mtime_ns, status.st_size
