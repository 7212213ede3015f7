"""Candidate sources: those that are the same for everyone, listed once a release, and those of the asker."""

from collections.abc import Callable
from typing import Final

import numpy as np

from recsys_assets.rules.evaluation import Nums
from recsys_assets.rules.facts import Facts, Float32
from recsys_assets.rules.reading import Checked
from recsys_assets.rules.requests import Asked
from recsys_assets.rules.schema import CandidateSource

NO_ITEMS: Final = np.empty(0, dtype=np.int32)

Vector = Float32 | None
"""The asker's embedding, where there is one."""
Ask = Callable[[Asked, Vector], Nums]
"""Different item numbers for one request, at most the quota."""


def same_for_everyone(spec: CandidateSource) -> bool:
    """Whether the source's items follow from the release alone."""
    return spec.source in {"popular", "trending", "new", "list"}


def listed(source: Checked[CandidateSource], facts: Facts) -> Nums:
    """The items of a source that is the same for everyone, best first."""
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


def asker_source(spec: CandidateSource, facts: Facts) -> Ask:
    """A source whose items depend on who asks."""
    makers: dict[str, Callable[[CandidateSource, Facts], Ask]] = {
        "user": _user, "session": _session, "recent": _recent, "history": _history, "category": _category,
    }  # fmt: skip
    return makers[spec.source](spec, facts)


def history_of(asked: Asked, facts: Facts) -> Nums:
    """Item numbers of the session, then of the user's history, most recent first; one may stand twice."""
    earlier = NO_ITEMS
    if asked.user_num is not None:
        start, end = facts.release.history_indptr[asked.user_num : asked.user_num + 2].tolist()
        earlier = facts.release.history_items[start:end]
    if not asked.session:
        return earlier
    return np.concatenate([np.asarray(asked.session, dtype=np.int32), earlier])


def _user(spec: CandidateSource, facts: Facts) -> Ask:
    items_UC, quota = facts.release.candidates_items, spec.quota
    starts = facts.release.history_indptr

    def ask(asked: Asked, x_D: Vector) -> Nums:
        if asked.user_num is None or x_D is None:
            return NO_ITEMS
        if items_UC is not None and not asked.include_seen:
            row = items_UC[asked.user_num, :quota]
            return row if row[-1] >= 0 else row[row >= 0]
        if asked.include_seen:
            return _found(facts, x_D, quota)
        seen = facts.release.history_items[starts[asked.user_num] : starts[asked.user_num + 1]]
        found = _found(facts, x_D, quota + min(len(seen), quota))
        return found[~np.isin(found, seen)][:quota]

    return ask


def _session(spec: CandidateSource, facts: Facts) -> Ask:
    def ask(asked: Asked, x_D: Vector) -> Nums:
        if not asked.session:
            return NO_ITEMS
        if asked.user_num is not None or x_D is None:
            x_D = facts.release.fold_in.embed(np.asarray(asked.session, dtype=np.int64))
        return _found(facts, x_D, spec.quota)

    return ask


def _recent(spec: CandidateSource, facts: Facts) -> Ask:
    items_IN, scores_IN = facts.release.neighbours_items, facts.release.neighbours_scores

    def ask(asked: Asked, _: Vector) -> Nums:
        last = list(dict.fromkeys(history_of(asked, facts)[: 2 * spec.last].tolist()))[: spec.last]
        if not last:
            return NO_ITEMS
        if items_IN is None or scores_IN is None:
            near = [_found(facts, facts.release.item_embeddings[num], spec.quota) for num in last]
            return _first_of(np.concatenate(near), spec.quota)
        nums, scores = items_IN[last].ravel(), scores_IN[last].ravel()
        order = np.lexsort((nums, -scores))
        nums = nums[order]
        return _first_of(nums[nums >= 0], spec.quota)

    return ask


def _history(spec: CandidateSource, facts: Facts) -> Ask:
    def ask(asked: Asked, _: Vector) -> Nums:
        return _first_of(history_of(asked, facts), spec.quota)

    return ask


def _category(spec: CandidateSource, facts: Facts) -> Ask:
    codes = facts.table.text("category").codes

    def ask(asked: Asked, _: Vector) -> Nums:
        last = history_of(asked, facts)[: spec.last]
        wanted = [code for code in dict.fromkeys(codes[last].tolist()) if code >= 0]
        if not wanted:
            return NO_ITEMS
        share = -(-spec.quota // len(wanted))
        found = [facts.places_of_category[code][:share] for code in wanted]
        return np.concatenate(found)[: spec.quota]

    return ask


def _found(facts: Facts, x_D: Float32, count: int) -> Nums:
    return np.asarray(facts.release.index.search(x_D, count)[0], dtype=np.int32)


def _first_of(nums: Nums, quota: int) -> Nums:
    """The first `quota` different numbers, in order."""
    return np.fromiter(dict.fromkeys(nums.tolist()), dtype=np.int32)[:quota]
