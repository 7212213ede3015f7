"""The working copy: a home whose files are those of an object store, which is the truth.

Between two pushes the copy may be ahead. Changes that a killed writer left are pushed on where nobody else has
pushed since (`.head` has the tag that was seen last); else the store's files take their place, and those that differ
are kept in `.copy/aside/`, named.
"""

import os
import shutil
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from recsys_assets.errors import ObjectMissingError, ObjectStoreError
from recsys_assets.storage.atomic import make_folder, put_in_place, remove_file, remove_folder, staging_path
from recsys_assets.storage.copied_files import (
    DAY_TABLES,
    LEDGER,
    belongs,
    content_now,
    files_of,
    last_in_order,
    sha256_of,
    state_now,
    table_of,
)
from recsys_assets.storage.copy_index import NO_FILE, CopiedFile, CopyIndex, read_index, write_index
from recsys_assets.storage.current_form import CURRENT_KEY, write_current
from recsys_assets.storage.day_objects import DayObjects
from recsys_assets.storage.home import Home
from recsys_assets.storage.object_store import ObjectEntry, ObjectStore
from recsys_assets.storage.open_objects import polars_options
from recsys_assets.storage.other_days import other_days, require_no_other_days
from recsys_assets.storage.store_head import HEAD, Head, read_head
from recsys_assets.storage.store_place import StorePlace
from recsys_assets.storage.whole_releases import is_kept_whole, is_wrong_here

ASIDE: Final = "aside"
"""Folder of local files in whose place the store's came."""
_THREADS: Final = 16
_SETTINGS: Final = "recsys.toml"


