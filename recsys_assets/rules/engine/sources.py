"""Candidate sources: those that are the same for everyone, listed once a release, and those of the asker."""

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from recsys_assets import columns
from recsys_assets.release.load import Release
from recsys_assets.release.retrieval import NO_ITEMS, Candidates
from recsys_assets.release.taste import Taste
from recsys_assets.rules.engine.item_facts import Facts
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.language.evaluator import Mask, Nums
from recsys_assets.rules.language.reading import Checked, CheckedScenario
from recsys_assets.rules.language.schema import CandidateSource
from recsys_assets.storage.arrays import Float32

if TYPE_CHECKING:
    from recsys_assets.rules.engine.trace import SilentRecorder

Asker = Taste | None
"""The asker's scores, where anything is known of the asker."""

NO_CANDIDATES: Final = Candidates(NO_ITEMS)

SourceOfAsker = Callable[[Request, Asker, bool], Candidates]
"""Brings at most the quota for one request, its asker, and whether a search may take long."""


class Sources:
    """A scenario's sources, bound to a release."""

    def __init__(self, scenario: CheckedScenario, facts: Facts, *, also: Sequence[int]) -> None:
        """`also` are item numbers that are candidates of every request."""
        self._items = len(facts.table)
        self._stages: list[tuple[Checked[CandidateSource] | None, Nums | SourceOfAsker]] = [
            (
                stage,
                listed(stage, facts) if same_for_everyone(stage.spec) else asker_source(stage.spec, facts),
            )
            for stage in scenario.candidates
        ]
        if also:
            self._stages.append((None, np.asarray(also, dtype=np.int32)))
        self._in_turn = any(stage.spec.only_below is not None for stage in scenario.candidates)
        lists = [one for _, one in self._stages if isinstance(one, np.ndarray)]
        self._listed = np.unique(np.concatenate([NO_ITEMS, *lists]))
        self._listed_nD = facts.release.item_embeddings[self._listed]
        self._unlisted_I = np.ones(self._items, dtype=np.bool_)
        self._unlisted_I[self._listed] = False

    def gather(
        self, request: Request, asker: Asker, recorder: "SilentRecorder", *, may_block: bool
    ) -> tuple[Nums, Float32 | None]:
        """Return the items that the sources bring, each once, and their scores where all are known."""
        if self._in_turn:
            return self._gather_in_turn(request, asker, recorder, may_block=may_block), None
        parts: list[Candidates] = []
        for stage, source in self._stages:
            if isinstance(source, np.ndarray):
                nums = source
            else:
                brought = source(request, asker, may_block)
                nums = brought.nums
                if len(nums):
                    parts.append(brought)
            recorder.brought(stage, nums)
        if len(parts) > 1:
            own, products = self._each_once([part.nums for part in parts]), None
        else:
            own, products = parts[0][:2] if parts else NO_CANDIDATES[:2]
        unlisted = self._unlisted_I.take(own)
        nums = np.concatenate([own[unlisted], self._listed])
        if products is None or asker is None:
            return nums, None
        return nums, np.concatenate([products[unlisted], asker.products(self._listed, self._listed_nD)])

    def _gather_in_turn(
        self, request: Request, asker: Asker, recorder: "SilentRecorder", *, may_block: bool
    ) -> Nums:
        """Return the items where a source is used only when those before it brought too little."""
        parts: list[Nums] = []
        found = NO_ITEMS
        for stage, source in self._stages:
            least = stage.spec.only_below if stage is not None else None
            if least is not None and stage is not None and len(found) >= least:
                recorder.passed_over(stage, len(found))
                continue
            nums = source if isinstance(source, np.ndarray) else source(request, asker, may_block).nums
            parts.append(nums)
            found = self._each_once(parts)
            recorder.brought(stage, nums)
        return found

    def _each_once(self, parts: list[Nums]) -> Nums:
        """Return the different numbers of all parts, in order; no part holds a number twice."""
        taken = marks(self._items)
        new = []
        for nums in parts:
            fresh = nums[~taken.take(nums)]
            taken[fresh] = True
            new.append(fresh)
        for nums in new:
            taken[nums] = False
        return np.concatenate(new) if new else NO_ITEMS


def same_for_everyone(spec: CandidateSource) -> bool:
    """Say whether the source's items follow from the release alone."""
    return spec.source in {"popular", "trending", "new", "list"}


def listed(source: Checked[CandidateSource], facts: Facts) -> Nums:
    """Return the items of a source that is the same for everyone, best first."""
    spec = source.spec
    fits = np.ones(len(facts.table), dtype=np.bool_)
    if source.expression is not None:
        fits = facts.evaluator.mask(source.expression).yes
    if spec.items_of is not None:
        fits = facts.lists[spec.items_of]
    popular = facts.release.popular_items
    if spec.source == "trending":
        fits = fits & (facts.table.number("events_28d") >= spec.least_events)
        trend = facts.table.number("popularity_trend")[popular]
        popular = popular[np.argsort(-trend, kind="stable")]
    elif spec.source == "new":
        age = facts.table.number("days_since_first")
        fits = fits & (age <= spec.days)
        popular = popular[np.argsort(age[popular], kind="stable")]
    return np.ascontiguousarray(popular[fits[popular]][: spec.quota], dtype=np.int32)


