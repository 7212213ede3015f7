"""The record of one request through a scenario: what each stage did to which item. Made when asked for."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Section = Literal["candidates", "filters", "scoring", "reranking", "limits"]


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """One stage of one request."""

    section: Section
    """Which part of the scenario."""
    name: str
    """The stage's name."""
    kind: str
    """Its kind or source."""
    rule: str
    """The rule in words: its expression or settings."""
    items_in: int
    """Items before it; for a source, the items that it was asked for."""
    items_out: int
    """Items after it; for a source, the items that it brought."""
    ms: float
    """Time taken, wall clock."""


@dataclass(kw_only=True)
class ItemRecord:
    """One item of one request."""

    num: int
    """Item number."""
    sources: list[str] = field(default_factory=list)
    """Names of the sources that brought it."""
    relevance: float | None = None
    """Score before any boost, 0-1; None where a filter dropped the item."""
    score: float | None = None
    """Score after boosts."""
    dropped_by: str | None = None
    """The stage that took it out."""
    why: str | None = None
    """What that stage found."""
    effects: list[tuple[str, str]] = field(default_factory=list)
    """(stage, what it did): boosts as `+0.10`, moves as `4 -> 2`, `kept`."""
    rank: int | None = None
    """Place in the whole final order, from 1, also beyond k."""


@dataclass(kw_only=True)
class Trace:
    """One request."""

    scenario: str
    """Which pipeline."""
    stages: list[StageRecord] = field(default_factory=list)
    """In the order of execution."""
    items: dict[int, ItemRecord] = field(default_factory=dict)
    """Item number -> its record, for every candidate."""

    def item(self, num: int) -> ItemRecord:
        """The item's record, made where there is none."""
        return self.items.setdefault(num, ItemRecord(num=num))

    def drop(self, nums: Iterable[int], *, stage: str, why: str) -> None:
        """A stage took these out."""
        for num in nums:
            record = self.item(num)
            record.dropped_by, record.why = stage, why

    def moves(self, stage: str, before: list[int], after: list[int]) -> None:
        """A stage re-ordered the list."""
        place_before = {num: place for place, num in enumerate(before, start=1)}
        for place, num in enumerate(after, start=1):
            old = place_before.get(num)
            if old != place:
                self.item(num).effects.append((stage, f"{'new' if old is None else old} -> {place}"))
