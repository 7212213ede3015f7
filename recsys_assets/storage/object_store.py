"""Objects by key in a folder, in memory or in S3: one interface, so that no caller knows which form it has.

An object is replaced as a whole. Its *tag* names its content at the store: `swap` replaces an object only while it has
the tag that the caller saw, and `create` only where there is none, so that of several writers exactly one wins.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple, Protocol
from urllib.parse import quote, unquote

from recsys_assets.errors import ObjectStoreError


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

    A key is never a folder of another one, since a folder holds either a file or a folder of one name. Threads may
    share a store; a forked process opens its own. Every method raises `StoreUnavailableError` where the store does not
    answer, after a few tries, and `ObjectStoreError` where it rejects the request.
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

    def put_file(self, key: str, path: Path, *, metadata: Mapping[str, str] | None = None) -> str:
        """Replace an object by the content of a file, in parts; return its tag. Readers see all of it or nothing."""

    def get_file(self, key: str, path: Path) -> str:
        """Write an object into a new file, in parts; return its SHA-256, hexadecimal.

        The file is not synced: the caller stages it. What stood at `path` is overwritten.

        Raises:
            ObjectMissingError: there is none of this key.
        """

    def metadata(self, key: str) -> Mapping[str, str]:
        """Return what was put with an object, without its content.

        Raises:
            ObjectMissingError: there is none of this key.
        """

    def list(self, prefix: str = "") -> Iterator[ObjectEntry]:
        """Yield the objects whose key begins with `prefix`, in the order of their keys.

        A store reads all names of the prefix's folder first: give a prefix that ends in `/` where it can.
        """

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are left out."""


METADATA_BYTES: Final = 2_048
"""Most bytes of names and values of one object; S3's own bound."""
_EMPTY: Final = "%"
"""Encoded value of an empty one, which S3 leaves out; a percent sign itself is encoded as %25."""
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SEGMENT: Final = re.compile(r"[^\x00-\x1f\x7f\\/]+")
_SEGMENT_BYTES: Final = 255
"""Longest name in the usual file systems."""


def checked_key(key: str) -> str:
    """Return a key that every form of a store can hold.

    Raises:
        ObjectStoreError: it is no relative path, or one of its names is empty, `.`, `..`, longer than 255 bytes, or has
            a backslash or a control character.
    """
    for name in key.split("/"):
        if name in {"", ".", ".."} or not _SEGMENT.fullmatch(name) or len(_bytes(name, key)) > _SEGMENT_BYTES:
            raise ObjectStoreError(
                f"key {key[:200]!r}: {name[:80]!r} cannot be a part of it; give a relative path"
            )
    return key


def _bytes(name: str, key: str) -> bytes:
    try:
        return name.encode()
    except UnicodeEncodeError as error:
        raise ObjectStoreError(f"key {key[:200]!r}: is no valid text; give a relative path") from error


def encoded_metadata(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """Return names and values as plain ASCII, percent-encoded, so that every server keeps them as they are.

    Raises:
        ObjectStoreError: a name has other characters than `a-z`, `0-9` and single hyphens, or all have more than
            2,048 bytes.
    """
    encoded = {
        name: quote(value, safe="!#$&'()*+,/:;=?@[]{}|^`<>") or _EMPTY
        for name, value in (metadata or {}).items()
    }
    for name in encoded:
        if not _NAME.fullmatch(name):
            raise ObjectStoreError(f"metadata {name[:80]!r}: use a-z, 0-9 and single hyphens")
    size = sum(len(name) + len(value) for name, value in encoded.items())
    if size > METADATA_BYTES:
        raise ObjectStoreError(
            f"metadata of {size:,} bytes; at most {METADATA_BYTES:,} can be kept beside an object"
        )
    return encoded


def decoded_metadata(encoded: Mapping[str, str]) -> dict[str, str]:
    """Return names and values as they were before `encoded_metadata`."""
    return {name: "" if value == _EMPTY else unquote(value) for name, value in encoded.items()}
