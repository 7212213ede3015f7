"""What a caller asks the recommender for, and what it answers, by item number."""

from collections.abc import Sequence
from typing import Literal, get_args

import msgspec

Source = Literal["user", "session", "similar", "cohort", "popular"]
"""Which context answered."""
SOURCES: tuple[Source, ...] = get_args(Source)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks for."""

    k: int = 10
    """How many items, >= 1."""
    include_seen: bool = False
    """Keep items that the user or session already has."""
    exclude: Sequence[str] = ()
    """Item ids never to return; unknown ones are ignored."""
    category: str | None = None
    """Return items of this category only."""
    cohort: str | None = None
    """`FEATURE:VALUE` of the users who stand for a stranger."""
    budget_ms: float | None = None
    """Time the answer may take, ms; None: as long as it takes."""
    spent_ms: float = 0.0
    """How much of the budget is gone already, ms."""


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """An answer."""

    nums: list[int]
    """Item numbers, best first."""
    scores: list[float]
    """One an item, descending."""
    source: Source
    """Which context answered."""
    reason: str | None = None
    """Why a lesser context answered; None where the best did."""
    candidates: int = 0
    """How many items were looked at."""
    blocked: int = 0
    """How many items the seen and exclude filters held back, at most."""
