"""One scenario over one release: candidates -> filters -> scoring -> re-ranking, with or without a trace.

Without a trace only what the answer needs is computed; the tests hold both to the same answer.
"""

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from recsys_assets.rules.engine.filtering import Filters, marks
from recsys_assets.rules.engine.item_facts import Facts
from recsys_assets.rules.engine.requests import Answered, Asked, Context
from recsys_assets.rules.engine.reranking import Field, Places, bind_reranking, pinned
from recsys_assets.rules.engine.scoring import Boosts, best_first, relevance
from recsys_assets.rules.engine.sources import (
    NO_ITEMS,
    NOTHING,
    Ask,
    Brought,
    Vector,
    asker_source,
    listed,
    same_for_everyone,
)
from recsys_assets.rules.engine.trace import Recorder
from recsys_assets.rules.language.evaluator import Mask, Nums, UserFeatures
from recsys_assets.rules.language.reading import Checked, Scenario
from recsys_assets.rules.language.schema import CandidateSource
from recsys_assets.storage.arrays import Float32

if TYPE_CHECKING:
    from collections.abc import Mapping

FALLBACK_ITEMS: Final = 100
"""Items that a fallback brings, at least."""
EXACT_AT_ONCE: Final = 2_000_000
"""Multiply-adds (I x D) that a fallback may take on an event loop, about 1 ms."""


class NeedsTimeError(Exception):
    """A fallback has to score a large catalogue: call again from a thread, with `may_block=True`."""


