"""One scenario over one release: candidates -> filters -> scoring -> re-ranking, with or without a trace.

Without a trace only what the answer needs is computed; the tests hold both to the same answer.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from recsys_assets.rules import scratch
from recsys_assets.rules.evaluation import Mask, Nums, UserFeatures
from recsys_assets.rules.facts import Facts, Float32
from recsys_assets.rules.filtering import Filters
from recsys_assets.rules.reading import Checked, Scenario
from recsys_assets.rules.recorder import Recorder
from recsys_assets.rules.requests import Answered, Asked, Context
from recsys_assets.rules.reranking import Field, bind_reranking, pinned
from recsys_assets.rules.schema import CandidateSource
from recsys_assets.rules.scoring import Boosts, relevance
from recsys_assets.rules.sources import NO_ITEMS, Ask, Vector, asker_source, listed, same_for_everyone

if TYPE_CHECKING:
    from collections.abc import Mapping

FALLBACK_ITEMS: Final = 100
"""Items that a fallback brings, at least."""
EXACT_AT_ONCE: Final = 2_000_000
"""Multiply-adds (I x D) that a fallback may take on an event loop, about 1 ms."""


class NeedsTimeError(Exception):
    """A fallback has to score a large catalogue: call again from a thread, with `may_block=True`."""


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One request on its way through the stages."""

    asked: Asked
    k: int
    x_D: Vector
    user: UserFeatures
    recorder: Recorder | None


