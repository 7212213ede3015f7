"""The lists of many users, as the API would answer now: plain ones in bulk, those of a scenario by its engine.

Nothing is retrieved here in another way: rows computed ahead are taken as the plain scenario takes them, and all other
users go through the same scenarios as a request, in several processes where that is worth their start.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime
from multiprocessing import get_context
from typing import Final, Self

import numpy as np
from threadpoolctl import threadpool_limits

from recsys_assets.errors import ExportError, ReleaseError
from recsys_assets.exports.chosen_users import UserBatch
from recsys_assets.exports.list_batch import ListBatch
from recsys_assets.intake.event_meaning import EventMeaning, EventOptions
from recsys_assets.intake.events_of_home import bring_events
from recsys_assets.intake.state_store import StateStore
from recsys_assets.intake.stored_events import users_with_events
from recsys_assets.release.bound_states import bind_states
from recsys_assets.release.learnt_events import events_since
from recsys_assets.release.load import Release, load_release
from recsys_assets.release.retrieval import first_of_rows
from recsys_assets.rules.engine.catalogue_over import FollowedCatalogue
from recsys_assets.rules.engine.plain import PlainScenario
from recsys_assets.rules.engine.requests import Answer, Request
from recsys_assets.rules.rules_file import FollowedRules
from recsys_assets.storage.arrays import NO_ITEM, Bools, Int32, release_pages
from recsys_assets.storage.home import Home
from recsys_assets.training_settings import limit_spinning

ROWS_AT_ONCE: Final = 250_000
"""Items of the lists of a batch, at most: about 40 MB as rows."""
_USERS_OF_A_PROCESS: Final = 2_000
_USERS_WORTH_PROCESSES: Final = 8_000
"""A second process takes about as long to start as 2,000 lists of a scenario take."""


class ListMaker:
    """Lists of one release by one scenario, with the rules, events and item states of the moment that it is opened."""

    def __init__(self, home: Home, release_id: str, *, scenario: str | None, k: int, now: datetime) -> None:
        """Open the release.

        Args:
            home: an installation.
            release_id: one of its releases.
            scenario: of the rules; None for the plain lists.
            k: items a list.
            now: the time at which item states hold, UTC.

        Raises:
            EventsUnavailableError: the server of `[events]` does not answer.
            ItemStatesUnavailableError: the item states cannot be read.
            ReleaseError: the release is broken, or no rules can be bound to it.
            RulesError: there is no such scenario.
        """
        self.home, self.scenario, self.k, self.now = home, scenario, k, now
        self.release: Release = load_release(home.releases / release_id, verify=False)
        self._plain = PlainScenario(self.release)
        bring_events(home)
        self._events = events_since(self.release, home.events_db, EventMeaning.of(EventOptions.of(home)))
        store = StateStore(home.item_states_db)
        over = FollowedCatalogue(home).over(self.release)
        self._plain.lookups.take_up(bind_states(store.refresh(now), self.release.items, catalogue=over))
        store.close()
        self._events.refresh()
        followed = FollowedRules(self._plain, home)
        followed.bind()
        if followed.bound is None:
            raise ReleaseError(f"{self.release.folder}: its rules cannot be bound; run `recsys rules check`")
        engine, self.problem = followed.bound.engine, followed.bound.problem
        self.rules = engine.version
        """Fingerprint of the rules in force."""
        self._recommend = self._plain.recommend if scenario is None else engine.scenario(scenario).recommend
        since = map(self.release.users.num_of, users_with_events(home.events_db))
        self._with_events = np.array([num for num in since if num is not None], dtype=np.int32)

    def close(self) -> None:
        """Close the events."""
        self._events.close()

    def batch_size(self) -> int:
        """Return the number of users of a batch."""
        return max(1, ROWS_AT_ONCE // self.k)

    def make(self, users: UserBatch, *, processes: "ListProcesses | None" = None) -> ListBatch:
        """Return the lists of a batch of users."""
        items_Nk, scores_Nk, done = self._ahead(users.nums)
        found = ListBatch(user_ids=users.ids, user_nums=users.nums, items_Nk=items_Nk, scores_Nk=scores_Nk)
        left = np.flatnonzero(~done)
        if not len(left):
            return found
        some = UserBatch(users.nums[left], users.ids.take(left))
        made = [self.answer(some)] if processes is None else list(processes.answer(some))
        reasons: list[str | None] = [None] * len(users.nums)
        for place, reason in zip(
            left.tolist(), (one for batch in made for one in batch.reasons or ()), strict=True
        ):
            reasons[place] = reason
        items_Nk[left] = np.concatenate([batch.items_Nk for batch in made])
        scores_Nk[left] = np.concatenate([batch.scores_Nk for batch in made])
        has_reason = any(reason is not None for reason in reasons)
        return ListBatch(
            user_ids=users.ids,
            user_nums=users.nums,
            items_Nk=items_Nk,
            scores_Nk=scores_Nk,
            reasons=reasons if has_reason else None,
        )

    def answer(self, users: UserBatch) -> ListBatch:
        """Return the lists of users, one request each; `reasons` has one a user."""
        items_Nk = np.full((len(users.nums), self.k), NO_ITEM, dtype=np.int32)
        scores_Nk = np.full((len(users.nums), self.k), -np.inf, dtype=np.float32)
        reasons = []
        for place, (user_id, num) in enumerate(zip(users.ids.to_pylist(), users.nums.tolist(), strict=True)):
            found = self._answer_of(user_id, num)
            items_Nk[place, : len(found.nums)] = found.nums
            scores_Nk[place, : len(found.scores)] = found.scores
            reasons.append(found.reason)
        return ListBatch(
            user_ids=users.ids, user_nums=users.nums, items_Nk=items_Nk, scores_Nk=scores_Nk, reasons=reasons
        )

    def _answer_of(self, user_id: str, num: int) -> Answer:
        since = self._events.since(user_id)
        request = Request(
            k=self.k,
            user_id=user_id,
            user_num=None if num < 0 else num,
            session=since.wishes,
            exclude=(*since.hidden, *since.late),
        )
        return self._recommend(request)

    def _ahead(self, nums: Int32) -> tuple[Int32, "np.typing.NDArray[np.float32]", Bools]:
        """Return the plain lists that were computed ahead, and whose list that is."""
        items_UC, scores_UC = self.release.candidates_items, self.release.candidates_scores
        if self.scenario is not None or items_UC is None or scores_UC is None:
            shape = (len(nums), self.k)
            empty = np.full(shape, NO_ITEM, dtype=np.int32), np.full(shape, -np.inf, dtype=np.float32)
            return *empty, np.zeros(len(nums), dtype=np.bool_)
        items_Nk, scores_Nk, whole = first_of_rows(items_UC, scores_UC, np.maximum(nums, 0), self.k)
        for mapped in (items_UC, scores_UC):
            release_pages(mapped)  # else all pages of all users stay in this process's memory
        whole &= nums >= 0
        states = self._plain.lookups.states
        if states.gone_I is not None:
            whole &= ~(states.gone_I[np.maximum(items_Nk, 0)] & (items_Nk >= 0)).any(axis=1)
        if len(states.boosted):
            whole[:] = False  # any list may have another order
        if len(self._with_events):
            whole &= ~np.isin(nums, self._with_events)
        return items_Nk, scores_Nk, whole


def make_lists(maker: ListMaker, users: Iterable[UserBatch], *, count: int) -> Iterator[ListBatch]:
    """Yield the lists of all users in order; `count` of them help to decide whether processes pay."""
    ahead = maker.scenario is None and maker.release.candidates_items is not None
    cores = len(os.sched_getaffinity(0))
    if ahead or count < _USERS_WORTH_PROCESSES or cores == 1:
        yield from map(maker.make, users)
        return
    with ListProcesses(maker, workers=cores) as processes:
        for batch in users:
            yield maker.make(batch, processes=processes)


class ListProcesses:
    """Processes that each open the same release, and share the users of a batch."""

    def __init__(self, maker: ListMaker, *, workers: int) -> None:
        given = (maker.home, maker.release.release_id, maker.scenario, maker.k, maker.now, maker.rules)
        # not forked: polars' threads would not be there in a child
        self._pool = ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=_open, initargs=given
        )
        self._ahead = 2 * workers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def answer(self, users: UserBatch) -> Iterator[ListBatch]:
        """Yield the lists of users in order."""
        waiting: deque[Future[ListBatch]] = deque()
        try:
            for start in range(0, len(users.nums), _USERS_OF_A_PROCESS):
                part = slice(start, start + _USERS_OF_A_PROCESS)
                waiting.append(self._pool.submit(_answer, UserBatch(users.nums[part], users.ids[part])))
                if len(waiting) > self._ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise ExportError(
                "a process that makes lists ended early (out of memory, or the rules were changed); export again"
            ) from None


_OPEN: dict[str, ListMaker] = {}
"""The maker of this process, under its scenario."""


def _open(  # noqa: PLR0917  initialisers get no names
    home: Home, release_id: str, scenario: str | None, k: int, now: datetime, rules: str
) -> None:
    limit_spinning()
    threadpool_limits(limits=1, user_api="blas")  # the processes together use the cores
    maker = ListMaker(home, release_id, scenario=scenario, k=k, now=now)
    if maker.rules != rules:
        raise ExportError(f"{home.root}: the rules were changed while lists were made; export again")
    _OPEN["maker"] = maker


def _answer(users: UserBatch) -> ListBatch:
    return _OPEN["maker"].answer(users)
