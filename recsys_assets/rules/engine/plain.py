"""The built-in scenario `plain`, for requests that name none: the best unseen items, without any rule.

Its fast path is the beginning of a row computed ahead, without the user's history (`index/build_index.py`). It reads
memory-mapped arrays only, no feature table, so it is ready when the release is loaded. Its scores are the asker's,
popularity or cosines as they are.
"""

from collections.abc import Collection, Sequence
from time import perf_counter
from typing import Final, Literal

import msgspec

from recsys_assets.release.load import Release
from recsys_assets.release.retrieval import Candidates, first_of_row
from recsys_assets.release.taste import Taste
from recsys_assets.rules.engine.item_facts import LEAST_USERS, Cohorts, ItemLookups, LikenessTo
from recsys_assets.rules.engine.requests import UNKNOWN_USER, Answer, Request, Source, newer_user

SIMILAR_REACH: Final = 50
"""Neighbours by inner product, at least, that are ordered by cosine where those were not computed ahead."""
SESSION_OF_HISTORY: Final = 20
"""Most recent items of a user that stand for the user where the budget does not allow more."""


class PlainScenario:
    """Lists for users, sessions, items and strangers from one release; threads may share it."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.lookups = ItemLookups(release)
        self.cohorts = Cohorts(release)
        self.costs = Costs()

    def recommend(self, request: Request, *, may_block: bool = True) -> Answer:
        """Return the list for one request.

        It comes from the user's embedding; else from the session; else from the cohort; else it is popular items.

        Args:
            request: who wants what.
            may_block: whether a search of a large catalogue may take its time here.

        Raises:
            UnknownCohortError: no user has such a feature.
            WouldBlockError: the answer takes long, and `may_block` is False.
        """
        if request.user_num is not None:
            return self._for_user(request.user_num, request, may_block=may_block)
        session = request.session
        if request.user_id is None:
            return self._for_session(request, may_block=may_block)
        if session:
            why = newer_user(len(session))
            return self._by_items(session, session, request, reason=why, may_block=may_block)
        if request.cohort is not None:
            return self._of_cohort(request.cohort, request, may_block=may_block)
        return self.popular(request, reason=UNKNOWN_USER)

    def similar(self, num: int, request: Request, *, may_block: bool = True) -> Answer:
        """Return the items nearest to item `num` by cosine.

        Where they were not computed ahead they are chosen among the nearest by inner product. An item without a
        direction, a new one with words that no known item has, gets the popular items of its category.

        Raises:
            WouldBlockError: a search takes long, and `may_block` is False.
        """
        if not self.release.item_factors[num].any():
            category = request.category or self.lookups.live.category(num) or None
            reason = "the item is new, and no known one has its words"
            return self.popular(
                msgspec.structs.replace(request, category=category), reason=reason, seen=[num]
            )
        live = self.lookups.live
        items_IN, scores_IN = self.release.neighbours_items, self.release.neighbours_scores
        if items_IN is not None and scores_IN is not None and request.category is None:
            # no row holds the item itself
            others = live.states.not_retrieved(request.exclude)
            ahead = first_of_row(items_IN, scores_IN, num, request.k, others)
            if ahead is not None:
                if live.states.boost_I is not None:
                    few = frozenset([num, *request.exclude])
                    ahead = live.states.merged(ahead, LikenessTo(self.lookups, num), request.k, few)
                return _answer(ahead, "similar", blocked=0)
        taste = self.release.taste_like_item(num)
        blocked = frozenset([num, *request.exclude])
        among = None if request.category is None else live.of_category(request.category)
        left_out, reach = live.states.not_retrieved(blocked), max(request.k, SIMILAR_REACH)
        found = taste.top(reach, blocked=left_out, among=among, may_block=may_block)
        found = self.lookups.by_cosine(num, found, request.k)
        like = LikenessTo(self.lookups, num)
        found = live.states.merged(found, like, request.k, blocked, among=among)
        return _answer(found, "similar", blocked=0)

    def popular(self, request: Request, *, reason: str | None = None, seen: Sequence[int] = ()) -> Answer:
        """Return the most popular items, of one category where the request names one, without those `seen`."""
        started = perf_counter()
        blocked = _blocked(() if request.include_seen else seen, request)
        found = self.lookups.popular(request.k, blocked=blocked, category=request.category)
        self.costs.learn("popular", perf_counter() - started)
        return _answer(found, "popular", reason=reason)

    def _for_user(self, user_num: int, request: Request, *, may_block: bool) -> Answer:
        if request.budget_ms is not None:
            level, reason = self.costs.choose(request.budget_ms - request.spent_ms)
            if reason is not None:
                seen = [*request.session, *self.release.seen(user_num).tolist()]
                wishes = [*request.session, *self.release.history(user_num)[:SESSION_OF_HISTORY].tolist()]
                recent = list(dict.fromkeys(wishes[:SESSION_OF_HISTORY]))
                if level == "popular" or not recent:
                    return self.popular(request, reason=reason, seen=seen)
                return self._by_items(recent, seen, request, reason=reason, may_block=may_block)
        started = perf_counter()
        if request.include_seen or request.category is not None:
            seen = [] if request.include_seen else [*request.session, *self.release.seen(user_num).tolist()]
            taste, blocked = self.release.taste_of_user(user_num, request.session), _blocked(seen, request)
            found = self._search(taste, request.k, blocked, request.category, may_block=may_block)
        else:
            blocked = _blocked(request.session, request)
            states, since = self.lookups.live.states, request.session
            found = self.release.best_unseen(
                user_num, request.k, blocked=states.not_retrieved(blocked), since=since, may_block=may_block
            )
            if states.boost_I is not None:
                few = frozenset(self.release.seen(user_num).tolist()).union(blocked)
                taste = self.release.taste_of_user(user_num, since)
                found = states.merged(found, taste, request.k, few)
        self.costs.learn("user", perf_counter() - started)
        return _answer(found, "user")

    def _for_session(self, request: Request, *, may_block: bool) -> Answer:
        session = request.session
        if not session:
            return self.popular(request, reason="no item of the session is in the release")
        if request.budget_ms is not None:
            _, reason = self.costs.choose(request.budget_ms - request.spent_ms, best="session")
            if reason is not None:
                return self.popular(request, reason=reason, seen=session)
        return self._by_items(session, session, request, reason=None, may_block=may_block)

    def _by_items(
        self,
        nums: Sequence[int],
        seen: Sequence[int],
        request: Request,
        *,
        reason: str | None,
        may_block: bool,
    ) -> Answer:
        """Return the list for the asker that the items `nums`, each once, stand for."""
        started = perf_counter()
        blocked = _blocked(() if request.include_seen else seen, request)
        taste = self.release.taste_of_items(nums)
        found = self._search(taste, request.k, blocked, request.category, may_block=may_block)
        self.costs.learn("session", perf_counter() - started)
        return _answer(found, "session", reason=reason)

    def _of_cohort(self, name: str, request: Request, *, may_block: bool) -> Answer:
        """Return what the cohort's users want most, then what everyone does."""
        cohort = self.cohorts.get(name, may_block=may_block)
        if cohort.users < LEAST_USERS:
            why = f"{UNKNOWN_USER}, and {cohort.users} users are {name}, too few for a list"
            return self.popular(request, reason=why)
        blocked = _blocked((), request)
        live, category = self.lookups.live, request.category
        nums, scores = live.states.on_lists(cohort.nums, cohort.scores)
        if category is not None:
            kept_n = live.in_category(nums, category)
            nums, scores = nums[kept_n], scores[kept_n]
        reach = request.k + len(blocked)
        kept = [
            (num, score)
            for num, score in zip(nums[:reach].tolist(), scores[:reach].tolist(), strict=True)
            if num not in blocked
        ][: request.k]
        reason = f"{UNKNOWN_USER}; what the {cohort.users} users who are {name} want most"
        if len(kept) < request.k:
            left_out = frozenset(blocked).union(num for num, _ in kept)
            more = live.popular(request.k - len(kept), blocked=left_out, category=category)
            kept += [(num, 0.0) for num in more.nums.tolist()]
            reason += f", then {len(more.nums)} popular items"
        return Answer(
            nums=[num for num, _ in kept],
            scores=[score for _, score in kept],
            source="cohort",
            reason=reason,
            candidates=len(cohort.nums),
            blocked=len(blocked),
        )

    def _search(
        self, taste: Taste, k: int, blocked: Collection[int], category: str | None, *, may_block: bool
    ) -> Candidates:
        live = self.lookups.live
        among = None if category is None else live.of_category(category)
        found = taste.top(k, blocked=live.states.not_retrieved(blocked), among=among, may_block=may_block)
        return live.states.merged(found, taste, k, blocked, among=among)


