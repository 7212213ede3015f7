"""The end of states that the catalogue says itself, and those that it contradicts.

A price or a category set by hand is meant until the source has it too. So a catalogue that lands takes over what
agrees with it, and what disagrees stays in force and is named: in the asset's metadata, by `recsys doctor` and
`recsys items states`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from recsys_assets.intake.item_states import ItemState, StateChange
from recsys_assets.intake.newest_catalogue import NewestCatalogue
from recsys_assets.intake.state_store import StateStore

CATALOGUE: Final = "(catalogue)"
"""Who takes back what the catalogue says itself, in the log."""


class Disagreement(NamedTuple):
    """A field that a state and the catalogue have otherwise."""

    item_id: str
    field: str
    """`price` or `categories`."""
    state: Any
    """The value in force."""
    catalogue: Any
    """The catalogue's."""

    def in_words(self) -> str:
        """Return one line."""
        return f"{self.item_id}: {self.field} {self.state} by its state, {self.catalogue} in the catalogue"


class Takeover(NamedTuple):
    """The result of a landing for the states of items."""

    taken_over: list[tuple[str, str]]
    """(item id, field) that the catalogue says itself now; taken back."""
    disagreements: list[Disagreement]


def compared(states: Mapping[str, ItemState], catalogue: NewestCatalogue | None) -> Takeover:
    """Return the fields of states that agree with the catalogue, and those that do not; what it lacks is neither."""
    taken_over, disagreements = list[tuple[str, str]](), list[Disagreement]()
    for item_id, field, value, known in _fields(states, catalogue):
        if known is None:
            continue
        if value == known:
            taken_over.append((item_id, field))
        else:
            disagreements.append(Disagreement(item_id, field, value, known))
    return Takeover(taken_over, disagreements)


def take_over(store: StateStore, catalogue: NewestCatalogue, *, now: datetime) -> Takeover:
    """Take back the fields of states that the catalogue says itself, and return them and the disagreements.

    Args:
        store: the home's.
        catalogue: the one that landed.
        now: the time, UTC.

    Raises:
        ItemStatesUnavailableError: the store cannot be read or written.
    """
    found = compared(store.refresh(now).states, catalogue)
    fields: dict[str, dict[str, Any]] = {}
    for item_id, field in found.taken_over:
        fields.setdefault(item_id, {})[field] = None
    if fields:
        why = "the catalogue says the same"
        changes = {item_id: StateChange(**given, why=why) for item_id, given in fields.items()}
        store.put(changes, by=CATALOGUE, now=now)
    return found


def _fields(
    states: Mapping[str, ItemState], catalogue: NewestCatalogue | None
) -> Iterable[tuple[str, str, Any, Any]]:
    """Yield item id, field, the state's value and the catalogue's."""
    if catalogue is None:
        return
    for item_id, state in sorted(states.items()):
        if state.price is not None:
            yield item_id, "price", state.price, catalogue.price_of(item_id)
        if state.category is not None:
            yield item_id, "categories", state.category, catalogue.category_of(item_id)
