"""Scenarios over one release: one of them as candidates -> filters -> scoring -> re-ranking, and the engine of all.

Without a trace the recorder does nothing and only what the answer needs is computed. Tests check that both answers
are equal.
"""

import hashlib
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from recsys_assets.errors import RulesError
from recsys_assets.release.load import Release
from recsys_assets.release.retrieval import EXACT_AT_ONCE, WouldBlockError
from recsys_assets.rules.engine.fatigue import FatigueStages, Tired, demoted
from recsys_assets.rules.engine.filtering import BY_STATE, Filters
from recsys_assets.rules.engine.item_facts import Facts, gather_facts
from recsys_assets.rules.engine.plain import PlainScenario
from recsys_assets.rules.engine.requests import UNKNOWN_USER, Answer, Request, Source, newer_user
from recsys_assets.rules.engine.reranking import Places, Pool, bind_reranking, pinned
from recsys_assets.rules.engine.score_words import parts_of_scores
from recsys_assets.rules.engine.scoring import Boosts, best_first, relevance
from recsys_assets.rules.engine.sources import Asker, Sources
from recsys_assets.rules.engine.state_columns import ColumnStates
from recsys_assets.rules.engine.trace import SILENT, Recorder, RequestTrace, SilentRecorder
from recsys_assets.rules.language.evaluator import Evaluator, Nums, UserFeatures
from recsys_assets.rules.language.expression_tree import load_items
from recsys_assets.rules.language.expressions import closest
from recsys_assets.rules.language.reading import Checked, CheckedScenario, Rules
from recsys_assets.storage.arrays import Float32
from recsys_assets.storage.home import FEATURE_DATABASE

if TYPE_CHECKING:
    from collections.abc import Mapping

FALLBACK_ITEMS: Final = 100
"""Items that a fallback brings, at least."""
_VERSION_DIGITS: Final = 12


class _Run(NamedTuple):
    """One request on its way through the stages."""

    request: Request
    k: int
    asker: Asker
    user: UserFeatures
    recorder: SilentRecorder
    may_block: bool
    tired: list[Tired]