@dataclass(kw_only=True)
class WorkingCopy:
    """One home as a copy of its store; one process pulls or pushes at a time."""

    root: Path
    """The home's folder."""
    place: StorePlace
    """The store."""
    objects: ObjectStore
    """Its objects; an outage is waited for."""
    store: ObjectStore
    """Its objects; an outage is an error."""
    say: Callable[[str], None]
    """Takes lines for the user."""
    index: CopyIndex = field(default_factory=CopyIndex)
    """The files that were the same last."""
    require_lease: Callable[[], None] | None = None
    """Raises where the lease is lost; None while this process does not hold it."""
    moves_wait: bool = False
    """True while a move of `current` waits for a store that does not answer."""
    damaged: dict[str, str] = field(default_factory=dict)
    """Key of an object of a release that is whole here, and is not as published -> its fault; a push puts it again."""

    def __post_init__(self) -> None:
        self.index = read_index(self.root)
        self.tables = {
            f"lake/{name}": DayObjects(self.objects, f"lake/{name}", quick=self.store, require=self.require)
            for name in DAY_TABLES
        }

    @property
    def polars_options(self) -> dict[str, str]:
        """`storage_options` with which polars reads the store; empty where that is a folder."""
        if self.place.root.startswith("file://"):
            return {}
        return polars_options(endpoint=self.place.endpoint, region=self.place.region)

    def require(self) -> None:
        """Check that this process may write.

        Raises:
            ObjectStoreError: it does not hold the lease of the store, or no more.
        """
        if self.require_lease is None:
            raise ObjectStoreError(
                f"{self.place.root}: this process does not hold the store; change it by a `recsys` command"
            )
        self.require_lease()

    def head(self) -> tuple[Head | None, str]:
        """Return the newest push and its tag; None and an empty one before the first.

        Raises:
            ObjectStoreError: the object is damaged.
        """
        return read_head(self.objects)

    def pull(self) -> None:
        """Bring every file but the days to the state of the store, by one listing; days are listed with them.

        Raises:
            ObjectStoreError: the store was emptied, an object is damaged, or the store is another home's.
        """
        head, tag = self.head()
        if head is None and self.index.head:
            raise ObjectStoreError(
                f"{self.objects.url}: has no object {HEAD}, and this home saw push {self.index.number}: it was emptied,"
                f" or is another store; remove {Home(self.root).copy} to put what is in this home there"
            )
        moved = tag != self.index.head
        listing, of_tables = dict[str, ObjectEntry](), {name: list[ObjectEntry]() for name in self.tables}
        for entry in self.objects.list():
            if table := table_of(entry.key):
                of_tables[table].append(entry)
            elif belongs(entry.key):
                listing[entry.key] = entry
        for name, entries in of_tables.items():
            self.tables[name].take(entries)
            if entries:
                make_folder(self.root / name)
        if head is not None and not self.index.head:
            require_no_other_days(self.root, self.tables, self.objects.url)
        changed = self.changed_here()
        wanted = [entry for entry in listing.values() if self._is_wanted(entry, changed, moved=moved)]
        self._fetch_all(wanted, changed if moved else set())
        self._drop_gone(listing, changed, moved=moved)
        if head is not None:
            self._drop_other_days()
        self.index.head, self.index.number = tag, 0 if head is None else head.number
        write_index(self.root, self.index)

    def restore(self, keys: Collection[str]) -> None:
        """Bring local files back to those of the store."""
        entries = [ObjectEntry(key, 0, self.index.files[key].tag) for key in keys if key in self.index.files]
        self._fetch_all(entries, set())
        for key in set(keys) - self.index.files.keys():
            self._remove(key, keep=False)

    def changed_here(self) -> set[str]:
        """Return the keys of local files whose content is not what it was when it was the store's last."""
        here, known = set(files_of(self.root)), self.index.files
        changed = here - known.keys() | known.keys() - here
        for key in here & known.keys():
            state = state_now(self.root, key)
            if state != known[key].state:
                if sha256_of(content_now(self.root, key)) == known[key].sha256:
                    known[key] = msgspec.structs.replace(known[key], state=state)
                else:
                    changed.add(key)
        return changed

    def _is_wanted(self, entry: ObjectEntry, changed: set[str], *, moved: bool) -> bool:
        """Return whether an object is fetched: it changed there, or a file in a folder changed here, and others pushed.

        A document beside the folders that changed here alone is a person's, and stays.
        """
        known = self.index.files.get(entry.key)
        is_same = known is not None and known.tag == entry.tag
        if entry.key not in changed:
            return not is_same
        return moved and ("/" in entry.key or not is_same)

    def _fetch_all(self, wanted: list[ObjectEntry], aside: set[str]) -> None:
        """Fetch objects, several at a time; records and `current` after the files that they are of."""
        for rank in range(4):
            of_rank = [entry for entry in wanted if last_in_order(entry.key) == rank]
            if of_rank:
                with ThreadPoolExecutor(min(_THREADS, len(of_rank))) as pool:
                    found = list(pool.map(lambda entry: self._fetch(entry, keep=entry.key in aside), of_rank))
                self.index.files |= {key: copied for key, copied in found if copied is not None}

    def _fetch(self, entry: ObjectEntry, *, keep: bool) -> tuple[str, CopiedFile | None]:
        """Write an object into its local file; a local file with another content is kept aside where `keep` says so.

        Raises:
            ObjectStoreError: the object is damaged.
        """
        key, file = entry.key, self.root / entry.key
        make_folder(file.parent)
        staged = staging_path(file)
        try:
            beside = self.objects.metadata(key)
            checksum = self.objects.get_file(key, staged)
        except ObjectMissingError:  # removed since it was listed
            staged.unlink(missing_ok=True)
            return key, None
        if is_wrong_here(self.root, key, checksum):
            staged.unlink()
            self._keep_own(key, entry.tag, f"SHA-256 is {checksum[:12]}…, which is not that of the release")
            return key, None
        if beside.get("sha256", checksum) != checksum:
            staged.unlink()
            raise ObjectStoreError(
                f"{self.objects.url}/{key}: SHA-256 is {checksum[:12]}…, and {beside['sha256'][:12]}… was put; remove"
                " the object, then the next `recsys build` makes it again"
            )
        if keep and file.is_file() and not self._may_replace(key, staged, checksum):
            staged.unlink()
            return key, None
        if key == CURRENT_KEY:
            content = staged.read_bytes()
            staged.unlink()
            write_current(self.root, content, origin=self.objects.url)
        else:
            if "mtime-ns" in beside:
                os.utime(staged, ns=(int(beside["mtime-ns"]), int(beside["mtime-ns"])))
            if key == LEDGER:
                for suffix in ("-wal", "-shm"):
                    remove_file(file.with_name(file.name + suffix))
            put_in_place(staged, file)
        return key, CopiedFile(entry.tag, checksum, state_now(self.root, key))

    def _may_replace(self, key: str, staged: Path, checksum: str) -> bool:
        """Return whether the store's file takes the place of a local one, which is kept aside if it differs."""
        if sha256_of(content_now(self.root, key)) == checksum:
            return True
        if key == _SETTINGS and not self._names_store(staged.read_bytes()):
            return False  # the store's settings would lead this home to no store any more
        self._set_aside(self.root / key)
        return True

    def _names_store(self, settings: bytes) -> bool:
        return self.place.root.encode() in settings or "RECSYS_STORAGE__ROOT" in os.environ

    def _set_aside(self, file: Path) -> None:
        key = file.relative_to(self.root).as_posix()
        kept = Home(self.root).copy / ASIDE / str(self.index.number) / key
        make_folder(kept.parent)
        shutil.copyfile(file, staging_path(kept))
        put_in_place(staging_path(kept), kept)
        self.say(f"{file}: the store has another since somebody else pushed; this one is kept as {kept}")

    def _drop_gone(self, listing: Mapping[str, ObjectEntry], changed: set[str], *, moved: bool) -> None:
        """Remove local files whose objects are gone; unknown files in folders too, where others pushed since."""
        for key in [key for key in self.index.files if key not in listing]:
            if is_kept_whole(self.root, key, listing):
                self._keep_own(key, "", "is gone, and its release is not")
            elif key not in changed or (moved and "/" in key):
                self._remove(key, keep=key in changed)
                del self.index.files[key]
        for key in changed if moved else ():
            is_new = "/" in key and key not in listing and key not in self.index.files
            if is_new and not is_kept_whole(self.root, key, listing):
                self._remove(key, keep=True)

    def _keep_own(self, key: str, tag: str, fault: str) -> None:
        """Reject an object of a release that is whole here; the next push puts this home's in its place."""
        self.damaged[key] = fault
        self.index.files[key] = CopiedFile(tag, "", NO_FILE)
        self.say(
            f"{self.objects.url}/{key}: {fault}; rejected: this home keeps its own, and the next `recsys build` puts it"
        )

    def _drop_other_days(self) -> None:
        """Remove local files of days that are not those of the store."""
        for _, _, folder in list(other_days(self.root, self.tables)):
            remove_folder(folder)

    def _remove(self, key: str, *, keep: bool) -> None:
        """Remove a local file, and the folders in a folder of the home that are empty then."""
        file = self.root / key
        if keep and file.is_file():
            self._set_aside(file)
        remove_file(file)
        for folder in file.parents:
            if folder.parent in {self.root, self.root.parent} or not folder.is_dir() or any(folder.iterdir()):
                break
            remove_folder(folder)
