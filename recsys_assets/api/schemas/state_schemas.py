"""JSON bodies of item states: the state of one item, changes of many, and the log.

The docstring and the descriptions of a struct are in the OpenAPI document.
"""

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from recsys_assets.api.schemas.recommendation_schemas import ItemId, ReleaseId
from recsys_assets.intake.item_states import MOST_CHANGES, ItemState, Reason, StateChange
from recsys_assets.intake.state_rows import LoggedChange

Version = Annotated[
    int, Meta(description="Grows with every change of any item; part of every entity tag.", examples=[17])
]
Known = Annotated[
    bool,
    Meta(
        description="False where the served release does not hold the item: the state waits for one that does."
    ),
]
State = Annotated[ItemState | None, Meta(description="What holds of it now; null where nobody set anything.")]

Waiting = (
    Annotated[
        str,
        Meta(
            description="There only where machines share the states by an object store that does not answer: what the "
            "others do not know yet. It counts here already, and is sent once the store answers."
        ),
    ]
    | UnsetType
)


class StateOfItem(Struct, frozen=True, kw_only=True):
    """The state of one item."""

    item_id: ItemId
    known: Known
    state: State


class OneState(StateOfItem, frozen=True, kw_only=True):
    """The state of one item, in force in this worker; every other one has it within a second."""

    release: ReleaseId
    version: Version
    waiting: Waiting = UNSET


class ItemStateChange(StateChange, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields of one item's state to change: one that is absent stays, null takes it back."""

    item_id: ItemId


class StateChanges(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of several items, each once; all are made, or none."""

    items: Annotated[list[ItemStateChange], Meta(min_length=1, max_length=MOST_CHANGES)]
    why: Annotated[Reason, Meta(description="Why, for the items without a reason of their own.")] = ""


class StatesChanged(Struct, frozen=True, kw_only=True):
    """The new states, in the order of the changes."""

    release: ReleaseId
    version: Version
    items: list[StateOfItem]
    waiting: Waiting = UNSET


class ItemStates(Struct, frozen=True, kw_only=True):
    """A page of the items that have a state, by item id."""

    release: ReleaseId
    version: Version
    total: Annotated[int, Meta(ge=0, description="Items with a state, on all pages.")]
    items: list[StateOfItem]
    next: Annotated[
        str | None, Meta(description="Send it as `after` for the next page; null where this is the last.")
    ]


class LoggedStateChange(Struct, frozen=True, kw_only=True):
    """One change of one item's state."""

    seq: Annotated[int, Meta(description="Number of the change, ascending.", examples=[17])]
    item_id: ItemId
    at: Annotated[datetime, Meta(description="Its time, UTC.")]
    by: Annotated[
        str,
        Meta(
            description="Name of the API key, login of the shell's user, or `(its time was up)`.",
            examples=["shop-backend"],
        ),
    ]
    why: Annotated[str, Meta(description="The reason given; empty where none was.", examples=["recalled"])]
    before: Annotated[ItemState | None, Meta(description="The state before; null where there was none.")]
    after: Annotated[ItemState | None, Meta(description="The state after; null where none is left.")]

    @classmethod
    def of(cls, change: LoggedChange) -> "LoggedStateChange":
        """Return a change of the store as a body."""
        return cls(**{name: getattr(change, name) for name in LoggedChange.__struct_fields__})


class StateLog(Struct, frozen=True, kw_only=True):
    """Changes of item states, the last first."""

    release: ReleaseId
    changes: list[LoggedStateChange]
    next: Annotated[
        int | None, Meta(description="Send it as `before` for earlier changes; null where there are none.")
    ]
