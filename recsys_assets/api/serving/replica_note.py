"""The note in a replica's cache: the object store that it follows, and what keeps it from that now.

The process that follows the store writes it; each worker reads it, so that health says what is wrong, and routes that
write into a home say that this is none.
"""

import contextlib
import os
import time
from pathlib import Path
from typing import Final

import msgspec

from recsys_assets.errors import ObjectStoreError
from recsys_assets.storage.atomic import read_file, replace_file
from recsys_assets.storage.home import Home

_FILE: Final = "replica.json"
_STALE_SECONDS: Final = 300.0
"""Age of the note's last touch at which its writer stands still; a large file of a release is fetched meanwhile."""


class ReplicaNote(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a replica."""

    url: str
    """The object store, `s3://bucket/prefix`."""
    problem: str | None = None
    """Why the store is not followed, since when, and what is served meanwhile; None where it is followed."""


def replica_file(home: Home) -> Path:
    """Return the note's path; there is one in the caches of replicas alone."""
    return home.root / _FILE


def write_note(home: Home, note: ReplicaNote) -> None:
    """Replace the note."""
    replace_file(replica_file(home), msgspec.json.encode(note))


def read_note(home: Home) -> ReplicaNote | None:
    """Return the note; None in an ordinary home.

    Raises:
        ObjectStoreError: it cannot be read.
    """
    file = replica_file(home)
    try:
        return msgspec.json.decode(read_file(file), type=ReplicaNote)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ObjectStoreError(f"{file}: cannot be read ({error}); start the replica again") from error


def touch_note(home: Home) -> None:
    """Show that the process which follows the store lives."""
    with contextlib.suppress(FileNotFoundError):
        os.utime(replica_file(home))


class FollowedStore:
    """The object store of a replica, as a worker sees it through the note."""

    def __init__(self, home: Home, url: str) -> None:
        """Take the cache and the store's URL."""
        self.url = url
        self._home = home

    @classmethod
    def of(cls, home: Home) -> "FollowedStore | None":
        """Return the store that a cache follows; None in an ordinary home. Errors as in `read_note`."""
        note = read_note(home)
        return None if note is None else cls(home, note.url)

    def look(self) -> None:
        """Raise ObjectStoreError with the reason where the store is not followed now."""
        note = read_note(self._home)
        if note is not None and note.problem is not None:
            raise ObjectStoreError(note.problem)
        age = time.time() - replica_file(self._home).stat().st_mtime
        if age > _STALE_SECONDS:
            raise ObjectStoreError(f"{self.url}: was not looked at for {age:.0f} s; start the replica again")