def asker_source(spec: CandidateSource, facts: Facts) -> SourceOfAsker:
    """Return a source whose items depend on the asker."""
    match spec.source:
        case "user":
            return _user(spec, facts)
        case "session":
            return _session(spec, facts.release)
        case "recent":
            return _recent(spec, facts.release)
        case "history":
            return _history(spec, facts.release)
        case "category":
            return _category(spec, facts)
        case _:
            raise AssertionError(spec.source)  # every other source is the same for everyone


def history_of(request: Request, release: Release) -> Nums:
    """Return the item numbers of the session, then of the user's wishes, most recent first.

    An item may be in both.
    """
    earlier = NO_ITEMS if request.user_num is None else release.history(request.user_num)
    if not request.session:
        return earlier
    return np.concatenate([np.asarray(request.session, dtype=np.int32), earlier])


def seen_of(request: Request, release: Release) -> Nums:
    """Return the item numbers of the session, then of all that the user has seen; an item may be in both."""
    earlier = NO_ITEMS if request.user_num is None else release.seen(request.user_num)
    if not request.session:
        return earlier
    return np.concatenate([np.asarray(request.session, dtype=np.int32), earlier])


def _user(spec: CandidateSource, facts: Facts) -> SourceOfAsker:
    release, lookups = facts.release, facts.lookups
    items_UC, items, starts = release.candidates_items, len(release.items), release.seen_indptr
    # a row computed ahead is enough, though it may hold less than the quota
    quota = spec.quota if items_UC is None else min(spec.quota, items_UC.shape[1])

    def bring(request: Request, asker: Asker, may_block: bool) -> Candidates:  # noqa: FBT001
        num = request.user_num
        if num is None or asker is None:
            return NO_CANDIDATES
        if request.include_seen:
            return asker.top(spec.quota, blocked=(), may_block=may_block)
        most = min(quota, items - int(starts[num + 1] - starts[num]))
        since, states = request.session, lookups.states
        found = release.best_unseen(num, most, since=since, may_block=may_block)
        if states.gone_I is None or np.count_nonzero(~states.gone_I.take(found.nums)) >= min(request.k, most):
            return found
        # states would leave the row too short
        left_out = states.left_out(())
        return release.best_unseen(num, most, blocked=left_out, since=since, may_block=may_block)

    return bring


def _session(spec: CandidateSource, release: Release) -> SourceOfAsker:
    def bring(request: Request, asker: Asker, may_block: bool) -> Candidates:  # noqa: FBT001
        if not request.session:
            return NO_CANDIDATES
        if request.user_num is None and asker is not None:
            return asker.top(spec.quota, blocked=(), may_block=may_block)
        session = release.taste_of_items(request.session)
        # these scores are another asker's
        return Candidates(session.top(spec.quota, blocked=(), may_block=may_block).nums)

    return bring


def _recent(spec: CandidateSource, release: Release) -> SourceOfAsker:
    items_IN, scores_IN = release.neighbours_items, release.neighbours_scores

    def bring(request: Request, _: Asker, may_block: bool) -> Candidates:  # noqa: FBT001
        last = list(dict.fromkeys(history_of(request, release)[: 2 * spec.last].tolist()))[: spec.last]
        if not last:
            return NO_CANDIDATES
        if items_IN is None or scores_IN is None:
            likes = [release.taste_like_item(num) for num in last]
            near = [like.top(spec.quota, blocked=(), may_block=may_block).nums for like in likes]
            return _first_of(np.concatenate(near), spec.quota)
        nums, scores = items_IN[last].ravel(), scores_IN[last].ravel()
        order = np.lexsort((nums, -scores))
        nums = nums[order]
        return _first_of(nums[nums >= 0], spec.quota)

    return bring


def _history(spec: CandidateSource, release: Release) -> SourceOfAsker:
    def bring(request: Request, _: Asker, __: bool) -> Candidates:  # noqa: FBT001
        return _first_of(history_of(request, release), spec.quota)

    return bring


def _category(spec: CandidateSource, facts: Facts) -> SourceOfAsker:
    release, lookups = facts.release, facts.lookups
    lookups.categories()  # gathers them now, since that takes a moment

    def bring(request: Request, _: Asker, __: bool) -> Candidates:  # noqa: FBT001
        last = history_of(request, release)[: spec.last].tolist()
        named = (name for num in last for name in lookups.live.category(num).split(columns.SEVERAL))
        wanted = [name for name in dict.fromkeys(named) if name]
        if not wanted:
            return NO_CANDIDATES
        share = -(-spec.quota // len(wanted))
        found = [lookups.of_category(name)[:share] for name in wanted]
        return Candidates(np.concatenate(found)[: spec.quota])

    return bring


def _first_of(nums: Nums, quota: int) -> Candidates:
    """Return the first `quota` different numbers, in order."""
    return Candidates(np.fromiter(dict.fromkeys(nums.tolist()), dtype=np.int32)[:quota])


_LOCAL = threading.local()


def marks(items: int) -> Mask:
    """Return (>= items,), all False, one a thread; a caller that sets places resets them before the next use."""
    found: Mask | None = getattr(_LOCAL, "marks", None)
    if found is None or len(found) < items:
        found = _LOCAL.marks = np.zeros(items, dtype=np.bool_)
    return found
