"""Objects in the memory of one process: the shortest form of a store, for tests and trials."""

import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from recsys_assets.errors import ObjectChangedError, ObjectExistsError, ObjectMissingError
from recsys_assets.storage.object_store import (
    ObjectEntry,
    StoredObject,
    checked_key,
    decoded_metadata,
    encoded_metadata,
)

_URL: Final = "memory:"


class MemoryObjects:
    """A store that ends with its process; a tag is the SHA-256 of the content."""

    def __init__(self) -> None:
        """Begin without objects."""
        self._objects: dict[str, StoredObject] = {}
        self._changing = threading.Lock()

    @property
    def url(self) -> str:
        """`memory:`."""
        return _URL

    def get(self, key: str) -> StoredObject:
        """Return an object."""
        found = self._objects.get(checked_key(key))
        if found is None:
            raise ObjectMissingError(f"{_URL}/{key}: no such object")
        return found

    def get_changed(self, key: str, *, tag: str | None) -> StoredObject | None:
        """Return an object unless it has this tag."""
        found = self.get(key)
        return None if found.tag == tag else found

    def put(self, key: str, content: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        """Replace an object; return its tag."""
        made = self._made(key, content, metadata)
        with self._changing:
            self._objects[key] = made
        return made.tag

    def create(self, key: str, content: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        """Make an object that was not there; return its tag."""
        made = self._made(key, content, metadata)
        with self._changing:
            if key in self._objects:
                raise ObjectExistsError(f"{_URL}/{key}: is there already")
            self._objects[key] = made
        return made.tag

    def swap(self, key: str, content: bytes, *, tag: str, metadata: Mapping[str, str] | None = None) -> str:
        """Replace an object that still has this tag; return the new one."""
        made = self._made(key, content, metadata)
        with self._changing:
            found = self._objects.get(key)
            if found is None or found.tag != tag:
                raise ObjectChangedError(f"{_URL}/{key}: another writer replaced it meanwhile; read it again")
            self._objects[key] = made
        return made.tag

    @staticmethod
    def _made(key: str, content: bytes, metadata: Mapping[str, str] | None) -> StoredObject:
        checked_key(key)
        kept = decoded_metadata(encoded_metadata(metadata))
        return StoredObject(content, hashlib.sha256(content).hexdigest(), kept)

    def put_file(self, key: str, path: Path, *, metadata: Mapping[str, str] | None = None) -> str:
        """Replace an object by the content of a file; return its tag."""
        return self.put(key, path.read_bytes(), metadata=metadata)

    def get_file(self, key: str, path: Path) -> str:
        """Write an object into a new file; return its SHA-256."""
        found = self.get(key)
        path.write_bytes(found.content)
        return found.tag

    def metadata(self, key: str) -> Mapping[str, str]:
        """Return what was put with an object."""
        return self.get(key).metadata

    def list(self, prefix: str = "") -> Iterator[ObjectEntry]:
        """Yield the objects whose key begins with `prefix`, in the order of their keys."""
        with self._changing:
            found = sorted((key, one) for key, one in self._objects.items() if key.startswith(prefix))
        for key, one in found:
            yield ObjectEntry(key, len(one.content), one.tag)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are left out."""
        for key in keys:
            with self._changing:
                self._objects.pop(checked_key(key), None)
