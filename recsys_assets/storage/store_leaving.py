"""Leaving an object store: all of it is brought here and compared, then the home is one of its own.

Nothing is changed in the store but what the home had not pushed yet. A kill at any moment leaves the home a copy of the
store, which has more of it here than before, or a home of its own.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

from recsys_assets.errors import BuildRunningError, ObjectStoreError, StoreUnavailableError
from recsys_assets.storage.atomic import remove_folder
from recsys_assets.storage.copied_files import content_now, sha256_of
from recsys_assets.storage.copy_index import read_index
from recsys_assets.storage.day_folders import PART, day_folder
from recsys_assets.storage.home import Home
from recsys_assets.storage.lease import LEASE_KEY
from recsys_assets.storage.locks import SHORTLY, build_lock, locked
from recsys_assets.storage.open_copy import working_copy
from recsys_assets.storage.store_place import place_of
from recsys_assets.storage.store_writing import indexed, push_now
from recsys_assets.storage.table_copy import fetch_days
from recsys_assets.storage.working_copy import ASIDE, WorkingCopy

_AT_ONCE: Final = 16
"""Days that are fetched between two reports."""
_LEAVING: Final = "-left"
"""End of the name of `.copy` while it is removed."""

Report = Callable[[int, int], object]
"""Takes the number of days that are here, and that of all."""


class Brought(NamedTuple):
    """The content of a store, all of it here."""

    days: int
    """Days of all tables."""
    fetched: int
    """Days that were not here, or not as the store has them."""
    files: int
    """Other files."""
    mended: int
    """Files that were not as the store has them, though nobody had changed them."""


def leave_store(
    home: Home, *, report: Report, alone: Callable[[], object] = lambda: None, patience: float = SHORTLY
) -> Brought:
    """Bring everything here that the store has, then let the home be one of its own.

    The settings are not changed: whoever calls takes `[storage] root` out, else the next command is bound to it again.

    Args:
        home: a home with a store.
        report: takes the progress.
        alone: called once everything is here, for what a home of its own needs; under the lock of the home.
        patience: seconds to wait for another writer that lives.

    Raises:
        ObjectStoreError: the store does not answer, another writes to it, or an object is damaged. The home is left as
            it was, with the days that were fetched.
        BuildRunningError: another command of this machine changes the home.
    """
    copy = working_copy(home.root)
    try:
        tuple(copy.store.list(LEASE_KEY))  # not waited for
        with build_lock(home, patience=patience):
            brought = _bring_all(copy, report)
            alone()
            push_now(home.root)
            number = copy.index.number
    except (StoreUnavailableError, BuildRunningError) as error:
        raise ObjectStoreError(f"{home.root}: not left, and nothing is lost: {error}") from error
    try:
        with locked(home.lock("build"), wait=False):
            if read_index(home.root).number != number:
                raise ObjectStoreError(
                    f"{home.root}: not left: another command changed it meanwhile; run it again"
                )
            _unbind(home)
    except BlockingIOError as error:
        raise BuildRunningError(
            f"{home.root}: not left: another command changes this home; run it again when that has ended"
        ) from error
    return brought


def _bring_all(copy: WorkingCopy, report: Report) -> Brought:
    """Fetch the days that are not here, and the files that differ; the caller holds the store."""
    push_now(copy.root)
    with indexed(copy):
        keys = sorted(copy.index.files)
        differing = [key for key in keys if not _is_as_there(copy, key)]
        copy.restore(differing)
        left = [key for key in differing if not _is_as_there(copy, key)]
    if left:
        raise ObjectStoreError(f"{copy.objects.url}/{left[0]}: cannot be brought here as it was put there")
    wanted = {name: list(_days_to_fetch(copy, name)) for name in copy.tables}
    days = sum(len(table.known()) for table in copy.tables.values())
    missing = sum(map(len, wanted.values()))
    here = days - missing
    report(here, days)
    for name, some in wanted.items():
        for batch in _batches(some):
            fetch_days(copy.root / name, batch)
            here += len(batch)
            report(here, days)
    return Brought(days, missing, len(keys), len(differing))


def _is_as_there(copy: WorkingCopy, key: str) -> bool:
    """Return whether a local file has the content that the store has; the file is read."""
    try:
        return sha256_of(content_now(copy.root, key)) == copy.index.files[key].sha256
    except FileNotFoundError:
        return False


def _days_to_fetch(copy: WorkingCopy, name: str) -> Iterator[date]:
    """Yield the days of a table whose local file is missing, or has another content than the store's; all are read."""
    root, table = copy.root / name, copy.tables[name]
    for day, far in table.days().items():
        file = day_folder(root, day) / PART
        if not file.is_file() or sha256_of(file) != far.checksum:
            yield day


def _batches(days: Sequence[date]) -> Iterator[list[date]]:
    return (list(days[start : start + _AT_ONCE]) for start in range(0, len(days), _AT_ONCE))


def remove_leftovers(home: Home) -> None:
    """Remove what a killed leaving did not."""
    for folder in home.root.glob(f"{home.copy.name}{_LEAVING}*"):
        remove_folder(folder)


def _unbind(home: Home) -> None:
    """Remove the note of the store and the index; files that were kept aside go beside the others."""
    remove_leftovers(home)
    _keep_aside(home.copy / ASIDE, home.aside)
    remove_folder(home.copy, hidden=home.copy.with_name(f"{home.copy.name}{_LEAVING}"))
    if place_of(home.root) is not None:
        raise ObjectStoreError(
            f"{home.root}: not left: another command was bound to the store meanwhile; run it again"
        )


def _keep_aside(kept: Path, aside: Path) -> None:
    if kept.is_dir():
        shutil.copytree(kept, aside, dirs_exist_ok=True)
