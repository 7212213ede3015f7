"""Writing to a home with an object store: take its lease, pull, do the work, push, give the lease back.

Nothing happens in a home without a store. `build_lock` holds it for all who change days, artifacts and settings.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from recsys_assets.errors import BuildRunningError, StoreUnavailableError
from recsys_assets.storage.copy_index import read_index
from recsys_assets.storage.copy_push import push, push_current, put_days, writer
from recsys_assets.storage.home import Home
from recsys_assets.storage.lease import LEASE_KEY, held_lease
from recsys_assets.storage.locks import PULL_LOCK, build_lock, locked
from recsys_assets.storage.open_copy import working_copy
from recsys_assets.storage.store_head import HEAD
from recsys_assets.storage.store_place import place_of
from recsys_assets.storage.working_copy import WorkingCopy

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
        for table in copy.tables.values():
            table.held = True
        with indexed(copy):
            copy.pull()
        if not copy.index.head:
            put_days(copy)
        yield
        with indexed(copy):
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
        table.release()


@contextmanager
def indexed(copy: WorkingCopy) -> Iterator[None]:
    """Take the index as other processes of this machine left it, and let none change it meanwhile."""
    with locked(Home(copy.root).copy / _INDEX_LOCK):
        copy.index = read_index(copy.root)
        yield


@contextmanager
def helping(root: Path) -> Iterator[None]:
    """Write days for the process that holds the store, on its order: they are put, and nothing else is pushed.

    Args:
        root: the home's folder on this machine, which may be empty but for its note (`store_binding.bind`).
    """
    if place_of(root) is None:
        yield
        return
    copy = working_copy(root)
    copy.require_lease = _nothing
    take_helped_days(root)
    for table in copy.tables.values():
        table.held = True
    try:
        yield
    finally:
        for table in copy.tables.values():
            table.settle()
        _let_go(copy)


def take_helped_days(root: Path) -> None:
    """Look for the days that helpers of this process wrote; in a home without a store nothing."""
    if place_of(root) is not None:
        copy = working_copy(root)
        for name, table in copy.tables.items():
            table.take(copy.objects.list(f"{name}/"))


def _nothing() -> None:
    """Require nothing: the process that gave the order holds the lease."""


def push_changes(root: Path) -> None:
    """Push what a command changed without the build lock, as rules, keys and pruned releases, once it has ended.

    Nothing happens in a home without a store. While somebody else writes, or the store does not answer, a line says
    what waits for the next push.
    """
    if place_of(root) is None:
        return
    copy = working_copy(root)
    with indexed(copy):
        changed = sorted(copy.changed_here())
    if changed:
        try:
            tuple(copy.store.list(LEASE_KEY))  # not waited for
            with build_lock(Home(root)):
                pass  # it is pushed at the end
        except (BuildRunningError, StoreUnavailableError) as error:
            more = f" and {len(changed) - 1:,} more" if len(changed) > 1 else ""
            copy.say(
                f"{changed[0]}{more}: not in {copy.objects.url} yet, the next `recsys build` puts it ({error})"
            )


def push_now(root: Path) -> None:
    """Push what changed so far, so that a kill loses no more than what comes after; in a home without a store nothing.

    The caller holds the build lock.
    """
    if place_of(root) is not None:
        copy = working_copy(root)
        if copy.require_lease is not None:
            with indexed(copy):
                push(copy)


def moved_current(root: Path, release_id: str) -> None:
    """Swap the store's `current` once the home's was moved; in a home without a store nothing.

    An outage is waited for by who holds the store, and in `waiting_moves`; a request to the API is not kept waiting.

    Args:
        root: the home's folder.
        release_id: the release that it points at.

    Raises:
        StoreUnavailableError: the move is in this home alone; the next command puts it there.
        ObjectChangedError: another machine moved `current` meanwhile.
    """
    if place_of(root) is None:
        return
    copy = working_copy(root)
    waits = copy.moves_wait or copy.require_lease is not None
    patient, copy.objects = copy.objects, copy.objects if waits else copy.store
    try:
        with indexed(copy):
            push_current(copy, release_id)
    except StoreUnavailableError as error:
        raise StoreUnavailableError(
            f"{error}; release {release_id} is current in this home alone: the next `recsys` command puts that there"
        ) from error
    finally:
        copy.objects = patient


@contextmanager
def waiting_moves(root: Path) -> Iterator[None]:
    """Let moves of `current` in the block wait for a store that does not answer, as those of a command do."""
    if place_of(root) is None:
        yield
        return
    copy = working_copy(root)
    copy.moves_wait = True
    try:
        yield
    finally:
        copy.moves_wait = False


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
        with locked(Home(root).copy / PULL_LOCK), locked(Home(root).lock("build"), wait=False):
            tuple(copy.store.list(HEAD))
            with indexed(copy):
                copy.pull()
    except BlockingIOError:
        return
    except StoreUnavailableError as error:
        sys.stderr.write(f"{error}; going on with push {copy.index.number}, which this home has\n")