class Pipeline:
    """A scenario, bound. It never changes; threads may share it."""

    def __init__(self, scenario: CheckedScenario, facts: Facts) -> None:
        self.scenario = scenario
        self._facts = facts
        self.filters = Filters(scenario, facts)
        self.boosts = Boosts(scenario, facts)
        self.fatigue = FatigueStages(scenario)
        self.reranking = bind_reranking(scenario, facts)
        self._sources = Sources(scenario, facts, also=pinned(scenario, facts))
        stages: tuple[Checked[Any], ...] = (*scenario.filters, *scenario.scoring)
        self._reads_user = any(stage.expression is not None and stage.expression.of_user for stage in stages)
        self._longest = scenario.limits.at_most

    def recommend(self, request: Request, *, may_block: bool = True) -> Answer:
        """Return the scenario's list for one request.

        Args:
            request: who wants what.
            may_block: whether a search or fallback over a large catalogue may take its time here.

        Raises:
            WouldBlockError: the search is slow, and `may_block` is False.
        """
        return self._recommend(request, SILENT, may_block=may_block)

    def explain(self, request: Request, *, may_block: bool = True) -> tuple[Answer, RequestTrace]:
        """Return the same list as `recommend`, and the effect of each stage on each candidate.

        Raises:
            WouldBlockError: as `recommend`.
        """
        recorder = Recorder(self.scenario.name)
        answer = self._recommend(request, recorder, may_block=may_block)
        ranked = sorted((record.rank, num) for num, record in recorder.trace.items.items() if record.rank)
        nums = np.array([num for _, num in ranked], dtype=np.int32)
        parts = parts_of_scores(
            self._facts.release,
            self._facts.lookups,
            self.asker(request),
            request,
            nums,
            shown=len(answer.nums),
        )
        for num, found in zip(nums.tolist(), parts, strict=True):
            recorder.trace.items[num].parts = found
        for record in recorder.trace.items.values():
            if record.dropped_by == BY_STATE:
                record.why = self._facts.lookups.states.why_gone(record.num) or BY_STATE
        return answer, recorder.trace

    def _recommend(self, request: Request, recorder: SilentRecorder, *, may_block: bool) -> Answer:
        asker = self.asker(request)
        run = _Run(
            request=request,
            k=request.k if self._longest is None else min(request.k, self._longest),
            asker=asker,
            user=self.user_features(request),
            recorder=recorder,
            may_block=may_block,
            tired=self.fatigue.tired(request) if self.fatigue else [],
        )
        recorder.begin()
        brought, products = self._sources.gather(request, asker, recorder, may_block=may_block)
        passing = recorder.passing(self.filters, brought, request, run.user)
        nums = brought[passing]
        blocked = len(brought) - len(nums)
        fallbacks: tuple[str, ...] = ()
        if len(nums) < run.k:
            nums, fallbacks = self._fall_back(nums, run, least=run.k)
            products = None
        ranked, scores = self._rank(nums, None if products is None else products[passing], run)
        while len(ranked) < run.k:  # the re-ranker `variants` drops items, so refill
            more, used = self._fall_back(nums, run, least=len(nums) + 1)
            if len(more) == len(nums):
                break
            nums, fallbacks = more, tuple(dict.fromkeys([*fallbacks, *used]))
            recorder.rank_again()
            ranked, scores = self._rank(nums, None, run)
        first = ranked[: run.k]
        source, reason = _context(request)
        return Answer(
            nums=nums.take(first).tolist(),
            scores=scores.take(first).tolist(),
            source=source,
            reason=reason,
            candidates=len(brought),
            blocked=blocked,
            fallbacks=fallbacks,
        )

    def asker(self, request: Request) -> Asker:
        """Return the scores of the asker, a user or a session; None for a stranger."""
        if request.user_num is not None:
            return self._facts.release.taste_of_user(request.user_num, request.session)
        if request.session:
            return self._facts.release.taste_of_items(request.session)
        return None

    def user_features(self, request: Request) -> UserFeatures:
        """Return the asker's features; nothing where no rule of the scenario reads them."""
        if not self._reads_user:
            return {}
        if request.features is not None:
            return request.features
        found: Mapping[str, Any] | None = None
        if request.user_id is not None:
            found = self._facts.release.features.user(request.user_id)
        return {"user_id": request.user_id} if found is None else found

    def _fall_back(self, nums: Nums, run: _Run, *, least: int) -> tuple[Nums, tuple[str, ...]]:
        """Add items that pass the filters, from the whole catalogue, until there are `least`."""
        release = self._facts.release
        names = self.scenario.limits.fallback
        if names and release.item_embeddings.size > EXACT_AT_ONCE and not run.may_block:
            raise WouldBlockError
        used: list[str] = []
        for name in names:
            if len(nums) >= least:
                break
            used.append(name)
            left = release.popular_items[~np.isin(release.popular_items, nums)]
            left = left[self.filters.keep(left, run.request, run.user)]
            if name == "catalogue" and run.asker is not None:
                left = left[np.lexsort((left, -run.asker.products(left)))]
            more = left[: max(least - len(nums), FALLBACK_ITEMS)]
            nums = np.concatenate([nums, more])
            run.recorder.fell_back(name, more)
        return nums, tuple(used)

    def _raw_scores(self, nums: Nums, asker: Asker) -> Float32:
        return self._facts.popularity_I.take(nums) if asker is None else asker.products(nums)

    def _rank(self, nums: Nums, products: Float32 | None, run: _Run) -> tuple[Places, Float32]:
        """Return the places of `nums`, best first, and their scores, from `products` where these are known."""
        recorder = run.recorder
        scores = relevant = relevance(self._raw_scores(nums, run.asker) if products is None else products)
        added = self.boosts.added(nums, run.user)
        if added is not None:
            scores = relevant + added
        scores = self.boosts.raised(nums, scores)
        if run.tired:
            scores = demoted(scores, nums, run.tired)
        order = best_first(scores, nums)
        recorder.scored(nums, relevant, scores)
        recorder.boosted(self.boosts, nums, run.user)
        recorder.demoted(run.tired, nums)
        pool = Pool(nums=nums, scores=scores, request=run.request)
        for bound in self.reranking:
            after = bound.apply(order, pool, run.k)
            recorder.reranked(bound, nums, order, after)
            order = after
        recorder.ranked(nums, order, run.k)
        return order, scores


