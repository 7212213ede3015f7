"""A store that is waited for: while it does not answer, a sentence says so, and the same request is sent again.

And the opposite, for who only looks: a store of which one outage is enough.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeVar

from recsys_assets.errors import ObjectChangedError, ObjectExistsError, StoreUnavailableError
from recsys_assets.storage.object_store import ObjectEntry, ObjectStore, StoredObject

Result = TypeVar("Result")
_PAUSE_SECONDS: Final = 0.5
"""Time between two tries; a try itself takes seconds where nobody answers."""


class PatientObjects:
    """Another store, whose outages are waited for."""

    def __init__(
        self,
        store: ObjectStore,
        *,
        say: Callable[[str], object],
        longest: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take a store.

        Args:
            store: the store itself.
            say: called with `s3://bucket/prefix: no answer for 12 s; waiting`, and when it answers again.
            longest: seconds after which an outage is an error; None for never.
            clock: seconds that never go back.
        """
        self._store, self._say, self._longest, self._clock = store, say, longest, clock

    @property
    def url(self) -> str:
        """The store's."""
        return self._store.url

    def get(self, key: str) -> StoredObject:
        """Return an object."""
        return self._waited(lambda: self._store.get(key))

    def get_changed(self, key: str, *, tag: str | None) -> StoredObject | None:
        """Return an object unless it has this tag."""
        return self._waited(lambda: self._store.get_changed(key, tag=tag))

    def put(self, key: str, content: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        """Replace an object; return its tag."""
        return self._waited(lambda: self._store.put(key, content, metadata=metadata))

    def create(self, key: str, content: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        """Make an object that was not there; return its tag."""
        return self._once(key, content, lambda: self._store.create(key, content, metadata=metadata))

    def swap(self, key: str, content: bytes, *, tag: str, metadata: Mapping[str, str] | None = None) -> str:
        """Replace an object that still has this tag; return the new one."""
        return self._once(key, content, lambda: self._store.swap(key, content, tag=tag, metadata=metadata))

    def put_file(self, key: str, path: Path, *, metadata: Mapping[str, str] | None = None) -> str:
        """Replace an object by the content of a file; return its tag."""
        return self._waited(lambda: self._store.put_file(key, path, metadata=metadata))

    def get_file(self, key: str, path: Path) -> str:
        """Write an object into a new file; return its SHA-256."""
        return self._waited(lambda: self._store.get_file(key, path))

    def metadata(self, key: str) -> Mapping[str, str]:
        """Return what was put with an object."""
        return self._waited(lambda: self._store.metadata(key))

    def list(self, prefix: str = "") -> Iterator[ObjectEntry]:
        """Yield the objects whose key begins with `prefix`, in the order of their keys."""
        yield from self._waited(lambda: tuple(self._store.list(prefix)))

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are left out."""
        wanted = tuple(keys)
        self._waited(lambda: self._store.delete(wanted))

    def _once(self, key: str, content: bytes, request: Callable[[], str]) -> str:
        """Send a conditional request; after an outage an earlier try may have succeeded unseen."""
        tries = 0

        def attempt() -> str:
            nonlocal tries
            tries += 1
            try:
                return request()
            except (ObjectExistsError, ObjectChangedError):
                found = self._store.get(key) if tries > 1 else None
                if found is None or found.content != content:
                    raise
                return found.tag

        return self._waited(attempt)

    def _waited(self, request: Callable[[], Result]) -> Result:
        begun = self._clock()
        waited = False
        while True:
            try:
                result = request()
            except StoreUnavailableError:
                seconds = self._clock() - begun
                if self._longest is not None and seconds >= self._longest:
                    raise
                self._say(f"{self.url}: no answer for {seconds:.0f} s; waiting")
                waited = True
                time.sleep(_PAUSE_SECONDS)
            else:
                if waited:
                    self._say(f"{self.url}: answers again, after {self._clock() - begun:.0f} s")
                return result


class TriedOnce(PatientObjects):
    """Another store, whose first outage holds for all later requests: each fails at once, with the same error."""

    def __init__(self, store: ObjectStore) -> None:
        """Take a store whose errors come within seconds."""
        super().__init__(store, say=lambda _: None)
        self._outage: StoreUnavailableError | None = None

    def _waited(self, request: Callable[[], Result]) -> Result:
        if self._outage is not None:
            raise self._outage
        try:
            return request()
        except StoreUnavailableError as error:
            self._outage = error
            raise
