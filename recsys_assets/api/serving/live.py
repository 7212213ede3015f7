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
from time import perf_counter
from typing import TYPE_CHECKING

from recsys_assets.api.serving.fallback_release import load_served_before
from recsys_assets.api.serving.followed_experiments import FollowedExperiments
from recsys_assets.api.serving.followed_states import FollowedStates
from recsys_assets.api.serving.follower import Follower, join_all
from recsys_assets.api.serving.hidden_users import HiddenUsers
from recsys_assets.api.serving.recall_notices import RecallNotices
from recsys_assets.api.serving.replica_note import FollowedStore
from recsys_assets.api.serving.serving_release import Serving
from recsys_assets.errors import EventsUnavailableError, ExperimentsError, ForgetError, ReleaseError
from recsys_assets.experiments.teams import AnswerTeams
from recsys_assets.intake.event_meaning import EventMeaning, EventOptions
from recsys_assets.intake.event_store import Intake
from recsys_assets.intake.events_database import Clock, utc_now
from recsys_assets.intake.events_of_home import event_log_of
from recsys_assets.intake.merged_users import MergedUsers
from recsys_assets.intake.recent_events import Since
from recsys_assets.notices.delivery import LOOK_SECONDS, deliver_waiting
from recsys_assets.release.answer_counts import FLUSH_SECONDS, AnswerCounts
from recsys_assets.release.current import CURRENT_FILE, require_current
from recsys_assets.release.load import load_release
from recsys_assets.release.manifest import MANIFEST_FILE
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.release.shared_series import series_exchange
from recsys_assets.storage.home import Home

if TYPE_CHECKING:
    from recsys_assets.api.http.auth import KeyRing

log = logging.getLogger("recsys.api")


