"""The state of an item now, whatever the release says, and changes of it. The store is in `state_store`.

A state is what someone set by hand: an item taken off every list, its price of today. It ends when it is taken back,
when its time is up, or when the catalogue says the same.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from recsys_assets import columns
from recsys_assets.errors import ItemStateError

Price = Annotated[float, Meta(ge=0, le=1e12, description="Its price now, in place of the catalogue's.")]
Boost = Annotated[
    float,
    Meta(
        ge=0.01,
        le=100,
        description="Factor of its score on lists: a score above 0 is multiplied by it, any other divided by it, so "
        "that more than 1 always raises the item.",
    ),
]
CategoryName = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^|]+$")]
CategoryNames = Annotated[
    list[CategoryName],
    Meta(min_length=1, max_length=20, description="Its categories now, in place of the catalogue's."),
]
Reason = Annotated[str, Meta(max_length=1_000, description="Why; kept in the log.")]
_LASTING: Final = ("hidden", "available", "price", "categories", "boost")
"""The fields that make a state; without any of them there is none."""
MOST_CHANGES: Final = 1_000
"""Items of one list of changes, at most."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A change on record."""

    at: datetime
    """Its time, UTC."""
    by: str
    """Name of the API key, or login of the shell's user."""
    why: str = ""
    """The reason given; empty where none was."""


class ItemState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of one item now. A field that is None says nothing: the catalogue counts."""

    hidden: bool = False
    """On no list at all."""
    available: bool | None = None
    """False: left out of lists, unless a scenario keeps what is not available."""
    price: Price | None = None
    categories: CategoryNames | None = None
    boost: Boost | None = None
    until: datetime | None = None
    """End of the whole state, UTC; it then ends by itself. None: until it is taken back."""
    off_lists: Mark | None = None
    """The change that took it off the lists; None while it is on them."""
    last: Mark
    """The last change."""

    @property
    def gone(self) -> bool:
        """True where lists leave the item out."""
        return self.hidden or self.available is False

    @property
    def category(self) -> str | None:
        """Its categories as the catalogue writes several in one text; None where the state has none."""
        return None if self.categories is None else columns.SEVERAL.join(self.categories)

    def in_words(self) -> str:
        """Return the reason why lists leave it out, such as `hidden since 2024-04-02 08:00 by shop: recalled`."""
        mark = self.off_lists or self.last
        since = (
            f"{'hidden' if self.hidden else 'not available'} since {mark.at:%Y-%m-%d %H:%M} UTC by {mark.by}"
        )
        until = "" if self.until is None else f", until {self.until:%Y-%m-%d %H:%M} UTC"
        return f"{since}{until}{f': {mark.why}' if mark.why else ''}"


class StateChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields of a state to change: one that is absent stays, null takes it back."""

    hidden: Annotated[bool | None, Meta(description="On no list at all.")] | UnsetType = UNSET
    available: (
        Annotated[
            bool | None,
            Meta(description="False: left out of lists, unless a scenario keeps what is not available."),
        ]
        | UnsetType
    ) = UNSET
    price: Price | UnsetType | None = UNSET
    categories: CategoryNames | UnsetType | None = UNSET
    boost: Boost | UnsetType | None = UNSET
    until: (
        Annotated[
            datetime,
            Meta(tz=True, description="End of the whole state, RFC 3339; it ends by itself."),
        ]
        | UnsetType
        | None
    ) = UNSET
    why: Reason = ""

    def fields(self) -> Mapping[str, Any]:
        """Return the fields given, without the reason."""
        given = {name: getattr(self, name) for name in (*_LASTING, "until")}
        return {name: value for name, value in given.items() if value is not UNSET}


def changed(state: ItemState | None, change: StateChange, *, by: str, now: datetime) -> ItemState | None:
    """Return a state with a change merged into it; None where nothing of it is left.

    Args:
        state: the state before; None where there was none.
        change: the fields to change.
        by: who changes it.
        now: the time of the change, UTC.

    Raises:
        ItemStateError: its end is not after now.
    """
    given = _checked_fields(change, now=now)
    if "hidden" in given:
        given["hidden"] = bool(given["hidden"])
    mark = Mark(at=now, by=by, why=change.why)
    before = ItemState(last=mark) if state is None else state
    after = msgspec.structs.replace(before, **given)
    if not after.hidden and all(getattr(after, name) is None for name in _LASTING[1:]):
        return None
    if state is not None and same(state, after):
        return state
    off_lists = (before.off_lists or mark) if after.gone else None
    if after.hidden and not before.hidden:
        off_lists = mark
    return msgspec.structs.replace(after, off_lists=off_lists, last=mark)


def same(one: ItemState | None, other: ItemState | None) -> bool:
    """Return True where two states say the same, whoever set them and why."""
    if one is None or other is None:
        return one is other
    return all(getattr(one, name) == getattr(other, name) for name in (*_LASTING, "until"))


def _checked_fields(change: StateChange, *, now: datetime) -> dict[str, Any]:
    given = dict(change.fields())
    if isinstance(until := given.get("until"), datetime):
        try:
            given["until"] = until.astimezone(UTC)
        except OverflowError:
            raise ItemStateError(f"until {until.isoformat()} is outside of the years 1-9999 UTC") from None
        if given["until"] <= now:
            raise ItemStateError(
                f"until {until.isoformat()} is not after now, {now.isoformat()}; give a later time"
            )
    return given
