"""Candidate sources: those that are the same for everyone, listed once a release, and those of the asker."""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from recsys_assets.rules.engine.item_facts import Facts
from recsys_assets.rules.engine.requests import Asked
from recsys_assets.rules.language.evaluator import Nums
from recsys_assets.rules.language.reading import Checked
from recsys_assets.rules.language.schema import CandidateSource
from recsys_assets.storage.arrays import Float32

NO_ITEMS: Final = np.empty(0, dtype=np.int32)

Vector = Float32 | None
"""The asker's embedding, where there is one."""


class Brought(NamedTuple):
    """What a source brings for one request. Shape: n items."""

    nums: Nums
    """(n,): different item numbers, at most the quota."""
    products: Float32 | None = None
    """(n,): their inner products with the asker's vector, where the source knows them."""


NOTHING: Final = Brought(NO_ITEMS)

Ask = Callable[[Asked, Vector], Brought]


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
    items_UC, scores_UC, quota = facts.release.candidates_items, facts.release.candidates_scores, spec.quota
    starts = facts.release.history_indptr

    def ask(asked: Asked, x_D: Vector) -> Brought:
        if asked.user_num is None or x_D is None:
            return NOTHING
        if items_UC is not None and not asked.include_seen:
            row = items_UC[asked.user_num, :quota]
            scores = None if scores_UC is None else scores_UC[asked.user_num, :quota]
            if row[-1] >= 0:
                return Brought(row, scores)
            there = row >= 0
            return Brought(row[there], None if scores is None else scores[there])
        if asked.include_seen:
            return _found(facts, x_D, quota)
        seen = facts.release.history_items[starts[asked.user_num] : starts[asked.user_num + 1]]
        found, scores = facts.release.index.search(x_D, quota + min(len(seen), quota))
        new = ~np.isin(found, seen)
        return Brought(found[new][:quota], scores[new][:quota])

    return ask


def _session(spec: CandidateSource, facts: Facts) -> Ask:
    def ask(asked: Asked, x_D: Vector) -> Brought:
        if not asked.session:
            return NOTHING
        if asked.user_num is None and x_D is not None:
            return _found(facts, x_D, spec.quota)
        session_D = facts.release.fold_in.embed(np.asarray(asked.session, dtype=np.int64))
        return Brought(_found(facts, session_D, spec.quota).nums)

    return ask


def _recent(spec: CandidateSource, facts: Facts) -> Ask:
    items_IN, scores_IN = facts.release.neighbours_items, facts.release.neighbours_scores

    def ask(asked: Asked, _: Vector) -> Brought:
        last = list(dict.fromkeys(history_of(asked, facts)[: 2 * spec.last].tolist()))[: spec.last]
        if not last:
            return NOTHING
        if items_IN is None or scores_IN is None:
            near = [_found(facts, facts.release.item_embeddings[num], spec.quota).nums for num in last]
            return _first_of(np.concatenate(near), spec.quota)
        nums, scores = items_IN[last].ravel(), scores_IN[last].ravel()
        order = np.lexsort((nums, -scores))
        nums = nums[order]
        return _first_of(nums[nums >= 0], spec.quota)

    return ask


def _history(spec: CandidateSource, facts: Facts) -> Ask:
    def ask(asked: Asked, _: Vector) -> Brought:
        return _first_of(history_of(asked, facts), spec.quota)

    return ask


def _category(spec: CandidateSource, facts: Facts) -> Ask:
    codes = facts.table.text("category").codes

    def ask(asked: Asked, _: Vector) -> Brought:
        last = history_of(asked, facts)[: spec.last]
        wanted = [code for code in dict.fromkeys(codes[last].tolist()) if code >= 0]
        if not wanted:
            return NOTHING
        share = -(-spec.quota // len(wanted))
        found = [facts.places_of_category[code][:share] for code in wanted]
        return Brought(np.concatenate(found)[: spec.quota])

    return ask


def _found(facts: Facts, x_D: Float32, count: int) -> Brought:
    return Brought(*facts.release.index.search(x_D, count))


def _first_of(nums: Nums, quota: int) -> Brought:
    """The first `quota` different numbers, in order."""
    return Brought(np.fromiter(dict.fromkeys(nums.tolist()), dtype=np.int32)[:quota])
