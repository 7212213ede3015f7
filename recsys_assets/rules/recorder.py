"""Writing a trace while a pipeline runs; a pipeline without a recorder writes nothing."""

from time import perf_counter

from recsys_assets.rules.reading import Checked
from recsys_assets.rules.reranking import BoundReranking
from recsys_assets.rules.schema import CandidateSource
from recsys_assets.rules.scoring import BoundBoost
from recsys_assets.rules.trace import Section, StageRecord, Trace


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
