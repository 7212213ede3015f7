"""One request for recommendations and its answer, by item number; the same for every scenario."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, Literal, get_args

import msgspec

from recsys_assets.intake.shown_counts import Shown

Source = Literal["user", "session", "similar", "cohort", "popular"]
"""The context that answered."""
SOURCES: tuple[Source, ...] = get_args(Source)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request to a scenario."""

    k: int = 10
    """Number of items, >= 1."""
    user_id: str | None = None
    """The user; None for an anonymous session."""
    user_num: int | None = None
    """The user's number in the release; None for a stranger."""
    session: Sequence[int] = ()
    """Item numbers of the session, or of the user's events since the release, most recent first."""
    exclude: Collection[int] = ()
    """Item numbers never to return."""
    include_seen: bool = False
    """Keep items that the user or session already has."""
    category: str | None = None
    """Return items of this category only."""
    cohort: str | None = None
    """`FEATURE:VALUE` of the users whose wishes stand for a stranger's; only without rules."""
    budget_ms: float | None = None
    """Time the answer may take, ms; None: as long as it takes. Only without rules."""
    spent_ms: float = 0.0
    """Part of the budget that is spent already, ms."""
    diversity: float | None = None
    """In place of the strength of `diversity` stages, 0-1."""
    features: Mapping[str, Any] | None = None
    """The user's features where the caller has them already; else they are looked up when a rule reads them."""

    shown: Callable[[int], Mapping[int, Shown]] | None = None
    """Returns the items shown to the user in the last N days, by item number; it is called where a rule reads them."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The list for one request."""

    nums: list[int]
    """Item numbers, best first."""
    scores: list[float]
    """One an item. Without rules the asker's scores, popularity or cosines, descending; with rules relevance and
    boosts, 0-1 and -1 to 1, not always descending, since re-ranking moves items."""
    source: Source
    """The context that answered."""
    reason: str | None = None
    """Why a lesser context answered; None where the best did."""
    candidates: int = 0
    """Number of items examined."""
    blocked: int = 0
    """Upper bound of the items that the filters and exclusions held back."""
    fallbacks: tuple[str, ...] = ()
    """Fallbacks that were needed."""


UNKNOWN_USER: Final = "the user is not in the release"


def newer_user(items: int) -> str:
    """Return the reason for answering a user that is not in the release from `items` items since."""
    return f"the user is newer than the release; {items} items since stand for the user"
