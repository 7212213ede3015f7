"""The working copy of a home in this process: one object as long as the home's store is noted as it is."""

import os
import sys
from pathlib import Path
from typing import Final

from recsys_assets.errors import ObjectStoreError
from recsys_assets.storage.object_store import ObjectStore
from recsys_assets.storage.open_objects import open_store
from recsys_assets.storage.patient_objects import PatientObjects
from recsys_assets.storage.store_place import StorePlace, note_of, place_of
from recsys_assets.storage.working_copy import WorkingCopy

WAIT_SECONDS: Final = 600.0
"""Longest time that a writer waits for its store."""
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
        store = opened(place)
        objects = PatientObjects(store, say=_say, longest=WAIT_SECONDS)
        copy = WorkingCopy(root=root, place=place, objects=objects, store=store, say=_say)
        known = _copies[root] = stamp, copy
    return known[1]


def opened(place: StorePlace) -> ObjectStore:
    """Open a store; errors as in `working_copy`."""
    root = Path(place.root.removeprefix("file://")) if place.root.startswith("file://") else place.root
    return open_store(root, endpoint=place.endpoint, region=place.region)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
