"""Objects by key in a folder, in memory or in S3: one interface, so that no caller knows which form it has.

An object is replaced as a whole. Its *tag* names its content at the store: `swap` replaces an object only while it has
the tag that the caller saw, and `create` only where there is none, so that of several writers exactly one wins.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol


class ObjectEntry(NamedTuple):
    """One object in a listing."""

    key: str
    """Its key, without the store's prefix."""
    size: int
    """Bytes."""
    tag: str
    """The store's tag of this content."""


class StoredObject(NamedTuple):
    """One object and its content."""

    content: bytes
    """All bytes."""
    tag: str
    """The store's tag of this content."""
    metadata: Mapping[str, str]
    """Names and values that were put with it; names in lower case."""


class ObjectStore(Protocol):
    """Objects by key; keys are relative, `lake/raw/date=2017-01-01/part-0.parquet`.

    Every method raises `StoreUnavailableError` where the store does not answer, after a few tries, and
    `ObjectStoreError` where it rejects the request.
    """

    @property
    def url(self) -> str:
        """The store in words, without credentials: `s3://bucket/prefix`, or a folder."""

    def get(self, key: str) -> StoredObject:
        """Return an object.

        Raises:
            ObjectMissingError: there is none of this key.
        """

    def get_changed(self, key: str, *, tag: str | None) -> StoredObject | None:
        """Return an object unless it has this tag, then None: its content is not sent again.

        Raises:
            ObjectMissingError: there is none of this key.
        """

    def put(self, key: str, content: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        """Replace an object, whatever was there; return its tag."""

    def create(self, key: str, content: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        """Make an object that was not there; return its tag.

        Raises:
            ObjectExistsError: one of this key is there.
        """

    def swap(self, key: str, content: bytes, *, tag: str, metadata: Mapping[str, str] | None = None) -> str:
        """Replace an object that still has this tag; return the new one.

        The content must differ from the one before, since the same bytes have the same tag at some stores.

        Raises:
            ObjectChangedError: it has another tag, or is gone.
        """

    def metadata(self, key: str) -> Mapping[str, str]:
        """Return what was put with an object, without its content.

        Raises:
            ObjectMissingError: there is none of this key.
        """

    def list(self, prefix: str = "") -> Iterator[ObjectEntry]:
        """Yield the objects whose key begins with `prefix`, in the order of their keys."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are left out."""
