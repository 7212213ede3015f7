"""A replica's cache follows an object store: the current release, verified whole before it is current here too.

An outage, a damaged object or a full disk leaves the release that is served; the note says so, and since when.
"""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from recsys_assets.api.serving.replica_arms import ReplicaArms
from recsys_assets.api.serving.replica_documents import ReplicaDocuments
from recsys_assets.api.serving.replica_note import ReplicaNote, replica_file, touch_note, write_note
from recsys_assets.api.serving.replica_room import ReplicaRoom
from recsys_assets.errors import (
    BrokenReleaseError,
    ObjectMissingError,
    ObjectStoreError,
    ReleaseError,
    StoreUnavailableError,
)
from recsys_assets.release.current_object import (
    CurrentObject,
    CurrentRecord,
    read_current_or_none,
    take_moves,
)
from recsys_assets.release.manifest import check_sums_once, read_manifest
from recsys_assets.release.release_objects import fetch_release, read_release_manifest
from recsys_assets.storage.home import Home
from recsys_assets.storage.object_store import ObjectStore

log = logging.getLogger("recsys.api")

_DOCUMENT_SECONDS: Final = 1.0
"""Least time between two looks at the documents."""
_FIRST_RETRY, _LAST_RETRY = 5.0, 300.0
"""Time until a release that was rejected is tried again, at first and at most; it doubles each time."""


class ReplicaMirror:
    """One cache that follows one store."""

    def __init__(
        self,
        store: ObjectStore,
        home: Home,
        *,
        most_bytes: int | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
        check: Callable[[], object] = lambda: None,
        beside: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Look at nothing yet.

        Args:
            store: the object store, whose errors come within seconds.
            home: the cache, in the form of a home.
            most_bytes: of all releases in the cache; None for no bound but the current one and the one before.
            now: the time, for messages.
            clock: seconds that never go back.
            check: called before each file that is fetched; raises where the fetch should end.
            beside: returns why what others follow in the store cannot be followed; None where it can.
        """
        self._store, self._home, self._now, self._clock, self._check = store, home, now, clock, check
        self._beside = beside
        self._current = CurrentObject(store)
        self._arms = ReplicaArms(store, home, lambda: self._now().date())
        self._documents = ReplicaDocuments(store, home, others=self._arms.rules_files)
        self._room = ReplicaRoom(home.releases, most_bytes, clock=clock)
        self._documents_at = self._retry_at = -float("inf")
        self._retry_after = _FIRST_RETRY
        self._tag: str | None = None
        self._record: CurrentRecord | None = None
        self._outage: str | None = None
        self._rejection: str | None = None
        self._noted: str | None = ""  # an earlier process may have left a note

    @property
    def problem(self) -> str | None:
        """Why the store is not followed now, in words; None where it is."""
        return self._outage or self._rejection or self._beside()

    def served(self) -> str | None:
        """Return the id of the release that the cache has as current and whole; None where there is none."""
        current = read_current_or_none(self._home.releases)
        if current is None:
            return None
        folder = self._home.releases / current
        try:
            check_sums_once(folder, read_manifest(folder))
        except ReleaseError:
            return None
        return current

    def look(self) -> None:
        """Copy what changed in the store, and note what keeps the cache from it; raises nothing of the store's."""
        reading = True
        try:
            self._read()
            reading = False
            if self._record is not None and self._clock() >= self._retry_at:
                self._take(self._record)
                self._rejection, self._retry_after = None, _FIRST_RETRY
        except ObjectStoreError as error:
            what = "no answer" if isinstance(error, StoreUnavailableError) else "it cannot be read"
            self._outage = self._outage or self._words(what, error)
        except (ReleaseError, OSError) as error:
            self._outage = None
            self._reject(error, reading=reading)
        else:
            self._outage = None
        self._note()

    def _read(self) -> None:
        """Read the documents and `current`, where they changed."""
        if self._clock() - self._documents_at >= _DOCUMENT_SECONDS:
            self._documents.look()
            self._documents_at = self._clock()
        try:
            found = self._current.read_changed(self._tag)
        except ObjectMissingError:
            if self._record is not None:
                raise
            return  # before the first promotion
        if found is not None:
            self._record, self._tag = found
            self._retry_at, self._retry_after, self._rejection = -float("inf"), _FIRST_RETRY, None

    def _take(self, record: CurrentRecord) -> None:
        """Have the current release here, then make it current here, then those of arms; remove the others."""
        root = self._home.releases
        if read_current_or_none(root) != record.release or not (root / record.release).is_dir():
            self._fetch(record.release, needed=())
        if take_moves(root, record):
            self._room.moved()
        needed = self._arms.releases((self._documents.version, self._tag))
        self._room.tidy(record, needed=needed)
        for release in needed:
            if not (root / release).is_dir():
                self._fetch(release, needed=needed)

    def _fetch(self, release: str, *, needed: Sequence[str]) -> None:
        started = self._clock()
        try:
            self._room.make(read_release_manifest(self._store, release), needed=needed)
            fetch_release(self._store, release, self._home.releases, check=self._go_on)
        except ObjectMissingError as error:
            raise BrokenReleaseError(f"{error}; promote another release there") from error
        seconds = round(self._clock() - started, 3)
        log.info("release fetched", extra={"release": release, "seconds": seconds})

    def _go_on(self) -> None:
        """Show before each file that this process lives, and end the fetch where it should."""
        touch_note(self._home)
        self._check()

    def _reject(self, error: Exception, *, reading: bool) -> None:
        """Keep the release that is served, and try the other one again later; `reading` `current` failed itself."""
        served = read_current_or_none(self._home.releases)
        release = None if self._record is None else self._record.release
        wanted = (
            "current"
            if reading or release is None
            else "a release of an experiment"
            if release == served
            else f"release {release}"
        )
        self._rejection = self._rejection or self._words(f"{wanted} is rejected", error)
        self._retry_at = self._clock() + self._retry_after
        self._retry_after = min(2 * self._retry_after, _LAST_RETRY)

    def _words(self, what: str, error: Exception) -> str:
        served = read_current_or_none(self._home.releases)
        meanwhile = f"; release {served} is served meanwhile" if served else ""
        since = f"since {self._now():%Y-%m-%d %H:%M:%S} UTC"
        return f"{self._store.url}: {what} {since}{meanwhile} ({str(error).splitlines()[0]})"

    def _note(self) -> None:
        """Write the note where it changes, and touch it else: its writer lives."""
        before, problem, file = self._noted, self.problem, replica_file(self._home)
        if problem == before and file.exists():
            touch_note(self._home)
            return
        write_note(self._home, ReplicaNote(url=self._store.url, problem=problem))
        self._noted = problem
        if problem is not None:
            log.warning("the object store is not followed", extra={"why": problem})
        elif before:
            log.info("the object store is followed again", extra={"store": self._store.url})
