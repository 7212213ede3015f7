"""The serving path over one release: whose vector, which candidates, what is left out, which k remain.

Everything is in memory-mapped arrays; no feature table is read here. A recommender never changes, so a
request that holds one sees one release from beginning to end.
"""

from collections.abc import Collection, Sequence
from time import perf_counter

import numpy as np

from recsys_assets.api.serving.cohorts import LEAST_USERS, Cohorts
from recsys_assets.api.serving.event_store import EventStore
from recsys_assets.api.serving.neighbours import Catalogue
from recsys_assets.api.serving.queries import Ranked, Source, Wanted
from recsys_assets.api.serving.retrieval import NOTHING, Found, Retrieval
from recsys_assets.api.serving.time_budget import Costs
from recsys_assets.errors import UnknownItemError
from recsys_assets.release.load import Release
from recsys_assets.storage.arrays import Float32, Int32

SIMILAR_REACH = 50
"""Neighbours by inner product, at least, that are ordered by cosine where those were not computed ahead."""
SESSION_OF_HISTORY = 20
"""Most recent items of a user that stand for the user where the budget does not allow more."""


class Recommender:
    """Answers for users, sessions, items and strangers, from one release and the events since."""

    def __init__(self, release: Release, events: EventStore) -> None:
        self.release = release
        self.catalogue = Catalogue(release)
        self.costs = Costs()
        self.cohorts = Cohorts(release)
        self._events = events
        self._retrieval = Retrieval(
            release.item_embeddings, release.index, search_us=release.index.report.chosen.query_us
        )
        self._starts = release.history_indptr

    def for_user(self, user_id: str, wanted: Wanted, *, may_block: bool = False) -> Ranked:
        """From the user's embedding; else from the items since the release; else the cohort's; else popular.

        Raises:
            UnknownCohortError: no user has such a feature.
            WouldBlockError: see `Retrieval.top` and `Cohorts.get`.
        """
        user_num = self.release.users.num(user_id)
        since = self.since(user_id)
        if user_num is None:
            if since:
                why = f"the user is newer than the release; {len(since)} items since stand for the user"
                return self._session(since, since, wanted, reason=why, may_block=may_block)
            if wanted.cohort is not None:
                return self._of_cohort(wanted.cohort, wanted, may_block=may_block)
            return self.popular(wanted, reason="the user is not in the release")
        if wanted.budget_ms is not None:
            level, reason = self.costs.choose(wanted.budget_ms - wanted.spent_ms)
            if reason is not None:
                seen = [*since, *self.history(user_num).tolist()]
                if level == "popular":
                    return self.popular(wanted, reason=reason, seen=seen)
                return self._session(
                    seen[:SESSION_OF_HISTORY], seen, wanted, reason=reason, may_block=may_block
                )
        return self._user(user_num, since, wanted, may_block=may_block)

    def for_session(self, nums: list[int], wanted: Wanted, *, may_block: bool = False) -> Ranked:
        """What goes with a session's items (`known_items`); popular items where none is known.

        Raises:
            WouldBlockError: see `Retrieval.top`.
        """
        if not nums:
            return self.popular(wanted, reason="no item of the session is in the release")
        if wanted.budget_ms is not None:
            _, reason = self.costs.choose(wanted.budget_ms - wanted.spent_ms, best="session")
            if reason is not None:
                return self.popular(wanted, reason=reason, seen=nums)
        return self._session(nums, nums, wanted, reason=None, may_block=may_block)

    def similar(self, item_id: str, wanted: Wanted, *, may_block: bool = False) -> Ranked:
        """The items nearest to one by cosine; where not computed ahead, among the nearest by inner product.

        Raises:
            UnknownItemError: the release does not hold the item.
            WouldBlockError: see `Retrieval.top`.
        """
        num = self.release.items.num(item_id)
        if num is None:
            raise UnknownItemError(f"item {item_id!r} is not in release {self.release.release_id}")
        blocked = self._blocked([num], wanted)
        items_IN, scores_IN = self.release.neighbours_items, self.release.neighbours_scores
        if items_IN is not None and scores_IN is not None and wanted.category is None:
            # no row holds the item itself
            found = _first(items_IN[num], scores_IN[num], wanted.k, blocked if wanted.exclude else ())
            if len(found.nums) == wanted.k:
                return _ranked(found, "similar")
        found = self._retrieval.top(
            self.release.item_embeddings[num],
            max(wanted.k, SIMILAR_REACH),
            blocked=blocked,
            among=self.catalogue.of_category(wanted.category),
            may_block=may_block,
        )
        return _ranked(self.catalogue.by_cosine(num, found, wanted.k), "similar")

    def popular(self, wanted: Wanted, *, reason: str | None = None, seen: Sequence[int] = ()) -> Ranked:
        """The most popular items, of one category where asked."""
        started = perf_counter()
        blocked = self._blocked(() if wanted.include_seen else seen, wanted)
        found = self.catalogue.popular(wanted.k, blocked=blocked, category=wanted.category)
        self.costs.learn("popular", perf_counter() - started)
        return _ranked(found, "popular", reason=reason, blocked=len(blocked))

    def history(self, user_num: int) -> Int32:
        """The user's item numbers, most recent first."""
        return self.release.history_items[self._starts[user_num] : self._starts[user_num + 1]]

    def since(self, user_id: str) -> list[int]:
        """Numbers of the known items of a user's events since the release, most recent first."""
        items = self._events.items_of(user_id)
        return self.known_items(list(items)[::-1])[0] if items else []

    def items_of(self, user_id: str) -> list[int]:
        """Numbers of all items a user has, most recent first; empty for a stranger."""
        user_num = self.release.users.num(user_id)
        earlier = [] if user_num is None else self.history(user_num).tolist()
        return list(dict.fromkeys([*self.since(user_id), *earlier]))

    def known_items(self, item_ids: Sequence[str]) -> tuple[list[int], list[str]]:
        """The numbers of the items that the release holds, each once, and the ids that it does not hold."""
        known: dict[int, None] = {}
        unknown = []
        for item_id in item_ids:
            num = self.release.items.num(item_id)
            if num is None:
                unknown.append(item_id)
            else:
                known[num] = None
        return list(known), unknown

    def _of_cohort(self, name: str, wanted: Wanted, *, may_block: bool) -> Ranked:
        """What the cohort's users want most, then what everyone does."""
        cohort = self.cohorts.get(name, may_block=may_block)
        if cohort.users < LEAST_USERS:
            why = f"the user is not in the release, and {cohort.users} users are {name}, too few to go by"
            return self.popular(wanted, reason=why)
        blocked = self._blocked((), wanted)
        categories, category = self.release.categories, wanted.category
        kept = [
            (num, score)
            for num, score in zip(cohort.nums.tolist(), cohort.scores.tolist(), strict=True)
            if num not in blocked and (category is None or categories[num] == category)
        ][: wanted.k]
        reason = f"the user is not in the release; what the {cohort.users} users who are {name} want most"
        if len(kept) < wanted.k:
            left_out = frozenset(blocked).union(num for num, _ in kept)
            more = self.catalogue.popular(wanted.k - len(kept), blocked=left_out, category=category)
            kept += [(num, 0.0) for num in more.nums]
            reason += f", then {len(more.nums)} popular items"
        found = Found([num for num, _ in kept], [score for _, score in kept], len(cohort.nums))
        return _ranked(found, "cohort", reason=reason, blocked=len(blocked))

    def _user(self, user_num: int, since: list[int], wanted: Wanted, *, may_block: bool) -> Ranked:
        started = perf_counter()
        items_UC, scores_UC = self.release.candidates_items, self.release.candidates_scores
        if (
            items_UC is not None
            and scores_UC is not None
            and not wanted.include_seen
            and wanted.category is None
        ):
            extra = self._blocked(since, wanted)
            found = _first(items_UC[user_num], scores_UC[user_num], wanted.k, extra)
            if len(found.nums) == wanted.k:
                self.costs.learn("user", perf_counter() - started)
                return _ranked(found, "user", blocked=len(extra))
        seen = () if wanted.include_seen else [*since, *self.history(user_num).tolist()]
        blocked = self._blocked(seen, wanted)
        x_D = self.release.user_embeddings[user_num]
        found = self._search(x_D, blocked, wanted, may_block=may_block)
        self.costs.learn("user", perf_counter() - started)
        return _ranked(found, "user", blocked=len(blocked))

    def _session(
        self, nums: list[int], seen: Sequence[int], wanted: Wanted, *, reason: str | None, may_block: bool
    ) -> Ranked:
        started = perf_counter()
        blocked = self._blocked(() if wanted.include_seen else seen, wanted)
        x_D = self.release.fold_in.embed(np.asarray(list(dict.fromkeys(nums)), dtype=np.int64))
        found = self._search(x_D, blocked, wanted, may_block=may_block)
        self.costs.learn("session", perf_counter() - started)
        return _ranked(found, "session", reason=reason, blocked=len(blocked))

    def _search(self, x_D: Float32, blocked: Collection[int], wanted: Wanted, *, may_block: bool) -> Found:
        among = self.catalogue.of_category(wanted.category)
        return self._retrieval.top(x_D, wanted.k, blocked=blocked, among=among, may_block=may_block)

    def _blocked(self, seen: Sequence[int], wanted: Wanted) -> Collection[int]:
        if not wanted.exclude:
            return frozenset(seen) if seen else ()
        return frozenset(seen).union(self.known_items(wanted.exclude)[0])


def _first(nums_C: Int32, scores_C: Float32, k: int, blocked: Collection[int]) -> Found:
    """The first k of a row computed ahead, -1 where it ends, without the blocked."""
    if k > len(nums_C):
        return NOTHING
    if not blocked:
        nums = nums_C[:k].tolist()
        return NOTHING if nums[-1] < 0 else Found(nums, scores_C[:k].tolist(), k)
    every = nums_C.tolist()
    kept = [place for place, num in enumerate(every) if num >= 0 and num not in blocked][:k]
    return Found([every[place] for place in kept], scores_C[kept].tolist(), len(every))


def _ranked(found: Found, source: Source, *, reason: str | None = None, blocked: int = 0) -> Ranked:
    return Ranked(
        nums=found.nums,
        scores=found.scores,
        source=source,
        reason=reason,
        candidates=found.candidates,
        blocked=blocked,
    )
