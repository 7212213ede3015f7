"""Meaning of an event for its user's next lists: a wish that is folded in, an item that is only hidden, or neither.

The rule is that of `[interactions]` (`interactions/wish_rule.py` applies it to the lake), in plain Python for the API.
"""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Final, Literal, Self

import msgspec

from recsys_assets.event_settings import EventsSettings
from recsys_assets.intake.events_database import HIDING_KINDS, microseconds
from recsys_assets.settings import DEFAULT_KINDS, InteractionsSettings, load_or_default_settings
from recsys_assets.source_settings import EARLIEST
from recsys_assets.storage.home import Home

WISH: Final = 1
"""The item is hidden, and folded into the user's vector."""
HIDDEN: Final = 2
"""The item is hidden."""
NOTHING: Final = 0
"""The event changes no list."""
_VARIABLES: Final = "RECSYS_EVENTS__"
IMPRESSION: Final = "impression"
"""The kind of an event that says that an item was shown."""
_TAKEN: Final = ("view", "cart", "purchase", "rating", "like", *HIDING_KINDS)
RATED_FROM: Final[Mapping[str, float]] = {
    "amazon": 4.0,
    "book-crossing": 6.0,
    "goodreads": 4.0,
    "movielens": 4.0,
    "movielens-100k": 4.0,
    "netflix": 4.0,
    "yelp": 4.0,
}
"""Kind of source -> least rating of a wish, where `[interactions] rating_positive` is left out."""


class EventOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a home that events need, as a server hands them to its workers."""

    events: EventsSettings = EventsSettings()
    """`[events]`."""
    interactions: InteractionsSettings = InteractionsSettings()
    """`[interactions]`."""
    source: str = ""
    """Spec of the source."""
    first_day: date | None = None
    """First daily partition; None where the home has no settings yet."""

    @classmethod
    def of(cls, home: Home) -> Self:
        """Return those of a home; the defaults, and `RECSYS_EVENTS__…`, where it has no settings yet.

        Raises:
            SettingsError: the settings are not valid.
        """
        named = any(name.startswith(_VARIABLES) for name in os.environ)
        if not home.settings_file.is_file() and not named:
            return cls()
        settings = load_or_default_settings(home)
        source = settings.source
        return cls(
            events=settings.events,
            interactions=settings.interactions,
            source=source.spec,
            first_day=source.first_day,
        )

    @property
    def earliest(self) -> int:
        """Earliest time of an event, us since 1970: that of 1990, or the first partition's where that is earlier."""
        first = EARLIEST if self.first_day is None else datetime.combine(self.first_day, time(), UTC)
        return microseconds(min(EARLIEST, first))


@dataclass(frozen=True, kw_only=True)
class EventMeaning:
    """The meaning of kinds and ratings for one home."""

    weights: Mapping[str, float] = field(default_factory=lambda: DEFAULT_KINDS)
    """Kind -> its weight as a wish; a kind that is not listed weighs 1."""
    rating_positive: float | None = None
    """Least rating of a wish; None where every rating is one."""
    seen: Literal["all"] | Collection[str] | None = None
    """Kinds that hide their item; None: all but `impression`."""
    accepted: Collection[str] = frozenset(_TAKEN)
    """Kinds that the intake takes."""

    @classmethod
    def of(cls, options: EventOptions) -> "EventMeaning":
        """Return the meaning by the settings of a home."""
        interactions = options.interactions
        seen = interactions.seen
        rated_from = RATED_FROM.get(options.source.strip().partition(":")[0])
        named = {kind.strip().lower() for kind in (*options.events.kinds, *interactions.kinds)}
        return cls(
            weights=interactions.kinds,
            rating_positive=rated_from
            if interactions.rating_positive is None
            else interactions.rating_positive,
            seen=seen if seen is None or seen == "all" else frozenset(kind.strip().lower() for kind in seen),
            accepted=frozenset(_TAKEN) | (named - {IMPRESSION}),
        )

    def of_event(self, kind: str, rating: float | None) -> int:
        """Return `WISH`, `HIDDEN` or `NOTHING` for an event."""
        if kind in HIDING_KINDS:
            return HIDDEN
        rated_low = rating is not None and self.rating_positive is not None and rating < self.rating_positive
        if not rated_low and self.weights.get(kind, 1.0) > 0:
            return WISH
        if rated_low or self.seen == "all":
            return HIDDEN
        hides = kind != IMPRESSION if self.seen is None else kind in self.seen
        return HIDDEN if hides else NOTHING
