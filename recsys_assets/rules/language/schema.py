"""What a rules file may hold: one struct a kind of stage, each field with its unit and bounds.

A scenario is candidates -> filters -> scoring -> reranking -> limits, each a list of named stages in the
file's order. Relevance is on one scale, 0-1: an item's inner product with the user's (or session's) vector as
a share of the best candidate's; without a vector, log popularity as a share of the best's. Boosts are added.
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
    """What the trace and the tests call it; by default its kind or source."""


class CandidateSource(_Stage, frozen=True, kw_only=True):
    """Where items come from. Sources are asked in order; an item keeps all that brought it."""

    source: SourceName
    """`user`, `session`: nearest to the vector; `recent`: nearest to the last items; `history`: the user's
    own items, to buy again; `popular`, `trending`, `new`, `list`: the same for everyone; `category`: popular
    items of the categories of the last items."""
    quota: Count
    """Items taken, at most."""
    last: Count = 3
    """For `recent` and `category`: how many of the last items count."""
    days: Count = 28
    """For `new`: first event at most so many days ago."""
    least_events: Count = 5
    """For `trending`: events in the last 28 days, at least."""
    where: Text | None = None
    """For `popular`, `trending` and `new`: a predicate over items that they have to satisfy."""
    items_of: Name | None = None
    """For `list`: which list of the file."""
    only_below: Count | None = None
    """A fallback: asked only where the sources before gave fewer items than this."""


class SeenFilter(_Stage, frozen=True, kw_only=True):
    """Drop what the user has."""

    kind: Literal["seen"]
    cool_off_days: Count | None = None
    """Days after which an item may come back; never where not given."""


class WhereFilter(_Stage, frozen=True, kw_only=True):
    """Keep, or drop, what satisfies a predicate."""

    kind: Literal["where"]
    keep: Text | None = None
    """Drop everything else."""
    drop: Text | None = None
    """Keep everything else."""
    unknown: Literal["keep", "drop"] | None = None
    """What happens where the predicate is unknown; by default a `keep` over items alone drops the item, and
    it is kept otherwise, so that a stranger is not left with nothing."""


class ExcludedFilter(_Stage, frozen=True, kw_only=True):
    """Drop these items."""

    kind: Literal["excluded"]
    items: Annotated[list[str], Meta(min_length=1)]
    """Item ids; ids that the release does not hold are ignored."""


class OwnFilter(_Stage, frozen=True, kw_only=True):
    """Drop items that the user offers."""

    kind: Literal["own"]
    column: Name
    """The text column that holds the id of the user who offers an item."""


class Boost(_Stage, frozen=True, kw_only=True):
    """Add to the score of what satisfies a predicate; below 0 demotes."""

    kind: Literal["boost"]
    where: Text
    by: Signed
    """On the scale of relevance, -1 to 1."""


class FeatureBoost(_Stage, frozen=True, kw_only=True):
    """Add weight x value."""

    kind: Literal["feature"]
    value: Text
    """A number expression; cut to 0-1, 0 where unknown."""
    weight: Signed


class Newness(_Stage, frozen=True, kw_only=True):
    """Add weight x 0.5 ** (days since the item's first event / half life)."""

    kind: Literal["newness"]
    half_life_days: Annotated[float, Meta(gt=0)]
    weight: Signed


class PopularityDebias(_Stage, frozen=True, kw_only=True):
    """Add weight x log(1 + popularity) / log(1 + greatest popularity); below 0 demotes what everyone has."""

    kind: Literal["popularity"]
    weight: Signed


class Diversity(_Stage, frozen=True, kw_only=True):
    """The next item has the greatest (1 - w) x score - w x (greatest cosine with one above).

    This is maximal marginal relevance (Carbonell & Goldstein 1998), with w = strength x (items above / 9)^2 down to
    the tenth place and w = strength from there on.
    """

    kind: Literal["diversity"]
    strength: Share
    """Of the tenth place and those below: 0 leaves the order as it is, 1 looks at nothing but difference."""
    pool: Count = 100
    """Best items among which it chooses."""
    memory: Count | None = None
    """Compare with the last so many items chosen only; all by default."""


class AtMost(_Stage, frozen=True, kw_only=True):
    """At most n items of the same attribute within any `window` neighbouring places."""

    kind: Literal["at_most"]
    n: Count
    by: Name
    """A text column, e.g. `category`; items where it is unknown are not limited."""
    window: Count = 10


class Variants(_Stage, frozen=True, kw_only=True):
    """Keep the first of items with the same attribute."""

    kind: Literal["variants"]
    by: Name
    """A text column, e.g. `title`; items where it is unknown are all kept."""


class Promote(_Stage, frozen=True, kw_only=True):
    """At least a share of the list satisfies a predicate, as far as there are such candidates."""

    kind: Literal["promote"]
    where: Text
    share: Share
    """Of the k items, rounded up."""


class Explore(_Stage, frozen=True, kw_only=True):
    """The last places go to items drawn from below the list; the draw follows from seed, user and release."""

    kind: Literal["explore"]
    share: Share
    """Of the k items; a fraction of a place is given to so many users."""
    pool: Count = 100
    """Best items among which it draws."""
    seed: int = 0


class Pin(_Stage, frozen=True, kw_only=True):
    """Items at fixed places, where the filters let them through."""

    kind: Literal["pin"]
    slots: Annotated[dict[str, str], Meta(min_length=1)]
    """Place (1 is the first) -> item id."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How short and how long a list may be."""

    at_most: Count | None = None
    """Longest list, whatever k asks for."""
    fallback: tuple[FallbackName, ...] = ("catalogue",)
    """Asked in order while fewer than k items are left after the filters, which hold for these too."""


Filter = SeenFilter | WhereFilter | ExcludedFilter | OwnFilter
Scoring = Boost | FeatureBoost | Newness | PopularityDebias
Reranking = Diversity | AtMost | Variants | Promote | Explore | Pin
AnyStage = CandidateSource | Filter | Scoring | Reranking

FILTERS: Final[dict[str, type[Filter]]] = {
    "seen": SeenFilter, "where": WhereFilter, "excluded": ExcludedFilter, "own": OwnFilter,
}  # fmt: skip
SCORINGS: Final[dict[str, type[Scoring]]] = {
    "boost": Boost, "feature": FeatureBoost, "newness": Newness, "popularity": PopularityDebias,
}  # fmt: skip
RERANKINGS: Final[dict[str, type[Reranking]]] = {
    "diversity": Diversity, "at_most": AtMost, "variants": Variants, "promote": Promote, "explore": Explore,
    "pin": Pin,
}  # fmt: skip
SECTIONS: Final[dict[str, Mapping[str, type[Filter] | type[Scoring] | type[Reranking]]]] = {
    "filters": FILTERS, "scoring": SCORINGS, "reranking": RERANKINGS,
}  # fmt: skip


def stage_name(stage: AnyStage) -> str:
    """What the trace calls it."""
    if stage.name is not None:
        return stage.name
    return stage.source if isinstance(stage, CandidateSource) else stage.kind
