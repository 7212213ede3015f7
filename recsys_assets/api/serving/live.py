"""The release that is served: loaded whole, swapped as one reference, followed while `current` changes.

A request takes `Live.serving` once and keeps it, so it sees one release; the old one is let go when the last
request that holds it ends.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from time import perf_counter

from recsys_assets.api.http.auth import KeyRing
from recsys_assets.api.http.bodies import ItemJson
from recsys_assets.api.serving.event_store import EventStore
from recsys_assets.api.serving.recommender import Recommender
from recsys_assets.api.serving.scenarios import Scenarios
from recsys_assets.errors import EventsUnavailableError, ReleaseError
from recsys_assets.release.current import CURRENT_FILE
from recsys_assets.release.load import load_release
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.storage.home import Home

log = logging.getLogger("recsys.api")

POLL_SECONDS = 0.25
"""How often `current` and `events.sqlite` are looked at."""


class Serving:
    """One release, ready to answer."""

    def __init__(self, recommender: Recommender, scenarios: Scenarios) -> None:
        release = recommender.release
        self.scenarios = scenarios
        self.recommender = recommender
        self.release_id = release.manifest.release_id
        self.release_header = self.release_id.encode()
        self.items = ItemJson(release.items, release.titles, release.categories)
        self.served = bytearray(len(release.items))
        """1 for every item recommended since the release was loaded, by item number."""

    def covered(self) -> float:
        """Share of the catalogue recommended at least once since the release was loaded, 0-1."""
        return self.served.count(1) / max(1, len(self.served))


class Live:
    """Holds the serving release of one process, and follows `current`."""

    def __init__(self, home: Home, *, shared_events: bool = False) -> None:
        self.home = home
        self._shared_events = shared_events
        self.store = ReleaseStore(home.releases)
        self.events = EventStore(home.events_db)
        self.serving: Serving | None = None
        self.swaps = 0
        self._refused: tuple[str, int] | None = None  # release and when it was promoted

    def start(self, *, verify: bool = True, fallback_previous: bool = False) -> None:
        """Load `current`; where that is broken and it is allowed, the newest other release that is whole.

        Raises:
            ReleaseError: there is no release, or none that may be served is whole.
        """
        self.serving = self.choose(verify=verify, fallback_previous=fallback_previous)
        self.serving.scenarios.start()
        with contextlib.suppress(EventsUnavailableError):
            self.events.refresh()

    def choose(self, *, verify: bool, fallback_previous: bool) -> Serving:
        """What `start` would serve. No thread is started: a process that is about to fork may ask.

        Raises:
            ReleaseError: as `start`.
        """
        current = self.store.current_id()
        if current is None:
            raise ReleaseError(f"{self.home.releases}: no release is current; run `recsys build` first")
        try:
            return self._load(current, verify=verify)
        except ReleaseError as error:
            if not fallback_previous:
                raise
            log.warning("release refused", extra={"release": current, "why": str(error)})
            self._refused = (current, (self.store.root / CURRENT_FILE).stat().st_mtime_ns)
            return self._load_previous(current)

    @contextlib.asynccontextmanager
    async def following(self, keys: KeyRing) -> AsyncIterator[None]:
        """Follow `current`, the keys, and the events of other processes while the block runs."""
        task = asyncio.create_task(self._follow(keys))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            self.events.close()

    def events_since(self, user_id: str) -> int:
        """How many events the user has since the release, those of other workers included."""
        if self._shared_events:
            self.events.refresh()
        return self.events.count_of(user_id)

    def swap(self) -> bool:
        """Serve `current` if that is another release than the one served; whether it was swapped.

        A broken release is refused once a promotion, with a log line, and the old one stays.
        """
        current = self.store.current_id()
        if current is None or (self.serving and current == self.serving.release_id):
            return False
        promoted = (current, (self.store.root / CURRENT_FILE).stat().st_mtime_ns)
        if promoted == self._refused:
            return False
        try:
            started = perf_counter()
            self.serving = self._load(current, verify=True)
            self.serving.scenarios.start()
        except ReleaseError as error:
            self._refused = promoted
            log.warning("release refused", extra={"release": current, "why": str(error)})
            return False
        self._refused = None
        self.swaps += 1
        log.info("release swapped", extra={"release": current, "seconds": round(perf_counter() - started, 3)})
        return True

    def _load(self, release_id: str, *, verify: bool) -> Serving:
        folder = self.home.releases / release_id
        recommender = Recommender(load_release(folder, verify=verify), self.events)
        return Serving(recommender, Scenarios(recommender, self.home))

    def _load_previous(self, broken: str) -> Serving:
        for manifest in self.store.list():
            if manifest.release_id == broken:
                continue
            try:
                serving = self._load(manifest.release_id, verify=True)
            except ReleaseError as error:
                log.warning("release refused", extra={"release": manifest.release_id, "why": str(error)})
                continue
            log.warning(
                "serving an earlier release", extra={"release": manifest.release_id, "instead_of": broken}
            )
            return serving
        raise ReleaseError(
            f"{self.home.releases}: no earlier release is whole; publish one with `recsys build`"
        )

    async def _follow(self, keys: KeyRing) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await asyncio.to_thread(self.swap)
                if self.serving is not None:
                    await asyncio.to_thread(self.serving.scenarios.look)
                await asyncio.to_thread(self.events.refresh)
                keys.refresh()
            except Exception:
                log.exception("could not look for a new release or new events; trying again")