def _context(request: Request) -> tuple[Source, str | None]:
    """Return whose vector stands for the asker, and why it is not the user's own."""
    if request.user_num is not None:
        return "user", None
    if request.session:
        return "session", None if request.user_id is None else newer_user(len(request.session))
    return "popular", UNKNOWN_USER if request.user_id else "no item of the session is known"


class Engine:
    """Scenarios, bound to a release. It never changes; threads may share it."""

    def __init__(
        self, release: Release, rules: Rules, *, lists_folder: Path, plain: PlainScenario | None = None
    ) -> None:
        """Bind `rules` to `release`.

        Args:
            release: an open release.
            rules: checked against that release's columns.
            lists_folder: the folder of the files of `[lists]`.
            plain: the scenario without rules over the same release, where it is served already.

        Raises:
            RulesError: a list cannot be read.
        """
        self.release = release
        self.rules = rules
        self.plain = plain or PlainScenario(release)
        self._released = gather_facts(release, rules, lists_folder, self.plain.lookups)
        self._compared = self.plain.lookups.states
        self._bind(ColumnStates.of(self._compared))
        lists = b"".join(self.facts.lists[name].tobytes() for name in sorted(self.facts.lists))
        self.version = hashlib.sha256(rules.version.encode() + lists).hexdigest()[:_VERSION_DIGITS]
        """Changes with the file's content and its lists'; belongs into every entity tag."""

    def _bind(self, seen: ColumnStates) -> None:
        self._seen = seen
        self.seen_version = seen.version
        """Changes with the states that the rules see as columns; belongs into every entity tag beside `version`."""
        self.facts = replace(self._released, table=seen.over(self._released.table))
        scenarios = self.rules.scenarios
        self.pipelines = {name: Pipeline(scenario, self.facts) for name, scenario in scenarios.items()}

    def under_states(self) -> "Engine":
        """Return the engine under the states in force: this one where its rules see no difference, else a new one."""
        states = self.plain.lookups.states
        if states is self._compared:
            return self
        seen, self._compared = ColumnStates.of(states), states
        if seen == self._seen:
            return self
        found = copy(self)
        found._bind(seen)  # noqa: SLF001  a new object of this class
        return found

    def scenario(self, name: str | None = None) -> Pipeline:
        """Return a scenario of the rules by name, the file's default where None.

        Raises:
            RulesError: there is none of that name.
        """
        wanted = name or self.rules.default
        found = self.pipelines.get(wanted)
        if found is None:
            raise RulesError(f"no scenario {wanted!r}; {closest(wanted, self.pipelines)}")
        return found

    def try_out(self) -> None:
        """Let each scenario answer a user and a stranger, so that rules that cannot answer are never in force.

        Raises:
            RulesError: a scenario fails; the message has the error.
        """
        release = self.release
        known = [Request(k=10, user_id=release.users[0], user_num=0)] if len(release.users) else []
        for name, pipeline in self.pipelines.items():
            try:
                for request in (*known, Request(k=10)):
                    pipeline.recommend(request)
            except Exception as error:
                found = f"{type(error).__name__}: {error}"
                raise RulesError(
                    f"{self.rules.path}: scenario {name} cannot answer ({found}); mend it"
                ) from error

    def with_columns(self, names: set[str]) -> Evaluator:
        """Return an evaluator over item columns that the rules themselves may not read."""
        table = load_items(self.release.folder / FEATURE_DATABASE, self.release.items, names)
        return Evaluator(table, self.facts.lists)
