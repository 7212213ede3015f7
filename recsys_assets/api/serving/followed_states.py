"""Item states and the newest catalogue in a serving process: followed, bound to the release, put in force as one."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from recsys_assets.api.http.bodies import ItemJson
from recsys_assets.api.serving.follower import Follower
from recsys_assets.errors import ItemStatesUnavailableError
from recsys_assets.intake.state_store import StatesSnapshot
from recsys_assets.intake.states_of_home import states_of
from recsys_assets.release.bound_states import CatalogueOver, bind_states
from recsys_assets.rules.engine.catalogue_over import FollowedCatalogue
from recsys_assets.rules.engine.live_items import LiveCategories
from recsys_assets.storage.home import Home

if TYPE_CHECKING:
    from recsys_assets.api.serving.serving_release import Serving

_SHARED_SECONDS: Final = 0.5
"""Time between two looks of a worker at the states that several machines share."""


class FollowedStates:
    """The states of one home. Its methods take a moment where something changed: call them beside the event loop."""

    def __init__(self, home: Home, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Follow the states of `home`; `clock` decides when a state's time is up."""
        self.store = states_of(home)
        self._clock = clock
        self._lock = threading.Lock()
        self._home = home
        self._bound: WeakKeyDictionary[Serving, _Bound] = WeakKeyDictionary()

    def followers(self, opened: "Callable[[], Sequence[Serving]]") -> "list[Follower]":
        """Return what follows states and catalogue; `opened` returns the open releases.

        Changes of other machines come by a follower of their own, since the store may be slow to answer.
        """
        found = [
            Follower("item states", lambda: self.refresh(opened())),
            Follower("catalogue", lambda: self.refresh_catalogue(opened())),
        ]
        shared = self.store.shared
        if shared is not None:
            look = Follower(
                "shared item states", lambda: shared.exchange(self._clock()), seconds=_SHARED_SECONDS
            )
            found.append(look)
        return found

    @property
    def waiting(self) -> str | None:
        """The changes that other machines do not know yet, in words; None where they know all, or there are none."""
        return None if self.store.shared is None else self.store.shared.waiting

    def refresh(self, opened: "Sequence[Serving]") -> None:
        """Take up changes of states, and put them in force in every open release.

        Lists heed them as soon as they are bound; rules that read them as columns a moment later.

        Raises:
            ItemStatesUnavailableError: the store cannot be read; the states before stay in force.
        """
        with self._lock:
            self.store.refresh(self._clock())
            for serving in opened:
                self._put_in_force(serving)

    def refresh_catalogue(self, opened: "Sequence[Serving]") -> None:
        """Take up a catalogue that landed after the releases; states do not wait for it.

        Raises:
            ItemStatesUnavailableError: the catalogue cannot be read; the one before stays in force.
        """
        for serving in opened:
            self._of(serving).catalogue.over(serving.release)  # outside of the lock, since it takes a moment
            with self._lock:
                self._put_in_force(serving)

    def begin(self, serving: "Serving") -> None:
        """Put the states in force before a release is served; those read before where the store cannot be read."""
        try:
            self.refresh([serving])
        except ItemStatesUnavailableError:  # the follower says why
            with self._lock:
                self._put_in_force(serving)

    def _of(self, serving: "Serving") -> "_Bound":
        return self._bound.setdefault(serving, _Bound(FollowedCatalogue(self._home)))

    def _put_in_force(self, serving: "Serving") -> None:
        bound = self._of(serving)
        bound.take_up(serving, self.store.snapshot, bound.catalogue.last_over(serving.release))


class _Bound:
    """The states and the catalogue as one open release has them."""

    def __init__(self, catalogue: FollowedCatalogue) -> None:
        self.catalogue = catalogue
        self._in_force: tuple[StatesSnapshot, CatalogueOver] | None = None

    def take_up(self, serving: "Serving", snapshot: StatesSnapshot, over: CatalogueOver) -> None:
        lookups, release = serving.plain.lookups, serving.release
        before = lookups.states
        if self._in_force != (snapshot, over):
            states = bind_states(snapshot, release.items, catalogue=over)
            lookups.take_up(states)
            if states.categories != before.categories:
                categories = LiveCategories(release.categories, states.categories)
                serving.items = ItemJson(release.items, release.titles, categories)
            self._in_force = (snapshot, over)
        serving.rules.rebind()
