"""The trace of one request through a scenario: the effect of each stage on each item. Made on request only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final, Literal

import numpy as np

from recsys_assets.rules.engine.fatigue import Tired
from recsys_assets.rules.engine.filtering import BY_STATE, Filters
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.engine.reranking import BoundReranking, Places
from recsys_assets.rules.engine.score_words import ScorePart
from recsys_assets.rules.engine.scoring import Boosts
from recsys_assets.rules.language.evaluator import Mask, Nums, UserFeatures
from recsys_assets.rules.language.reading import Checked
from recsys_assets.rules.language.schema import CandidateSource
from recsys_assets.storage.arrays import Float32

Section = Literal["candidates", "filters", "scoring", "reranking", "limits"]


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """One stage of one request."""

    section: Section
    """Part of the scenario."""
    name: str
    """The stage's name."""
    kind: str
    """Its kind or source."""
    rule: str
    """The rule in words: its expression or settings."""
    items_in: int
    """Items before it; for a source, its quota."""
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
    """The rule by which that stage dropped it."""
    effects: list[tuple[str, str]] = field(default_factory=list)
    """(stage, its effect): boosts as `+0.10`, moves as `4 -> 2`, `kept`."""
    rank: int | None = None
    """Place in the whole final order, from 1, also beyond k."""
    parts: list[ScorePart] = field(default_factory=list)
    """The parts of its relevance, the main one first; none where it was not ranked."""


@dataclass(kw_only=True)
class RequestTrace:
    """One request."""

    scenario: str
    """Name of the scenario."""
    stages: list[StageRecord] = field(default_factory=list)
    """In the order of execution."""
    items: dict[int, ItemRecord] = field(default_factory=dict)
    """Item number -> its record, for every candidate."""

    def item(self, num: int) -> ItemRecord:
        """Return the item's record, a new one where there is none."""
        return self.items.setdefault(num, ItemRecord(num=num))

    def drop(self, nums: Iterable[int], *, stage: str, why: str) -> None:
        """Note that a stage took these out."""
        for num in nums:
            record = self.item(num)
            record.dropped_by, record.why = stage, why

    def moves(self, stage: str, before: list[int], after: list[int]) -> None:
        """Note the new places of what a stage moved."""
        place_before = {num: place for place, num in enumerate(before, start=1)}
        for place, num in enumerate(after, start=1):
            old = place_before.get(num)
            if old != place:
                self.item(num).effects.append((stage, f"{'new' if old is None else old} -> {place}"))


class SilentRecorder:
    """Records nothing: the recorder of a request without a trace. Its calls cost about 0.05 µs each."""

    def begin(self) -> None:
        """Start the clock of the first stage; a later stage's starts at the end of the one before."""

    def brought(self, stage: Checked[CandidateSource] | None, nums: Nums) -> None:
        """A source brought items; None are the pinned ones."""

    def passed_over(self, stage: Checked[CandidateSource], found: int) -> None:
        """A source was not used, since `found` items are enough."""

    def passing(self, filters: Filters, nums: Nums, request: Request, user: UserFeatures) -> Mask:
        """Return (n,): whether each of `nums` passes all filters."""
        return filters.keep(nums, request, user)

    def fell_back(self, name: str, nums: Nums) -> None:
        """A fallback brought items."""

    def scored(self, nums: Nums, relevant: Float32, scores: Float32) -> None:
        """Everything that is left has its score."""

    def boosted(self, boosts: Boosts, nums: Nums, user: UserFeatures) -> None:
        """Boosts added something to some of `nums`."""

    def demoted(self, tired: Sequence[Tired], nums: Nums) -> None:
        """Fatigue took from the scores of some of `nums`."""

    def reranked(self, stage: BoundReranking, nums: Nums, before: Places, after: Places) -> None:
        """A re-ranking stage gave the list a new order."""

    def rank_again(self) -> None:
        """More items came: the records of scoring and re-ranking do not count."""

    def ranked(self, nums: Nums, order: Places, k: int) -> None:
        """Everything that is left has its final order."""


SILENT: Final = SilentRecorder()


