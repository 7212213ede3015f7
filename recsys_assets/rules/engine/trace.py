"""The record of one request through a scenario: what each stage did to which item. Made when asked for."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Literal

from recsys_assets.rules.engine.reranking import BoundReranking
from recsys_assets.rules.engine.scoring import BoundBoost
from recsys_assets.rules.language.reading import Checked
from recsys_assets.rules.language.schema import CandidateSource

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


class Recorder:
    """Fills one trace."""

    def __init__(self, scenario: str) -> None:
        self.trace = Trace(scenario=scenario)
        self._started = perf_counter()

    def begin(self) -> None:
        """A stage begins."""
        self._started = perf_counter()

    def brought(self, stage: Checked[CandidateSource] | None, nums: list[int]) -> None:
        """A source brought items; None are the pinned ones."""
        name = "pinned" if stage is None else stage.name
        for num in nums:
            self.trace.item(num).sources.append(name)
        quota = len(nums) if stage is None else stage.spec.quota
        kind = "pinned" if stage is None else stage.spec.source
        self._stage("candidates", name, kind, f"at most {quota}", quota, len(nums))

    def passed_over(self, stage: Checked[CandidateSource], why: str) -> None:
        """A source was not asked."""
        self.begin()
        self._stage("candidates", stage.name, stage.spec.source, f"not asked: {why}", 0, 0)

    def fell_back(self, name: str, nums: list[int]) -> None:
        """A fallback brought items."""
        for num in nums:
            self.trace.item(num).sources.append(f"fallback: {name}")
        self._stage("limits", name, "fallback", "too few were left", len(nums), len(nums))

    def filtered(self, name: str, kind: str, rule: str, nums: list[int], kept: list[bool]) -> None:
        """A filter looked at `nums` and kept some."""
        dropped = [num for num, stays in zip(nums, kept, strict=True) if not stays]
        self.trace.drop(dropped, stage=name, why=rule)
        self._stage("filters", name, kind, rule, len(nums), len(nums) - len(dropped))

    def scored(self, nums: list[int], relevant: list[float], scores: list[float]) -> None:
        """Everything that is left has its score."""
        for num, before, after in zip(nums, relevant, scores, strict=True):
            record = self.trace.item(num)
            record.relevance, record.score = before, after
        self._stage("scoring", "relevance", "relevance", "share of the best's", len(nums), len(nums))

    def boosted(self, boost: BoundBoost, nums: list[int], added: list[float]) -> None:
        """A boost added something to some of `nums`."""
        touched = 0
        for num, value in zip(nums, added, strict=True):
            if value:
                touched += 1
                self.trace.item(num).effects.append((boost.name, f"{value:+.3f}"))
        rule = f"{boost.rule} ({touched} items)"
        self._stage("scoring", boost.name, boost.kind, rule, len(nums), len(nums))

    def reranked(self, stage: BoundReranking, before: list[int], after: list[int]) -> None:
        """A re-ranking stage gave the list a new order."""
        gone = set(before).difference(after)
        self.trace.drop(gone, stage=stage.name, why=stage.rule)
        self.trace.moves(stage.name, [num for num in before if num not in gone], after)
        self._stage("reranking", stage.name, stage.kind, stage.rule, len(before), len(after))

    def rank_again(self) -> None:
        """More items came: what scoring and re-ranking wrote does not count."""
        stale = {stage.name for stage in self.trace.stages if stage.section == "reranking"}
        self.trace.stages = [
            stage
            for stage in self.trace.stages
            if stage.section not in {"scoring", "reranking"} and stage.name != "k"
        ]
        for record in self.trace.items.values():
            record.effects, record.rank = [], None
            if record.dropped_by in stale:
                record.dropped_by = record.why = None

    def ranked(self, nums: list[int], k: int) -> None:
        """The final order of everything that is left."""
        for rank, num in enumerate(nums, start=1):
            self.trace.item(num).rank = rank
        self.begin()
        self._stage("limits", "k", "limit", f"the first {k}", len(nums), min(k, len(nums)))

    def _stage(  # noqa: PLR0917  the columns of a table
        self, section: Section, name: str, kind: str, rule: str, items_in: int, items_out: int
    ) -> None:
        self.trace.stages.append(
            StageRecord(
                section=section,
                name=name,
                kind=kind,
                rule=rule,
                items_in=items_in,
                items_out=items_out,
                ms=(perf_counter() - self._started) * 1000,
            )
        )
        self._started = perf_counter()
