"""`.head` of a store: the newest push. Each push replaces it last, so that a home sees at once whether one is new."""

from typing import Final

import msgspec

from recsys_assets.errors import ObjectMissingError, ObjectStoreError
from recsys_assets.storage.object_store import ObjectStore

HEAD: Final = ".head"
"""The object that each push replaces last."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The newest push."""

    number: int
    """Pushes until now."""
    who: str
    """Host and process."""
    at: str
    """Time, UTC."""


def decoded_head(url: str, content: bytes) -> Head:
    """Return what the object `.head` of the store at `url` holds.

    Raises:
        ObjectStoreError: it is damaged.
    """
    try:
        return msgspec.json.decode(content, type=Head)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ObjectStoreError(
            f"{url}/{HEAD}: cannot be read ({error}); put an earlier version of the object back, or remove it and the"
            " folder .copy of one home: the next `recsys build` there puts what is in that home"
        ) from error


def read_head(objects: ObjectStore) -> tuple[Head | None, str]:
    """Return the newest push of a store and its tag; None and an empty one before the first.

    Raises:
        ObjectStoreError: the object is damaged.
    """
    try:
        found = objects.get(HEAD)
    except ObjectMissingError:
        return None, ""
    return decoded_head(objects.url, found.content), found.tag
