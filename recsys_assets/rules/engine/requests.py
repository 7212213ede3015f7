"""What a scenario is asked, and what it answers, by item number."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import msgspec

Context = Literal["user", "session", "popular"]
"""Whose vector stood for the asker; `popular` where there was none."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request to a scenario."""

    k: int = 10
    """How many items, >= 1."""
    user_id: str | None = None
    """The user; None for an anonymous session."""
    user_num: int | None = None
    """The user's number in the release; None for a stranger."""
    session: Sequence[int] = ()
    """Item numbers of the session, or of the user's events since the release, most recent first."""
    exclude: Collection[int] = ()
    """Item numbers never to return."""
    include_seen: bool = False
    """Pass over the `seen` filter."""
    category: str | None = None
    """Return items of this category only."""
    diversity: float | None = None
    """In place of the strength of `diversity` stages, 0-1."""
    features: Mapping[str, Any] | None = None
    """The user's features where the caller has them already; else they are looked up when a rule asks."""


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What a scenario answers."""

    nums: list[int]
    """Item numbers, best first."""
    scores: list[float]
    """Relevance and boosts, 0-1 and -1 to 1; not always descending, since re-ranking moves items."""
    context: Context
    """Whose vector stood for the asker."""
    candidates: int
    """Items that the sources brought."""
    dropped: int
    """Items that the filters dropped."""
    fallbacks: tuple[str, ...] = ()
    """Fallbacks that had to be asked."""