class Live:
    """Holds the serving release of one process, and follows `current`."""

    def __init__(
        self,
        home: Home,
        *,
        shared_events: bool = False,
        recalls: RecallNotices | None = None,
        options: EventOptions | None = None,
        clock: Clock = utc_now,
    ) -> None:
        """Serve nothing yet.

        Args:
            home: where releases and events are.
            shared_events: other processes write events too, so read theirs before every personal answer.
            recalls: those that answers name, by default for the default time.
            options: settings of events, by default the default ones.
            clock: the time, which decides the experiments that run.
        """
        self.home = home
        self._shared_events = shared_events
        self.options = options or EventOptions()
        self.meaning = EventMeaning.of(self.options)
        self.store = ReleaseStore(home.releases)
        self.shared = shared = event_log_of(home, self.options)
        self.bring_series = series_exchange(shared, home.answers_db)
        self.intake = Intake(home.events_db, self.options.events, now=clock, stored=self._stored, log=shared)
        self.after_commit: list[Callable[[], object]] = []
        """Called after each commit of events."""
        self.merged = MergedUsers(home.events_db, keep=None if shared is None else shared.add_merge)
        self.answers = AnswerCounts(home.answers_db)
        self.teams = AnswerTeams(home.answers_db)
        self.experiments = FollowedExperiments(self, clock)
        self.recalls = recalls or RecallNotices(home)
        self.states = FollowedStates(home, clock=clock)
        self.hidden = HiddenUsers(home)
        self.followed = FollowedStore.of(home)
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
        with contextlib.suppress(EventsUnavailableError):  # the follower says why
            if self.shared is not None:
                self.shared.copy.catch_up()
        with contextlib.suppress(EventsUnavailableError):
            self._refresh_events()
            self.merged.refresh()
        with contextlib.suppress(ExperimentsError):  # the follower says why
            self.experiments.refresh()

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
            return load_served_before(self.store, self._load_verified, None)
        try:
            return self._load(current, verify=verify)
        except ReleaseError as error:
            if not fallback_previous:
                raise
            self._reject(self._attempt(current), error)
            return load_served_before(self.store, self._load_verified, current)

    @contextlib.asynccontextmanager
    async def following(self, keys: "KeyRing") -> AsyncIterator[None]:
        """Follow `current`, the keys, and the events of other processes while the block runs."""
        looks: dict[str, Callable[[], object]] = {
            "keys": keys.refresh,
            "release": self.swap,
            "rules": self._refresh_rules,
            "events": self._refresh_events,
            "merges": self.merged.refresh,
            "recalls": self._refresh_recalls,
            "experiments": self.experiments.refresh,
            "forgets": self.hide_forgotten,
        }
        if self.followed is not None:
            looks["object store"] = self.followed.look
        if self.bring_series is not None:
            looks["event server"] = self.bring_series
        self.followers = [
            *(Follower(name, look) for name, look in looks.items()),
            *self.states.followers(self.opened),
            Follower("answers", self.answers.flush, seconds=FLUSH_SECONDS, last_look=True),
            Follower("teams", self.teams.flush, seconds=FLUSH_SECONDS, last_look=True),
            Follower("notices", partial(deliver_waiting, self.home), seconds=LOOK_SECONDS),
        ]
        self.intake.open()
        stopped = threading.Event()
        threads = [follower.follow(stopped) for follower in self.followers]
        try:
            yield
        finally:
            stopped.set()
            self.intake.close()
            join_all(threads)
            for serving in self.opened():
                serving.recent.close()
            self.states.store.close()
            self.merged.close()
            if self.shared is not None:
                self.shared.close()

    def problems(self) -> Mapping[str, str]:
        """Return what cannot be read now -> why, paths from the home on; the state read before is served."""
        found = {follower.name: follower.problem for follower in self.followers}
        found["release"] = found.get("release") or self._rejection
        return {name: why.replace(f"{self.home.root}/", "") for name, why in found.items() if why is not None}

    def opened(self) -> Sequence[Serving]:
        """Return the release served, and those that answer beside it in experiments."""
        served = () if self.serving is None else (self.serving,)
        return (*served, *self.experiments.beside.values())

    def events_since(self, serving: Serving, user_id: str) -> Since:
        """Return the items of a user's events since a release, those of other workers included.

        Another mark means that the user's answers may have changed; 0 where there is none.
        """
        if self._shared_events:
            with contextlib.suppress(
                EventsUnavailableError
            ):  # the follower says why, and what was read stays
                serving.recent.refresh()
        return serving.since(user_id)

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
            serving = self._load(current, verify=True)
            with contextlib.suppress(EventsUnavailableError):  # the follower says why
                serving.recent.refresh()
            before, self.serving = self.serving, serving
            serving.rules.start()
            if before is not None:
                before.recent.close()
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

    def _stored(self) -> None:
        for tell in self.after_commit:
            tell()
        self._refresh_events()

    def _refresh_events(self) -> None:
        for serving in self.opened():
            serving.recent.refresh()

    def _refresh_rules(self) -> None:
        if self.serving is not None:
            self.serving.rules.refresh()

    def _refresh_recalls(self) -> None:
        self.recalls.refresh()
        if self.serving is not None:
            self._mark(self.serving)

    def hide_forgotten(self) -> None:
        """Answer as to a stranger from now on where a forget was requested."""
        self.hidden.refresh([serving.release for serving in self.opened()])

    def _mark(self, serving: Serving) -> None:
        """Have answers name the recalls, as they were read last."""
        serving.release_header = (
            (b"x-release-id", serving.release_id.encode()),
            *self.recalls.headers(serving.release.manifest.lineage),
        )

    def load_beside(self, release_id: str) -> Serving:
        """Open a release that answers beside the served one, after a check of every file; its rules are bound.

        Raises:
            ReleaseError: it is gone, broken, recalled, or was kept back by the gate.
        """
        fault = self.store.fault(release_id)
        if fault is not None:
            raise ReleaseError(fault)
        serving = self._load_verified(release_id)
        serving.rules.bind()
        return serving

    def _load_verified(self, release_id: str) -> Serving:
        return self._load(release_id, verify=True)

    def _load(self, release_id: str, *, verify: bool) -> Serving:
        release = load_release(self.home.releases / release_id, verify=verify)
        serving = Serving(release, self.home, self.meaning, self.merged)
        with contextlib.suppress(ReleaseError):  # the follower says why
            self.recalls.refresh()
        with contextlib.suppress(ForgetError):  # as above
            self.hidden.refresh([serving.release])
        self._mark(serving)
        self.states.begin(serving)
        return serving


_Attempt = tuple[str, int, int]
"""A release, and the stamps of `current` and of its manifest when it was tried."""


def _stamp(file: Path) -> int:
    """Return the time of a file's last change, ns; 0 where there is none."""
    try:
        return file.stat().st_ctime_ns
    except OSError:
        return 0
