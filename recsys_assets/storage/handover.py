"""A folder that processes on several machines hand files over in: a disk that all of them see, or an object store.

Names are paths relative to the folder. Who starts the processes makes the folder, sends, and receives in the end; each
process receives what it needs, and sends what it made. Nothing of it outlives the work.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from recsys_assets.errors import LauncherError
from recsys_assets.storage.object_store import ObjectStore
from recsys_assets.storage.open_copy import WAIT_SECONDS, opened
from recsys_assets.storage.patient_objects import PatientObjects
from recsys_assets.storage.store_place import StorePlace
from recsys_assets.storage.waiting import say_on_log

_PREFIX: Final = "handover"


class Handover(msgspec.Struct, frozen=True, kw_only=True):
    """Where the files are."""

    folder: str
    """The starter's folder, absolute."""
    place: StorePlace | None = None
    """The store that files travel through; None: all processes see the folder."""

    def send(self, folder: Path, names: Iterable[str]) -> None:
        """Make these files of `folder` known to the others; `folder` is the starter's, or one that was received."""
        store = self._store()
        if store is not None:
            for name in names:
                store.put_file(self._key(name), folder / name)

    @contextmanager
    def received(self, names: Iterable[str] | None = None) -> Iterator[Path]:
        """A folder that has these files, or all that were sent; where they travel it is a new one of this block.

        Raises:
            LauncherError: this machine does not see the starter's folder.
            ObjectMissingError: nobody has sent one of them.
        """
        store = self._store()
        if store is None:
            if not Path(self.folder).is_dir():
                raise LauncherError(
                    f"{self.folder}: this machine does not see it; put the home on a disk that all machines see, or set"
                    " [storage] root"
                )
            yield Path(self.folder)
            return
        with tempfile.TemporaryDirectory(prefix="recsys-handover-") as folder:
            every = (entry.key.removeprefix(self._key("")) for entry in store.list(self._key("")))
            self._get(store, Path(folder), every if names is None else names)
            yield Path(folder)

    def collect(self, names: Iterable[str]) -> None:
        """Bring files that processes have sent into the starter's folder."""
        store = self._store()
        if store is not None:
            self._get(store, Path(self.folder), names)

    def remove(self) -> None:
        """Remove everything that was sent."""
        store = self._store()
        if store is not None:
            store.delete([entry.key for entry in store.list(self._key(""))])

    def _get(self, store: ObjectStore, folder: Path, names: Iterable[str]) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            store.get_file(self._key(name), folder / name)

    def _key(self, name: str) -> str:
        return f"{_PREFIX}/{Path(self.folder).name}/{name}"

    def _store(self) -> ObjectStore | None:
        return None if self.place is None else _patient(self.place)


def remove_leftovers(place: StorePlace) -> None:
    """Remove what killed work left in the store; the caller holds the store's lease, so that no work is running.

    Among it may be copies of embeddings, which hold ids of users.
    """
    store = _patient(place)
    store.delete([entry.key for entry in store.list(f"{_PREFIX}/")])


def _patient(place: StorePlace) -> ObjectStore:
    return PatientObjects(opened(place), say=say_on_log, longest=WAIT_SECONDS)
