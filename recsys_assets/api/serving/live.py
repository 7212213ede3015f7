"""The serving release: loaded whole, swapped as one reference, followed while `current` changes.

A request takes `Live.serving` once and keeps it, so it sees one release; the old one is let go when the last
request that holds it ends. `current`, the rules, the events, the recalls and the keys are each followed by a thread of
its own, so that one which cannot be read, or is slow, delays no other; another one writes the counts of answers.
"""

import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

from recsys_assets.api.http.bodies import Headers, ItemJson
from recsys_assets.api.serving.followed_states import FollowedStates
from recsys_assets.api.serving.follower import Follower
from recsys_assets.api.serving.recall_notices import RecallNotices
from recsys_assets.errors import EventsUnavailableError, ReleaseError, UnknownItemError
from recsys_assets.notices.delivery import LOOK_SECONDS, deliver_waiting
from recsys_assets.release.answer_counts import FLUSH_SECONDS, AnswerCounts
from recsys_assets.release.bound_states import BoundStates
from recsys_assets.release.current import CURRENT_FILE, earlier, require_current
from recsys_assets.release.event_store import EventStore
from recsys_assets.release.load import Release, load_release
from recsys_assets.release.manifest import MANIFEST_FILE
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.rules.engine.plain import PlainScenario
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.rules_file import FollowedRules
from recsys_assets.storage.home import Home

if TYPE_CHECKING:
    from recsys_assets.api.http.auth import KeyRing

log = logging.getLogger("recsys.api")

_STOPPING_SECONDS = 5.0
"""Longest wait for the threads that follow them, at the end."""


class Serving:
    """One release, ready to answer, and the events since it."""

    def __init__(self, release: Release, events: EventStore, home: Home) -> None:
        self.release = release
        self.plain = PlainScenario(release)
        self.rules = FollowedRules(self.plain, home)
        self.release_id = release.release_id
        self.release_header: Headers = ((b"x-release-id", self.release_id.encode()),)
        """Headers of every answer from it: its id, and a recall that consumers have to know of."""
        self.items = ItemJson(release.items, release.titles, release.categories)
        self.served = bytearray(len(release.items))
        """1 for every item recommended since the release was loaded, by item number."""
        self._events = events

    @property
    def states(self) -> BoundStates:
        """The item states in force; their version is part of every entity tag."""
        return self.plain.lookups.states

    def item_num(self, item_id: str) -> int:
        """Return an item's number.

        Raises:
            UnknownItemError: the release does not hold the item.
        """
        num = self.release.items.num_of(item_id)
        if num is None:
            raise UnknownItemError(f"item {item_id!r} is not in release {self.release_id}")
        return num

    def item_nums(self, item_ids: Sequence[str] | None) -> Sequence[int]:
        """Return the numbers of the items that the release holds, each once; other ids are ignored."""
        return self.known_items(item_ids)[0] if item_ids else ()

    def known_items(self, item_ids: Sequence[str]) -> tuple[list[int], list[str]]:
        """Return the numbers of the items that the release holds, each once, and the ids that it does not hold."""
        known: dict[int, None] = {}
        unknown = []
        num_of = self.release.items.num_of
        for item_id in item_ids:
            num = num_of(item_id)
            if num is None:
                unknown.append(item_id)
            else:
                known[num] = None
        return list(known), unknown

    def items_since(self, user_id: str) -> Sequence[int]:
        """Return the numbers of the known items of a user's events since the release, most recent first."""
        return self._events.nums_of(user_id, self.release.items)

    def items_of(self, request: Request) -> list[int]:
        """Return the numbers of all items that a user has, most recent first; empty for a stranger."""
        num = request.user_num
        earlier = [] if num is None else self.release.history(num).tolist()
        return list(dict.fromkeys([*request.session, *earlier]))

    def covered(self) -> float:
        """Return the share of the catalogue recommended at least once since the release was loaded, 0-1."""
        return self.served.count(1) / max(1, len(self.served))


