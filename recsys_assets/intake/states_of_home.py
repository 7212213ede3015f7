"""The item states of a home: alone in its file, or shared by the machines that have one object store."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Final

from recsys_assets.errors import ItemStatesUnavailableError
from recsys_assets.intake.shared_states import SharedStates
from recsys_assets.intake.state_store import StateStore
from recsys_assets.storage.home import Home
from recsys_assets.storage.object_store import ObjectStore
from recsys_assets.storage.open_copy import examined_store, opened
from recsys_assets.storage.store_place import StorePlace, place_of

_PATIENCE: Final = 1.5
"""Seconds over which a request is sent again; whoever changes a state waits for it."""


def states_of(home: Home) -> StateStore:
    """Return the store of a home's item states; one with an object store (`store_binding.bind`) shares them."""
    return StateStore(home.item_states_db, shared=shared_states_of(home))


def shared_states_of(home: Home) -> SharedStates | None:
    """Return what shares a home's item states with other machines; None where the home has no object store."""
    place = place_of(home.root)
    return None if place is None else SharedStates(home.item_states_db, partial(_opened, home, place))


def exchange_states(home: Home, *, now: datetime, say: Callable[[str], object]) -> None:
    """Send the changes of item states that wait in a home, and take those of other machines; an outage is no error.

    Args:
        home: one without an object store has nothing to do.
        now: the time, UTC.
        say: called with what other machines do not know yet.
    """
    shared = shared_states_of(home)
    if shared is None:
        return
    with suppress(ItemStatesUnavailableError):  # the next command, or the home's API, sends it
        shared.exchange(now)
    if shared.waiting is not None:
        say(shared.waiting)


def followed_states_of(home: Home, store: ObjectStore) -> SharedStates:
    """Return what brings the states of a store into the cache of a replica, which changes none itself."""
    return SharedStates(home.item_states_db, lambda: store, only_follows=True)


def _opened(home: Home, place: StorePlace) -> ObjectStore:
    return examined_store(home.root) or opened(place, seconds=_PATIENCE)
