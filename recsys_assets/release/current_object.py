"""`releases/current` of an object store: the current release with every move that led to it, swapped by its tag.

The object is the truth. `current` and `promotions.jsonl` of a home are copies, which `take_moves` makes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from recsys_assets.errors import BrokenReleaseError, ObjectMissingError
from recsys_assets.release.current import (
    CURRENT_FILE,
    PROMOTIONS_FILE,
    RecordedMove,
    read_current,
    read_promotions,
)
from recsys_assets.storage.atomic import replace_file
from recsys_assets.storage.current_form import CURRENT_KEY, swap_current
from recsys_assets.storage.object_store import ObjectStore


class CurrentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the object."""

    release: str
    """Id of the current release."""
    number: int
    """Number of the last move, from 1; each move has the next one."""
    moves: tuple[RecordedMove, ...]
    """Every move, oldest first."""


class TaggedRecord(NamedTuple):
    """A record, and the store's tag of it."""

    record: CurrentRecord
    """The content."""
    tag: str
    """Its tag, by which it is swapped."""


class CurrentObject:
    """The object in one store."""

    def __init__(self, store: ObjectStore) -> None:
        """Take a store; no request is sent yet."""
        self._store = store

    @property
    def url(self) -> str:
        """The object's address, for messages."""
        return f"{self._store.url}/{CURRENT_KEY}"

    def read(self) -> TaggedRecord | None:
        """Return the record; None before the first promotion.

        Raises:
            BrokenReleaseError: the object cannot be read as one.
        """
        try:
            return self.read_changed(None)
        except ObjectMissingError:
            return None

    def read_changed(self, tag: str | None) -> TaggedRecord | None:
        """Return the record unless it has this tag, then None.

        Raises:
            ObjectMissingError: there is none.
            BrokenReleaseError: as in `read`.
        """
        found = self._store.get_changed(CURRENT_KEY, tag=tag)
        if found is None:
            return None
        try:
            return TaggedRecord(msgspec.json.decode(found.content, type=CurrentRecord), found.tag)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BrokenReleaseError(
                f"{self.url}: cannot be read ({error}); put an earlier version of the object back"
            ) from error

    def swap(self, move: RecordedMove, *, seen: TaggedRecord | None) -> TaggedRecord:
        """Make one move after the record that the caller saw; exactly one of several writers does.

        Raises:
            ObjectChangedError: another move was made meanwhile; read it, and decide again.
        """
        before = () if seen is None else seen.record.moves
        record = CurrentRecord(release=move.after, number=len(before) + 1, moves=(*before, move))
        tag = swap_current(self._store, msgspec.json.encode(record), seen=None if seen is None else seen.tag)
        return TaggedRecord(record, tag)


def take_moves(root: Path, record: CurrentRecord) -> bool:
    """Copy a record into the folder of releases; return whether it differed.

    The log is written first, then `current`: as in `current.record_move`, so that `current` always wins.
    """
    if read_current_or_none(root) == record.release and _moves_of(root) == record.moves:
        return False
    lines = b"".join(msgspec.json.encode(move) + b"\n" for move in record.moves)
    replace_file(root / PROMOTIONS_FILE, lines)
    replace_file(root / CURRENT_FILE, record.release.encode("ascii") + b"\n")
    return True


def read_current_or_none(root: Path) -> str | None:
    """Return the id of the local copy; None where there is none, or it is damaged."""
    try:
        return read_current(root)
    except BrokenReleaseError:
        return None


def _moves_of(root: Path) -> Sequence[RecordedMove]:
    try:
        return tuple(read_promotions(root))
    except BrokenReleaseError:
        return ()