class _Run(NamedTuple):
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
        self._fallback_sources = any(stage.spec.only_below is not None for stage in scenario.candidates)
        lists = [one for _, one in self._sources if isinstance(one, np.ndarray)]
        self._listed = np.unique(np.concatenate([NO_ITEMS, *lists]))
        self._listed_nD = facts.release.item_embeddings[self._listed]
        self._unlisted_I = np.ones(len(facts.table), dtype=np.bool_)
        self._unlisted_I[self._listed] = False
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
        x_D, context = self.vector(asked)
        run = _Run(
            asked=asked,
            k=asked.k if self._longest is None else min(asked.k, self._longest),
            x_D=x_D,
            user=self.user_features(asked),
            recorder=recorder,
        )
        brought, products = self._gather(run)
        passing = self._passing(brought, run)
        nums = brought[passing]
        dropped = len(brought) - len(nums)
        fallbacks: tuple[str, ...] = ()
        if len(nums) < run.k:
            nums, fallbacks = self._fall_back(nums, run, least=run.k, may_block=may_block)
            products = None
        ranked, scores = self._rank(nums, None if products is None else products[passing], run)
        while len(ranked) < run.k:  # variants were left out of the ranking, too
            more, asked_for = self._fall_back(nums, run, least=len(nums) + 1, may_block=may_block)
            if len(more) == len(nums):
                break
            nums, fallbacks = more, tuple(dict.fromkeys([*fallbacks, *asked_for]))
            if recorder is not None:
                recorder.rank_again()
            ranked, scores = self._rank(nums, None, run)
        first = ranked[: run.k]
        return Answered(
            nums=nums.take(first).tolist(),
            scores=scores.take(first).tolist(),
            context=context,
            candidates=len(brought),
            dropped=dropped,
            fallbacks=fallbacks,
        )

    def vector(self, asked: Asked) -> tuple[Vector, Context]:
        """The vector that stands for the asker, where there is one, and whose it is."""
        if asked.user_num is not None:
            return self._facts.release.user_embeddings[asked.user_num], "user"
        if asked.session:
            return self._facts.release.fold_in.embed(np.asarray(asked.session, dtype=np.int64)), "session"
        return None, "popular"

    def user_features(self, asked: Asked) -> UserFeatures:
        """The asker's features; nothing where no rule of the scenario asks for them."""
        if not self._asks_user:
            return {}
        if asked.features is not None:
            return asked.features
        found: Mapping[str, Any] | None = None
        if asked.user_id is not None:
            found = self._facts.release.features.user(asked.user_id)
        return {"user_id": asked.user_id} if found is None else found

    def _gather(self, run: _Run) -> Brought:
        """What the sources bring, each item once."""
        if self._fallback_sources:
            return Brought(self._gather_in_turn(run))
        parts: list[Brought] = []
        for stage, source in self._sources:
            if not isinstance(source, np.ndarray):
                if run.recorder is not None:
                    run.recorder.begin()
                brought = source(run.asked, run.x_D)
                nums = brought.nums
                if len(nums):
                    parts.append(brought)
            elif run.recorder is not None:
                run.recorder.begin()
                nums = source
            if run.recorder is not None:
                run.recorder.brought(stage, nums.tolist())
        if len(parts) > 1:
            asker, products = self._each_once([part.nums for part in parts]), None
        else:
            asker, products = parts[0] if parts else NOTHING
        unlisted = self._unlisted_I.take(asker)
        nums = np.concatenate([asker[unlisted], self._listed])
        if products is None or run.x_D is None:
            return Brought(nums)
        return Brought(nums, np.concatenate([products[unlisted], self._listed_nD.dot(run.x_D)]))

    def _gather_in_turn(self, run: _Run) -> Nums:
        """Likewise, where a source is asked only when those before it brought too little."""
        parts: list[Nums] = []
        found = NO_ITEMS
        for stage, source in self._sources:
            least = stage.spec.only_below if stage is not None else None
            if least is not None and len(found) >= least:
                if run.recorder is not None and stage is not None:
                    run.recorder.passed_over(stage, f"{len(found)} items are enough")
                continue
            if run.recorder is not None:
                run.recorder.begin()
            nums = source if isinstance(source, np.ndarray) else source(run.asked, run.x_D).nums
            parts.append(nums)
            found = self._each_once(parts)
            if run.recorder is not None:
                run.recorder.brought(stage, nums.tolist())
        return found

    def _each_once(self, parts: list[Nums]) -> Nums:
        """The different numbers of all parts, each of which holds a number once, in order."""
        taken = marks(len(self._facts.table))
        new = []
        for nums in parts:
            fresh = nums[~taken.take(nums)]
            taken[fresh] = True
            new.append(fresh)
        for nums in new:
            taken[nums] = False
        return np.concatenate(new) if new else NO_ITEMS

    def _passing(self, nums: Nums, run: _Run) -> Mask:
        recorder = run.recorder
        if recorder is None:
            return self.filters.keep(nums, run.asked, run.user)
        kept = np.ones(len(nums), dtype=np.bool_)
        for bound in self.filters.bound:
            recorder.begin()
            mask = bound.keep(nums, run.asked, run.user)
            recorder.filtered(bound.name, bound.kind, bound.rule, nums[kept].tolist(), mask[kept].tolist())
            kept &= mask
        for name, mask in self.filters.asked_for(nums, run.asked):
            recorder.begin()
            recorder.filtered(name, "asked", name, nums[kept].tolist(), mask[kept].tolist())
            kept &= mask
        return kept

    def _fall_back(
        self, nums: Nums, run: _Run, *, least: int, may_block: bool
    ) -> tuple[Nums, tuple[str, ...]]:
        """More items that pass the filters, from the whole catalogue, until there are `least`."""
        release = self._facts.release
        if self.scenario.limits.fallback and release.item_embeddings.size > EXACT_AT_ONCE and not may_block:
            raise NeedsTimeError
        asked_for: list[str] = []
        for name in self.scenario.limits.fallback:
            if len(nums) >= least:
                break
            if run.recorder is not None:
                run.recorder.begin()
            asked_for.append(name)
            left = release.popular_items[~np.isin(release.popular_items, nums)]
            left = left[self.filters.keep(left, run.asked, run.user)]
            if name == "catalogue" and run.x_D is not None:
                scores = release.item_embeddings[left] @ run.x_D
                left = left[np.lexsort((left, -scores))]
            more = left[: max(least - len(nums), FALLBACK_ITEMS)]
            nums = np.concatenate([nums, more])
            if run.recorder is not None:
                run.recorder.fell_back(name, more.tolist())
        return nums, tuple(asked_for)

    def _raw_scores(self, nums: Nums, x_D: Vector) -> Float32:
        if x_D is None:
            return self._facts.popularity_I.take(nums)
        scores_n: Float32 = self._facts.release.item_embeddings.take(nums, axis=0) @ x_D
        return scores_n

    def _rank(self, nums: Nums, products: Float32 | None, run: _Run) -> tuple[Places, Float32]:
        """Places of `nums`, best first, and the scores; `products` as `Brought` has them."""
        recorder = run.recorder
        if recorder is not None:
            recorder.begin()
        scores = relevant = relevance(self._raw_scores(nums, run.x_D) if products is None else products)
        added = self.boosts.added(nums, run.user)
        if added is not None:
            scores = relevant + added
        order = best_first(scores, nums)
        if recorder is not None:
            recorder.scored(nums.tolist(), relevant.tolist(), scores.tolist())
            for boost in self.boosts.bound:
                recorder.boosted(boost, nums.tolist(), self.boosts.added_by(boost, nums, run.user).tolist())
        field = Field(nums=nums, scores=scores, asked=run.asked)
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