class Live:
    """Holds the serving release of one process, and follows `current`."""

    def __init__(
        self, home: Home, *, shared_events: bool = False, recalls: RecallNotices | None = None
    ) -> None:
        """Serve nothing yet; `recalls` are those that answers name, by default for the default time."""
        self.home = home
        self._shared_events = shared_events
        self.store = ReleaseStore(home.releases)
        self.events = EventStore(home.events_db)
        self.answers = AnswerCounts(home.answers_db)
        self.recalls = recalls or RecallNotices(home)
        self.states = FollowedStates(home)
        self.serving: Serving | None = None
        self.swaps = 0
        self.followers: Sequence[Follower] = ()
        self._rejected: _Attempt | None = None
        self._rejection: str | None = None

    def start(self, *, verify: bool = True, fallback_previous: bool = False) -> None:
        """Load `current`; where that is broken and it is allowed, the newest other release that is whole.

        Raises:
            ReleaseError: there is no release, or none that may be served is whole.
        """
        self.serving = self.choose(verify=verify, fallback_previous=fallback_previous)
        self.serving.rules.start()
        with contextlib.suppress(EventsUnavailableError):
            self.events.refresh()

    def choose(self, *, verify: bool, fallback_previous: bool) -> Serving:
        """Return the release that `start` would serve. No thread is started: a process may call it before it forks.

        Raises:
            ReleaseError: as `start`.
        """
        try:
            current = require_current(self.home.releases)
        except ReleaseError as error:
            if not fallback_previous:
                raise
            log.warning("no current release", extra={"why": str(error)})
            return self._load_served_before(None)
        try:
            return self._load(current, verify=verify)
        except ReleaseError as error:
            if not fallback_previous:
                raise
            self._reject(self._attempt(current), error)
            return self._load_served_before(current)

    @contextlib.asynccontextmanager
    async def following(self, keys: "KeyRing") -> AsyncIterator[None]:
        """Follow `current`, the keys, and the events of other processes while the block runs."""
        looks: dict[str, Callable[[], object]] = {
            "keys": keys.refresh,
            "release": self.swap,
            "rules": self._refresh_rules,
            "events": self.events.refresh,
            "recalls": self._refresh_recalls,
            "item states": lambda: self.states.refresh(self.serving),
            "catalogue": lambda: self.states.refresh_catalogue(self.serving),
        }
        self.followers = [
            *(Follower(name, look) for name, look in looks.items()),
            Follower("answers", self.answers.flush, seconds=FLUSH_SECONDS, last_look=True),
            Follower("notices", partial(deliver_waiting, self.home), seconds=LOOK_SECONDS),
        ]
        stopped = threading.Event()
        threads = [follower.follow(stopped) for follower in self.followers]
        try:
            yield
        finally:
            stopped.set()
            _join(threads)
            self.events.close()
            self.states.store.close()

    def problems(self) -> Mapping[str, str]:
        """Return what cannot be read now -> why, paths from the home on; the state read before is served."""
        found = {follower.name: follower.problem for follower in self.followers}
        found["release"] = found.get("release") or self._rejection
        return {name: why.replace(f"{self.home.root}/", "") for name, why in found.items() if why is not None}

    def events_since(self, user_id: str) -> int:
        """Return the number of the user's events since the release, those of other workers included."""
        if self._shared_events:
            self.events.refresh()
        return self.events.count_of(user_id)

    def swap(self) -> bool:
        """Serve `current` if that is another release than the one served; return whether it was swapped.

        A broken release is rejected with a log line, and the old one stays; it is tried again once it is promoted
        again or replaced.
        """
        current = self.store.current_id()
        if current is None or (self.serving and current == self.serving.release_id):
            self._rejected = self._rejection = None
            return False
        attempt = self._attempt(current)
        if attempt == self._rejected:
            return False
        try:
            started = perf_counter()
            self.serving = self._load(current, verify=True)
            self.serving.rules.start()
        except ReleaseError as error:
            self._reject(attempt, error)
            return False
        self._rejected = self._rejection = None
        self.swaps += 1
        log.info("release swapped", extra={"release": current, "seconds": round(perf_counter() - started, 3)})
        return True

    def _attempt(self, release_id: str) -> "_Attempt":
        root = self.store.root
        return (release_id, _stamp(root / CURRENT_FILE), _stamp(root / release_id / MANIFEST_FILE))

    def _reject(self, attempt: "_Attempt", error: ReleaseError) -> None:
        self._rejected, self._rejection = attempt, str(error)
        log.warning("release rejected", extra={"release": attempt[0], "why": str(error)})

    def _refresh_rules(self) -> None:
        if self.serving is not None:
            self.serving.rules.refresh()

    def _refresh_recalls(self) -> None:
        self.recalls.refresh()
        if self.serving is not None:
            self._mark(self.serving)

    def _mark(self, serving: Serving) -> None:
        """Have answers name the recalls, as they were read last."""
        serving.release_header = (
            (b"x-release-id", serving.release_id.encode()),
            *self.recalls.headers(serving.release.manifest.lineage),
        )

    def _load(self, release_id: str, *, verify: bool) -> Serving:
        serving = Serving(
            load_release(self.home.releases / release_id, verify=verify), self.events, self.home
        )
        with contextlib.suppress(ReleaseError):  # the follower says why
            self.recalls.refresh()
        self._mark(serving)
        self.states.begin(serving)
        return serving

    def _load_served_before(self, broken: str | None) -> Serving:
        """Load the last release served that is whole and not recalled, else the newest; not the broken one."""
        for release_id in self._others(broken):
            fault = self.store.fault(release_id)
            if fault is None:
                try:
                    serving = self._load(release_id, verify=True)
                except ReleaseError as error:
                    fault = str(error)
            if fault is not None:
                log.warning("release rejected", extra={"release": release_id, "why": fault})
                continue
            log.warning("serving another release", extra={"release": release_id, "instead_of": broken})
            return serving
        raise ReleaseError(
            f"{self.home.releases}: no earlier release is whole; publish one with `recsys build`"
        )

    def _others(self, broken: str | None) -> Sequence[str]:
        served: Sequence[str] = ()
        with contextlib.suppress(ReleaseError):  # the log of moves cannot be read
            last = self.store.served_id()
            served = [*([last] if last else []), *earlier(self.store.promotions(), last)]
        newest = (manifest.release_id for manifest in self.store.list())
        return [found for found in dict.fromkeys([*served, *newest]) if found != broken]


_Attempt = tuple[str, int, int]
"""A release, and the stamps of `current` and of its manifest when it was tried."""


def _stamp(file: Path) -> int:
    """Return the time of a file's last change, ns; 0 where there is none."""
    try:
        return file.stat().st_ctime_ns
    except OSError:
        return 0


def _join(threads: Sequence[threading.Thread]) -> None:
    end = monotonic() + _STOPPING_SECONDS
    for thread in threads:
        thread.join(max(0.0, end - monotonic()))
