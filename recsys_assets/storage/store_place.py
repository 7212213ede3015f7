"""The object store of a home, noted in the home itself.

A command notes it when it starts (`store_binding.bind`); everything below reads the note. So a temporary home, which
has the same settings and the same environment, is never taken for a copy of the store.
"""

from pathlib import Path

import msgspec

from recsys_assets.storage.atomic import read_file
from recsys_assets.storage.home import Home


class StorePlace(msgspec.Struct, frozen=True, kw_only=True):
    """An object store, without its credentials."""

    root: str
    """`s3://bucket/prefix`, or `file:///folder` of a shared disk."""
    endpoint: str | None = None
    """URL of the server, where it is not AWS."""
    region: str = "us-east-1"
    """The bucket's region."""
    lease_seconds: float = 30.0
    """Seconds after which the store is taken over from a writer that was killed."""

    def url_of(self, key: str) -> str:
        """Return the place of an object as polars reads it: a URL, or a path."""
        return f"{self.root.removeprefix('file://').rstrip('/')}/{key}"


def note_of(root: Path) -> Path:
    """Return the note of a home's store: JSON, a `StorePlace`; missing where there is none."""
    return Home(root).copy / "place.json"


def place_of(root: Path) -> StorePlace | None:
    """Return the store that a home is a copy of; None where everything is in the home alone.

    Args:
        root: the home's folder.
    """
    try:
        return msgspec.json.decode(read_file(note_of(root)), type=StorePlace)
    except FileNotFoundError:
        return None
