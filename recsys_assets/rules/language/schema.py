"""Structure of a rules file: a struct for each kind of stage, each field with its unit and bounds.

A scenario is candidates -> filters -> scoring -> reranking -> limits, each a list of named stages in the
file's order. Relevance is on one scale, 0-1: an item's score for the user or session, divided by the best
candidate's; for a stranger, log popularity divided by the best's. Boosts are added to it.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

FORMAT: Final = 1

Share = Annotated[float, Meta(ge=0, le=1)]
Signed = Annotated[float, Meta(ge=-1, le=1)]
Count = Annotated[int, Meta(ge=1, le=100_000)]
Name = Annotated[str, Meta(min_length=1, max_length=80)]
Text = Annotated[str, Meta(min_length=1, max_length=2_000)]

SourceName = Literal["user", "session", "recent", "history", "popular", "trending", "new", "category", "list"]
FallbackName = Literal["catalogue", "popular"]


class _Stage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name | None = None
    """Name in traces and test cases; its kind or source by default."""


class CandidateSource(_Stage, frozen=True, kw_only=True):
    """A source of candidates. Sources run in order; an item from several sources keeps the names of all."""

    source: SourceName
    """`user`, `session`: nearest to the vector; `recent`: nearest to the last items; `history`: the user's
    own items, to buy again; `popular`, `trending`, `new`, `list`: the same for everyone; `category`: popular
    items in the categories of the last items."""
    quota: Count
    """Most items that it adds."""
    last: Count = 3
    """For `recent` and `category`: number of last items used."""
    days: Count = 28
    """For `new`: most days since an item's first event."""
    least_events: Count = 5
    """For `trending`: fewest events in the last 28 days."""
    where: Text | None = None
    """For `popular`, `trending` and `new`: a predicate that its items satisfy."""
    items_of: Name | None = None
    """For `list`: name of a list in the file."""
    only_below: Count | None = None
    """Makes the source a fallback: it runs only where the sources before it gave fewer items than this."""


class SeenFilter(_Stage, frozen=True, kw_only=True):
    """Drop items that the user has."""

    kind: Literal["seen"]
    cool_off_days: Count | None = None
    """Days after which an item may be recommended again; never by default."""


class WhereFilter(_Stage, frozen=True, kw_only=True):
    """Keep, or drop, the items that satisfy a predicate."""

    kind: Literal["where"]
    keep: Text | None = None
    """Predicate of the items to keep; all others are dropped."""
    drop: Text | None = None
    """Predicate of the items to drop; all others are kept."""
    unknown: Literal["keep", "drop"] | None = None
    """Fate of an item for which the predicate is unknown. By default a `keep` without user features drops it, and
    any other filter keeps it, so that a stranger's list is not empty."""


class ExcludedFilter(_Stage, frozen=True, kw_only=True):
    """Drop listed items."""

    kind: Literal["excluded"]
    items: Annotated[list[str], Meta(min_length=1)]
    """Item ids; ids that are not in the release are ignored."""


class OwnFilter(_Stage, frozen=True, kw_only=True):
    """Drop items that the user offers."""

    kind: Literal["own"]
    column: Name
    """The text column that holds the id of the user who offers an item."""


class Boost(_Stage, frozen=True, kw_only=True):
    """Add a constant to the score of the items that satisfy a predicate; below 0 demotes."""

    kind: Literal["boost"]
    where: Text
    by: Signed
    """The constant, on the scale of relevance, -1 to 1."""


class FeatureBoost(_Stage, frozen=True, kw_only=True):
    """Add weight x value to the score."""

    kind: Literal["feature"]
    value: Text
    """A number expression; clipped to 0-1, 0 where unknown."""
    weight: Signed


class Newness(_Stage, frozen=True, kw_only=True):
    """Add weight x 0.5 ** (days since the item's first event / half life) to the score."""

    kind: Literal["newness"]
    half_life_days: Annotated[float, Meta(ge=0.001, le=100_000)]
    weight: Signed


class PopularityDebias(_Stage, frozen=True, kw_only=True):
    """Add weight x log(1 + popularity) / log(1 + greatest popularity); below 0 demotes popular items."""

    kind: Literal["popularity"]
    weight: Signed


