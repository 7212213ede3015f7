"""The small documents beside the releases that a replica copies from its object store: rules, keys, recalls and so on.

Each has the same name as in a home. One that is gone there is removed here.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from recsys_assets.errors import ObjectChangedError, ObjectMissingError, ObjectStoreError
from recsys_assets.intake.newest_catalogue import damaged_in
from recsys_assets.rules.rules_stamp import lists_named
from recsys_assets.storage.atomic import read_file, remove_file, remove_folder, replace_file, replaced_folder
from recsys_assets.storage.current_form import CURRENT_KEY
from recsys_assets.storage.home import Home
from recsys_assets.storage.object_store import ObjectStore, checked_key

_KEYS: Final = "api_keys.json"
_DOCUMENTS: Final = (
    _KEYS,
    "recsys.toml",
    "rules.toml",
    "experiments.toml",
    "experiments.jsonl",
    "recalls.jsonl",
    "forgotten.jsonl",
    "unfinished_forgets.json",
    "releases/recalled.json",
    "releases/rewritten.jsonl",
)
_OWN: Final = (".", "releases/", "replica.json")
"""Beginnings of the names of files that a cache writes itself."""
_DATABASE: Final = (".sqlite", ".sqlite-wal", ".sqlite-shm")


class ReplicaDocuments:
    """The documents of one cache, which follow those of a store."""

    def __init__(
        self, store: ObjectStore, home: Home, *, others: Callable[[], Iterable[str]] = lambda: ()
    ) -> None:
        """Take the store and the cache; what the cache has from before is compared at the first look.

        Args:
            store: the object store.
            home: the cache.
            others: returns the names of rules files beside `rules.toml`.
        """
        self._store = store
        self._home = home
        self._others = others
        self._tags: dict[str, str] = {}
        self._catalogue: list[tuple[str, str]] | None = None
        self.version = 0
        """Another number after each change of a document."""

    def look(self) -> None:
        """Copy what changed.

        Raises:
            StoreUnavailableError: the store does not answer; what was copied before stays.
        """
        for key in self._keys():
            self._follow(key)
        self._follow_catalogue()

    def _keys(self) -> Iterator[str]:
        yield from _DOCUMENTS
        others = [name for name in self._others() if _is_key(name)]
        files = [self._home.rules_file, *(self._home.root / name for name in others)]
        lists = [name for file in files for name in lists_named(file) if _is_key(name)]
        yield from dict.fromkeys([*others, *lists])

    def _follow(self, key: str) -> None:
        file = self._home.root / key
        try:
            found = self._store.get_changed(key, tag=self._tags.get(key))
        except ObjectMissingError:
            if file.exists():
                self._store.metadata(
                    CURRENT_KEY
                )  # raises where all is gone: that is no reason to serve without keys
            self.version += self._tags.pop(key, None) is not None or file.exists()
            remove_file(file)
            return
        if found is None:
            return
        if not file.is_file() or read_file(file) != found.content:
            replace_file(file, found.content, mode=0o600 if key == _KEYS else 0o666)
        self._tags[key] = found.tag
        self.version += 1

    def _follow_catalogue(self) -> None:
        """Copy the newest catalogue as one, once all of its files fit together."""
        folder = self._home.catalogue_now
        prefix = f"{folder.relative_to(self._home.root).as_posix()}/"
        listed = [(one.key, one.tag) for one in self._store.list(prefix)]
        if listed == self._catalogue:
            return
        if not listed:
            remove_folder(folder)
        else:
            try:
                with replaced_folder(folder) as staged:
                    self._fetch_catalogue(staged, prefix, [key for key, _ in listed])
            except (ObjectChangedError, ObjectMissingError):
                return  # the next look finds it whole
        self._catalogue = listed

    def _fetch_catalogue(self, staged: Path, prefix: str, keys: Sequence[str]) -> None:
        for key in keys:
            (staged / key.removeprefix(prefix)).write_bytes(self._store.get(key).content)
        if any(damaged_in(staged)):
            raise ObjectChangedError(f"{self._store.url}/{prefix}: is just being replaced")


def _is_key(name: str) -> bool:
    """Return True for a path of a list in a home; whoever reads the rules says why another one cannot be used."""
    try:
        checked_key(name)
    except ObjectStoreError:
        return False
    return not name.startswith(_OWN) and not name.endswith(_DATABASE)
