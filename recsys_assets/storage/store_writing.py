"""Writing to a home with an object store: take its lease, pull, do the work, push, give the lease back.

Nothing happens in a home without a store. `build_lock` holds it for all who change days, artifacts and settings.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from recsys_assets.errors import StoreUnavailableError
from recsys_assets.storage.copy_index import read_index
from recsys_assets.storage.copy_push import push, push_current, put_days, writer
from recsys_assets.storage.home import Home
from recsys_assets.storage.lease import LEASE_KEY, held_lease
from recsys_assets.storage.locks import locked
from recsys_assets.storage.store_place import place_of
from recsys_assets.storage.working_copy import HEAD, WorkingCopy, working_copy

_INDEX_LOCK: Final = "index.lock"


@contextmanager
def held_store(root: Path, *, patience: float = 0.0) -> Iterator[None]:
    """Hold the store of the home `root` while the block changes the home; what changed is pushed at the end.

    Args:
        root: the home's folder.
        patience: seconds to wait for another writer that lives.

    Raises:
        BuildRunningError: another machine writes to the store.
        StoreUnavailableError: the store did not answer for ten minutes.
        ObjectStoreError: another writer took the store over meanwhile.
    """
    copy = working_copy(root)
    tuple(copy.objects.list(LEASE_KEY))  # waits for a store that does not answer
    with ExitStack() as held:
        lease = held.enter_context(
            held_lease(
                copy.store, holder=writer(), seconds=copy.place.lease_seconds, patience=patience, say=copy.say
            )
        )
        held.callback(_let_go, copy)
        copy.require_lease = _waiting(lease.check, copy)
        with _indexed(copy):
            copy.pull()
        for table in copy.tables.values():
            table.held = True
        if not copy.index.head:
            put_days(copy)
        for name, table in copy.tables.items():
            table.drop_strays(root / name)
        yield
        with _indexed(copy):
            push(copy)


def _waiting(check: Callable[[], None], copy: WorkingCopy) -> Callable[[], None]:
    """Return a check of the lease that waits for a store which does not answer."""

    def checked() -> None:
        while True:
            try:
                check()
            except StoreUnavailableError:
                tuple(copy.objects.list(LEASE_KEY))
            else:
                return

    return checked


def _let_go(copy: WorkingCopy) -> None:
    copy.require_lease = None
    for table in copy.tables.values():
        table.held = False


@contextmanager
def _indexed(copy: WorkingCopy) -> Iterator[None]:
    """Take the index as other processes of this machine left it, and let none change it meanwhile."""
    with locked(Home(copy.root).copy / _INDEX_LOCK):
        copy.index = read_index(copy.root)
        yield


def push_now(root: Path) -> None:
    """Push what changed so far, so that a kill loses no more than what comes after; in a home without a store nothing.

    The caller holds the build lock.
    """
    if place_of(root) is not None:
        copy = working_copy(root)
        if copy.require_lease is not None:
            with _indexed(copy):
                push(copy)


def moved_current(root: Path, release_id: str) -> None:
    """Swap the store's `current` once the home's was moved; in a home without a store nothing.

    Args:
        root: the home's folder.
        release_id: the release that it points at.
    """
    if place_of(root) is not None:
        copy = working_copy(root)
        with _indexed(copy):
            push_current(copy, release_id)


def refresh(root: Path) -> None:
    """Bring a home to the state of its store for who only reads; in a home without a store nothing.

    Where the store does not answer, a line says so. Where another process of this machine writes, the home is as new
    as the store.
    """
    if place_of(root) is None:
        return
    copy = working_copy(root)
    if copy.require_lease is not None:
        return
    try:
        with locked(Home(root).lock("build"), wait=False):
            tuple(copy.store.list(HEAD))
            with _indexed(copy):
                copy.pull()
    except BlockingIOError:
        return
    except StoreUnavailableError as error:
        sys.stderr.write(f"{error}; going on with push {copy.index.number}, which this home has\n")