class Fatigue(_Stage, frozen=True, kw_only=True):
    """Multiply the score of an item that the user was shown often and did not touch; a negative one moves away from 0.

    It counts the impressions that were reported, and the user's events since the release as touches.
    """

    kind: Literal["fatigue"]
    shown: Annotated[int, Meta(ge=1, le=1_000)]
    """Showings from which it applies."""
    window_days: Annotated[int, Meta(ge=1, le=90)] = 7
    """Days back that showings count."""
    factor: Share = 0.5
    """Factor, 0-1."""


class Diversity(_Stage, frozen=True, kw_only=True):
    """Choose as the next item the one with the greatest (1 - w) x score - w x (greatest cosine with an item above).

    This is maximal marginal relevance (Carbonell & Goldstein 1998), with w = strength x (items above / 9)^2 down to
    the tenth place and w = strength from there on.
    """

    kind: Literal["diversity"]
    strength: Share
    """Strength from the tenth place on: 0 keeps the order by score, 1 ignores the score."""
    pool: Count = 100
    """Number of best items to choose from."""
    memory: Count | None = None
    """Number of items directly above to compare with; all by default."""


class AtMost(_Stage, frozen=True, kw_only=True):
    """Allow at most n items with the same attribute in any `window` neighbouring places."""

    kind: Literal["at_most"]
    n: Count
    by: Name
    """A text column, e.g. `category`; items where it is unknown are not limited."""
    window: Count = 10


class Variants(_Stage, frozen=True, kw_only=True):
    """Keep only the first item with the same attribute."""

    kind: Literal["variants"]
    by: Name
    """A text column, e.g. `title`; items where it is unknown are all kept."""


class Promote(_Stage, frozen=True, kw_only=True):
    """Fill at least a share of the list with items that satisfy a predicate, as far as there are any."""

    kind: Literal["promote"]
    where: Text
    share: Share
    """Share of the k items, rounded up."""


class Explore(_Stage, frozen=True, kw_only=True):
    """Give the last places to items drawn from below the list; seed, user and release determine the draw."""

    kind: Literal["explore"]
    share: Share
    """Share of the k items; a fraction of a place becomes a place for that fraction of the users."""
    pool: Count = 100
    """Number of best items to draw from."""
    seed: int = 0


class Pin(_Stage, frozen=True, kw_only=True):
    """Put items at fixed places, unless a filter drops them."""

    kind: Literal["pin"]
    slots: Annotated[dict[str, str], Meta(min_length=1)]
    """Place (1 is the first) -> item id."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Length of a list, and sources that fill up a short one."""

    at_most: Count | None = None
    """Most items of a list, whatever k is."""
    fallback: tuple[FallbackName, ...] = ("catalogue",)
    """Sources used in order while fewer than k items pass the filters; the filters apply to their items too."""
    unavailable: Literal["drop", "keep"] = "drop"
    """Fate of items whose state says that they are not available; rules see it as `available`. Hidden items are always
    dropped."""


Filter = SeenFilter | WhereFilter | ExcludedFilter | OwnFilter
Scoring = Boost | FeatureBoost | Newness | PopularityDebias | Fatigue
Reranking = Diversity | AtMost | Variants | Promote | Explore | Pin
AnyStage = CandidateSource | Filter | Scoring | Reranking

FILTERS: Final[dict[str, type[Filter]]] = {
    "seen": SeenFilter, "where": WhereFilter, "excluded": ExcludedFilter, "own": OwnFilter,
}  # fmt: skip
SCORINGS: Final[dict[str, type[Scoring]]] = {
    "boost": Boost, "feature": FeatureBoost, "newness": Newness, "popularity": PopularityDebias,
    "fatigue": Fatigue,
}  # fmt: skip
RERANKINGS: Final[dict[str, type[Reranking]]] = {
    "diversity": Diversity, "at_most": AtMost, "variants": Variants, "promote": Promote, "explore": Explore,
    "pin": Pin,
}  # fmt: skip
SECTIONS: Final[dict[str, Mapping[str, type[Filter] | type[Scoring] | type[Reranking]]]] = {
    "filters": FILTERS, "scoring": SCORINGS, "reranking": RERANKINGS,
}  # fmt: skip


def stage_name(stage: AnyStage) -> str:
    """Return the stage's name in traces and test cases."""
    if stage.name is not None:
        return stage.name
    return stage.source if isinstance(stage, CandidateSource) else stage.kind