class Pipeline:
    """A scenario, bound. It never changes; threads may share it."""

    def __init__(self, scenario: Scenario, facts: Facts) -> None:
        self.scenario = scenario
        self._facts = facts
        self.filters = Filters(scenario, facts)
        self.boosts = Boosts(scenario, facts)
        self.reranking = bind_reranking(scenario, facts)
        self._sources: list[tuple[Checked[CandidateSource] | None, Nums | Ask]] = [
            (stage, _source(stage, facts)) for stage in scenario.candidates
        ]
        if pins := pinned(scenario, facts):
            self._sources.append((None, np.asarray(pins, dtype=np.int32)))
        stages: tuple[Checked[Any], ...] = (*scenario.filters, *scenario.scoring)
        self._asks_user = any(stage.expression is not None and stage.expression.of_user for stage in stages)
        self._longest = scenario.limits.at_most

    def recommend(
        self, asked: Asked, *, recorder: Recorder | None = None, may_block: bool = True
    ) -> Answered:
        """The scenario's list for one request.

        Args:
            asked: who asks for what.
            recorder: writes down what happens, where wanted.
            may_block: whether a fallback over a large catalogue may take its time here.

        Raises:
            NeedsTimeError: it would have to, and `may_block` is False.
        """
        x_D, context = self._vector(asked)
        run = _Run(
            asked=asked,
            k=asked.k if self._longest is None else min(asked.k, self._longest),
            x_D=x_D,
            user=self._user(asked),
            recorder=recorder,
        )
        brought = self._gather(run)
        nums = brought[self._passing(brought, run)]
        dropped = len(brought) - len(nums)
        fallbacks: tuple[str, ...] = ()
        if len(nums) < run.k and self.scenario.limits.fallback:
            if self._facts.release.item_embeddings.size > EXACT_AT_ONCE and not may_block:
                raise NeedsTimeError
            nums, fallbacks = self._fall_back(nums, run)
        ranked, scores = self._rank(nums, run)
        first = ranked[: run.k]
        return Answered(
            nums=nums[first].tolist(),
            scores=scores[first].tolist(),
            context=context,
            candidates=len(brought),
            dropped=dropped,
            fallbacks=fallbacks,
        )

    def _vector(self, asked: Asked) -> tuple[Vector, Context]:
        if asked.user_num is not None:
            return self._facts.release.user_embeddings[asked.user_num], "user"
        if asked.session:
            return self._facts.release.fold_in.embed(np.asarray(asked.session, dtype=np.int64)), "session"
        return None, "popular"

    def _user(self, asked: Asked) -> UserFeatures:
        if not self._asks_user:
            return {}
        if asked.features is not None:
            return asked.features
        found: Mapping[str, Any] | None = None
        if asked.user_id is not None:
            found = self._facts.release.features.user(asked.user_id)
        return {"user_id": asked.user_id} if found is None else found

    def _gather(self, run: _Run) -> Nums:
        """What the sources bring, each item once, in their order."""
        by_num = scratch.marks(len(self._facts.table))
        parts: list[Nums] = []
        try:
            self._ask_sources(run, by_num, parts)
        finally:
            for part in parts:
                by_num[part] = False
        return np.concatenate(parts) if parts else NO_ITEMS

    def _ask_sources(self, run: _Run, by_num: Mask, parts: list[Nums]) -> None:
        """Fill `parts` with what each source brings anew, and mark it."""
        total = 0
        for stage, source in self._sources:
            least = stage.spec.only_below if stage is not None else None
            if least is not None and total >= least:
                if run.recorder is not None and stage is not None:
                    run.recorder.passed_over(stage, f"{total} items are enough")
                continue
            if run.recorder is not None:
                run.recorder.begin()
            nums = source if isinstance(source, np.ndarray) else source(run.asked, run.x_D)
            new = nums[~by_num[nums]]
            parts.append(new)
            by_num[new] = True
            total += len(new)
            if run.recorder is not None:
                run.recorder.brought(stage, nums.tolist())

    def _passing(self, nums: Nums, run: _Run) -> Mask:
        recorder = run.recorder
        if recorder is None:
            return self.filters.keep(nums, run.asked, run.user)
        kept = np.ones(len(nums), dtype=np.bool_)
        for bound in self.filters.bound:
            recorder.begin()
            mask = self.filters.keep_one(bound, nums, run.asked, run.user)
            recorder.filtered(bound.name, bound.kind, bound.rule, nums[kept].tolist(), mask[kept].tolist())
            kept &= mask
        for name, mask in self.filters.asked_for(nums, run.asked):
            recorder.begin()
            recorder.filtered(name, "asked", name, nums[kept].tolist(), mask[kept].tolist())
            kept &= mask
        return kept

    def _fall_back(self, nums: Nums, run: _Run) -> tuple[Nums, tuple[str, ...]]:
        """More items that pass the filters, from the whole catalogue."""
        release = self._facts.release
        asked_for: list[str] = []
        for name in self.scenario.limits.fallback:
            if len(nums) >= run.k:
                break
            if run.recorder is not None:
                run.recorder.begin()
            asked_for.append(name)
            left = release.popular_items[~np.isin(release.popular_items, nums)]
            left = left[self.filters.keep(left, run.asked, run.user)]
            if name == "catalogue" and run.x_D is not None:
                scores = release.item_embeddings[left] @ run.x_D
                left = left[np.lexsort((left, -scores))]
            more = left[: max(run.k - len(nums), FALLBACK_ITEMS)]
            nums = np.concatenate([nums, more])
            if run.recorder is not None:
                run.recorder.fell_back(name, more.tolist())
        return nums, tuple(asked_for)

    def _rank(self, nums: Nums, run: _Run) -> tuple[list[int], Float32]:
        """Places of `nums`, best first, and the scores."""
        items_nD = self._facts.release.item_embeddings[nums]
        recorder = run.recorder
        if recorder is not None:
            recorder.begin()
        scores = relevant = relevance(nums, run.x_D, items_nD, self._facts)
        added = self.boosts.added(nums, run.user)
        if added is not None:
            scores = relevant + added
        order: list[int] = np.lexsort((nums, -scores)).tolist()
        if recorder is not None:
            recorder.scored(nums.tolist(), relevant.tolist(), scores.tolist())
            for boost in self.boosts.bound:
                recorder.boosted(boost, nums.tolist(), self.boosts.added_by(boost, nums, run.user).tolist())
        field = Field(
            nums=nums,
            scores=scores,
            items_nD=items_nD,
            inverse_norms_n=self._facts.inverse_norms_I[nums],
            asked=run.asked,
        )
        for bound in self.reranking:
            if recorder is not None:
                recorder.begin()
            after = bound.apply(order, field, run.k)
            if recorder is not None:
                recorder.reranked(bound, nums[order].tolist(), nums[after].tolist())
            order = after
        if recorder is not None:
            recorder.ranked(nums[order].tolist(), run.k)
        return order, scores


def _source(stage: Checked[CandidateSource], facts: Facts) -> Nums | Ask:
    return listed(stage, facts) if same_for_everyone(stage.spec) else asker_source(stage.spec, facts)
