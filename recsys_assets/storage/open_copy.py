"""The working copy of a home in this process: one object as long as the home's store is noted as it is."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from recsys_assets.errors import ObjectStoreError
from recsys_assets.storage.object_store import ObjectStore
from recsys_assets.storage.open_objects import open_store
from recsys_assets.storage.patient_objects import PatientObjects, TriedOnce
from recsys_assets.storage.store_place import StorePlace, note_of, place_of
from recsys_assets.storage.working_copy import WorkingCopy

WAIT_SECONDS: Final = 600.0
"""Longest time that a writer waits for its store."""
_SECONDS: Final = 8.0
"""Time over which a request is sent again where nobody answers, before that is an outage."""
_SHORT_SECONDS: Final = 1.0
"""The same for who only examines a home."""
_examined: dict[Path, TriedOnce] = {}
_copies: dict[Path, tuple[tuple[int, int], WorkingCopy]] = {}


def working_copy(root: Path) -> WorkingCopy:
    """Return the copy in the home `root`, the same object as long as its store is noted as it is.

    Raises:
        ObjectStoreError: the home has no store.
        SettingsError: the package for the store is missing, or its credentials cannot be read.
    """
    place = place_of(root)
    if place is None:
        raise ObjectStoreError(f"{root}: has no object store; name one by [storage] root in recsys.toml")
    status = note_of(root).stat()
    stamp = (status.st_mtime_ns, os.getpid())
    known = _copies.get(root)
    if known is None or known[0] != stamp:
        store: ObjectStore = _examined.get(root) or opened(place)
        is_short = root in _examined
        objects = store if is_short else PatientObjects(store, say=_say, longest=WAIT_SECONDS)
        copy = WorkingCopy(root=root, place=place, objects=objects, store=store, say=_say)
        known = _copies[root] = stamp, copy
    return known[1]


@contextmanager
def examined(root: Path) -> Iterator[None]:
    """Let a store that does not answer keep nobody waiting in the block: its first outage, of a second, is enough.

    In a home without a store nothing changes.

    Args:
        root: the home's folder.

    Raises:
        SettingsError: as in `working_copy`.
    """
    place = place_of(root)
    if place is None:
        yield
        return
    _copies.pop(root, None)
    _examined[root] = TriedOnce(opened(place, seconds=_SHORT_SECONDS))
    try:
        yield
    finally:
        del _examined[root]
        _copies.pop(root, None)


def examined_store(root: Path) -> ObjectStore | None:
    """Return the store of a home that is examined in this process; None of any other home."""
    return _examined.get(root)


def opened(place: StorePlace, *, seconds: float = _SECONDS) -> ObjectStore:
    """Open a store.

    Args:
        place: the store.
        seconds: time over which a request is sent again where nobody answers.

    Raises:
        SettingsError: as in `working_copy`.
    """
    root = Path(place.root.removeprefix("file://")) if place.root.startswith("file://") else place.root
    return open_store(root, endpoint=place.endpoint, region=place.region, patience=seconds)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