def _blocked(seen: Sequence[int], request: Request) -> Collection[int]:
    if not request.exclude:
        return frozenset(seen) if seen else ()
    return frozenset(seen).union(request.exclude)


def _answer(
    found: Candidates, source: Source, *, reason: str | None = None, blocked: int | None = None
) -> Answer:
    return Answer(
        nums=found.nums.tolist(),
        scores=[] if found.scores is None else found.scores.tolist(),
        source=source,
        reason=reason,
        candidates=found.examined,
        blocked=found.blocked if blocked is None else blocked,
    )


Level = Literal["user", "session", "popular"]
"""A context that may answer, the richest first."""

_LEVELS: Final[tuple[Level, ...]] = ("user", "session", "popular")
_START_MS: Final[dict[Level, float]] = {"user": 1.0, "session": 2.0, "popular": 0.2}
_RATE: Final = 0.05
_OUTLIER: Final = 10
"""One answer counts as this many times the average at most, so one slow disk read does not raise the average."""


class Costs:
    """The time that each level is expected to take, ms: a slow-moving average plus two deviations."""

    def __init__(self) -> None:
        self._mean = dict(_START_MS)
        self._deviation: dict[Level, float] = dict.fromkeys(_LEVELS, 0.0)

    def learn(self, level: Level, seconds: float) -> None:
        """Take a measured answer into account."""
        off = min(seconds * 1000, _OUTLIER * self._mean[level]) - self._mean[level]
        self._mean[level] += _RATE * off
        self._deviation[level] += _RATE * (abs(off) - self._deviation[level])

    def expected_ms(self, level: Level) -> float:
        """Return the time that nearly all answers of this level take at most, ms."""
        return self._mean[level] + 2 * self._deviation[level]

    def choose(self, left_ms: float, *, best: Level = "user") -> tuple[Level, str | None]:
        """Return the richest level, from `best` down, that fits into `left_ms`, and why it is not `best`."""
        too_slow = []
        for level in _LEVELS[_LEVELS.index(best) :]:
            needed = self.expected_ms(level)
            if needed <= left_ms or level == "popular":
                break
            too_slow.append(f"{level} needs {needed:.2f} ms")
        if not too_slow:
            return level, None
        return level, f"{max(left_ms, 0):.2f} ms of the budget are left and {', '.join(too_slow)}"
