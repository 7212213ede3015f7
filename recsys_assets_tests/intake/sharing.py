"""Machines that share item states by one store, whose outages the tests decide."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from recsys_assets.errors import ItemStatesUnavailableError, StoreUnavailableError
from recsys_assets.intake.shared_states import SharedStates
from recsys_assets.intake.state_store import StatesSnapshot, StateStore
from recsys_assets.storage.object_store import ObjectStore

NOW = datetime(2024, 4, 2, 8, tzinfo=UTC)


def hours(count: float) -> datetime:
    return NOW + timedelta(hours=count)


class Line:
    """The way of one machine to the store."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.is_down = False

    def __getattr__(self, name: str):
        if self.is_down and name != "url":
            raise StoreUnavailableError(f"{self.store.url}: no answer for 2 s")
        return getattr(self.store, name)


class Machine:
    """One machine's `item_states.sqlite`."""

    def __init__(self, folder: Path, store: ObjectStore, *, only_follows: bool = False) -> None:
        self.line = Line(store)
        self.path = folder / "item_states.sqlite"
        self.shared = SharedStates(self.path, lambda: self.line, only_follows=only_follows)
        self.states = StateStore(self.path, shared=self.shared)

    def look(self, now: datetime = NOW) -> StatesSnapshot:
        """Look at the store as a follower does, and return the states."""
        try:
            self.shared.exchange(now)
        except ItemStatesUnavailableError:
            assert self.line.is_down
        return self.states.refresh(now)