class Recorder(SilentRecorder):
    """Fills one trace."""

    def __init__(self, scenario: str) -> None:
        self.trace = RequestTrace(scenario=scenario)
        self._started = perf_counter()

    def begin(self) -> None:
        """Start the clock."""
        self._started = perf_counter()

    def brought(self, stage: Checked[CandidateSource] | None, nums: Nums) -> None:
        """Add the source to its items' records."""
        name = "pinned" if stage is None else stage.name
        for num in nums.tolist():
            self.trace.item(num).sources.append(name)
        quota = len(nums) if stage is None else stage.spec.quota
        kind = "pinned" if stage is None else stage.spec.source
        self._stage("candidates", name, kind, f"at most {quota}", quota, len(nums))

    def passed_over(self, stage: Checked[CandidateSource], found: int) -> None:
        """Add the source to the stages."""
        rule = f"not needed: {found} items are enough"
        self._stage("candidates", stage.name, stage.spec.source, rule, 0, 0)

    def passing(self, filters: Filters, nums: Nums, request: Request, user: UserFeatures) -> Mask:
        """Return the same mask as the filters do together, filter by filter, and note the dropped items."""
        kept = np.ones(len(nums), dtype=np.bool_)
        for bound in filters.bound:
            mask = bound.keep(nums, request, user)
            self._filtered(bound.name, bound.kind, bound.rule, nums[kept], mask[kept])
            kept &= mask
        for name, mask in filters.of_request(nums, request):
            kind = "state" if name == BY_STATE else "asked"
            self._filtered(name, kind, name, nums[kept], mask[kept])
            kept &= mask
        return kept

    def _filtered(self, name: str, kind: str, rule: str, nums: Nums, kept: Mask) -> None:
        dropped = nums[~kept].tolist()
        self.trace.drop(dropped, stage=name, why=rule)
        self._stage("filters", name, kind, rule, len(nums), len(nums) - len(dropped))

    def fell_back(self, name: str, nums: Nums) -> None:
        """Add the fallback to its items' records."""
        for num in nums.tolist():
            self.trace.item(num).sources.append(f"fallback: {name}")
        self._stage("limits", name, "fallback", "too few were left", len(nums), len(nums))

    def scored(self, nums: Nums, relevant: Float32, scores: Float32) -> None:
        """Note relevance and score."""
        for num, before, after in zip(nums.tolist(), relevant.tolist(), scores.tolist(), strict=True):
            record = self.trace.item(num)
            record.relevance, record.score = before, after
        self._stage("scoring", "relevance", "relevance", "share of the best's", len(nums), len(nums))

    def boosted(self, boosts: Boosts, nums: Nums, user: UserFeatures) -> None:
        """Note the part of each boost."""
        for boost in boosts.bound:
            added = boosts.added_by(boost, nums, user)
            for num, value in zip(nums.tolist(), added.tolist(), strict=True):
                if value:
                    self.trace.item(num).effects.append((boost.name, f"{value:+.3f}"))
            rule = f"{boost.rule} ({np.count_nonzero(added)} items)"
            self._stage("scoring", boost.name, boost.kind, rule, len(nums), len(nums))
        factors = boosts.factors(nums)
        if factors is not None:
            for num, factor in zip(nums.tolist(), factors.tolist(), strict=True):
                if factor != 1:
                    self.trace.item(num).effects.append((BY_STATE, f"x {factor:g}"))
            rule = f"the factor of its state ({np.count_nonzero(factors != 1)} items)"
            self._stage("scoring", BY_STATE, "state", rule, len(nums), len(nums))

    def demoted(self, tired: Sequence[Tired], nums: Nums) -> None:
        """Note the items of each stage, and how often each was shown."""
        for one in tired:
            effects = [(num, effect) for num in nums.tolist() if (effect := one.effect_on(num))]
            for num, effect in effects:
                self.trace.item(num).effects.append((one.name, effect))
            rule = f"{one.rule} ({len(effects)} items)"
            self._stage("scoring", one.name, one.spec.kind, rule, len(nums), len(nums))

    def reranked(self, stage: BoundReranking, nums: Nums, before: Places, after: Places) -> None:
        """Note dropped and moved items."""
        was, now = nums[before].tolist(), nums[after].tolist()
        gone = set(was).difference(now)
        self.trace.drop(gone, stage=stage.name, why=stage.rule)
        self.trace.moves(stage.name, [num for num in was if num not in gone], now)
        self._stage("reranking", stage.name, stage.kind, stage.rule, len(was), len(now))

    def rank_again(self) -> None:
        """Forget scoring and re-ranking."""
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

    def ranked(self, nums: Nums, order: Places, k: int) -> None:
        """Note the ranks."""
        for rank, num in enumerate(nums[order].tolist(), start=1):
            self.trace.item(num).rank = rank
        self.begin()
        self._stage("limits", "k", "limit", f"the first {k}", len(order), min(k, len(order)))

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
