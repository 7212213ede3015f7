"""One writer at a time over several machines: an object that its holder beats, taken over once it stands still.

No clocks are compared. A taker watches the object on its own clock, and takes it over by a swap where no beat came for
the seconds that the holder promised. Each holder has a higher number than the one before.
"""

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from recsys_assets.errors import (
    BuildRunningError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectMissingError,
    ObjectStoreError,
)
from recsys_assets.storage.object_store import ObjectStore

LEASE_KEY: Final = ".lease"
_BEATS: Final = 10
"""Beats in the time after which a lease may be taken over."""
_LOOKS: Final = 20
"""Looks of a taker in that time."""


class LeaseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the object."""

    number: int
    """Number of the holder, from 1; each one has a higher number than those before."""
    holder: str
    """Who holds it, in words; empty where it was given back."""
    token: str
    """A name of this holder alone, random."""
    seconds: float
    """Time without a beat after which it may be taken over."""
    beat: int
    """Number of the last beat."""


class Lease:
    """A lease that this process holds; a thread beats it."""

    def __init__(
        self, store: ObjectStore, key: str, record: LeaseRecord, tag: str, clock: Callable[[], float]
    ) -> None:
        """Take what `held_lease` put."""
        self.number: Final = record.number
        self._store, self._key, self._record, self._tag, self._clock = store, key, record, tag, clock
        self._beating = threading.Lock()
        self._stopped = threading.Event()
        self._beaten = clock()
        self._lost: str | None = None

    def check(self) -> None:
        """Beat now where the last beat is older than one interval: the next seconds are this holder's then.

        Call it before each step that others will see: the release's manifest, `current`, a day.

        Raises:
            ObjectChangedError: another writer took the lease over.
            StoreUnavailableError: the store does not answer, so that nothing is known.
        """
        with self._beating:
            if self._lost is None and self._clock() - self._beaten >= self._record.seconds / _BEATS:
                self._beat()
            if self._lost is not None:
                raise ObjectChangedError(self._lost)

    def _beat(self) -> None:
        begun = self._clock()
        try:
            self._put(msgspec.structs.replace(self._record, beat=self._record.beat + 1))
        except ObjectChangedError:
            self._adopt()
        else:
            self._beaten = begun

    def _put(self, record: LeaseRecord) -> None:
        self._tag = self._store.swap(self._key, msgspec.json.encode(record), tag=self._tag)
        self._record = record

    def _adopt(self) -> None:
        """Find who changed the object: a beat of ours whose answer was lost, or another holder."""
        try:
            found = self._store.get(self._key)
            record = msgspec.json.decode(found.content, type=LeaseRecord)
        except (ObjectMissingError, msgspec.DecodeError):
            record = None
        if record is not None and record.token == self._record.token:
            self._tag, self._record, self._beaten = found.tag, record, self._clock()
            return
        other = "is gone" if record is None else f"was taken over by {record.holder or 'another writer'}"
        self._lost = (
            f"{self._store.url}/{self._key}: {other}, since this one did not beat in time; run it again"
        )

    def beat_until_stopped(self) -> None:
        """Beat in equal intervals; a store that does not answer is tried again."""
        while not self._stopped.wait(self._record.seconds / _BEATS) and self._lost is None:
            with self._beating, contextlib.suppress(ObjectStoreError):
                self._beat()

    def stop(self, thread: threading.Thread) -> None:
        """End the beats and give the lease back; where the store does not answer, it ends by itself."""
        self._stopped.set()
        thread.join()
        if self._lost is None:
            with contextlib.suppress(ObjectStoreError):
                self._put(msgspec.structs.replace(self._record, holder="", beat=self._record.beat + 1))


@contextmanager
def held_lease(
    store: ObjectStore,
    *,
    holder: str,
    seconds: float,
    patience: float = 0.0,
    key: str = LEASE_KEY,
    say: Callable[[str], object] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Lease]:
    """Hold the lease of a store while the block runs.

    Args:
        store: where the object is.
        holder: who takes it, in words for others: machine, process and command.
        seconds: time without a beat after which others may take it over.
        patience: seconds to wait for a holder that lives; one that was killed is waited for anyway.
        key: of the object.
        say: called with a sentence where another one holds it.
        clock: seconds that never go back.

    Raises:
        BuildRunningError: another writer holds it, and beats.
        StoreUnavailableError: the store does not answer.
    """
    wanted = LeaseRecord(number=1, holder=holder, token=uuid.uuid4().hex, seconds=seconds, beat=0)
    record, tag = _taken(store, key, wanted, patience=patience, say=say, clock=clock)
    lease = Lease(store, key, record, tag, clock)
    thread = threading.Thread(target=lease.beat_until_stopped, name="recsys-lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        lease.stop(thread)


def _taken(
    store: ObjectStore,
    key: str,
    wanted: LeaseRecord,
    *,
    patience: float,
    say: Callable[[str], object],
    clock: Callable[[], float],
) -> tuple[LeaseRecord, str]:
    """Put the wanted record where nobody holds the lease, or its holder stands still; return it and its tag."""
    end = clock() + patience
    seen: str | None = None
    named = ""
    since, beats = clock(), 0
    while True:
        try:
            found = store.get(key)
        except ObjectMissingError:
            with contextlib.suppress(ObjectExistsError):
                return wanted, store.create(key, msgspec.json.encode(wanted))
            continue
        before = _decoded(store, key, found.content)
        if found.tag != seen:
            beats += seen is not None
            seen, since = found.tag, clock()
        if not before.holder or clock() - since >= before.seconds:
            record = msgspec.structs.replace(wanted, number=before.number + 1)
            with contextlib.suppress(ObjectChangedError):
                return record, store.swap(key, msgspec.json.encode(record), tag=found.tag)
            continue
        if beats and clock() >= end:
            raise BuildRunningError(
                f"{store.url}: {before.holder} is writing there; wait for it to end, then run this again"
            )
        if before.holder != named:
            named = before.holder
            wait = f"waiting for its end, or {before.seconds:g} s without a sign of life"
            say(f"{store.url}: held by {named}; {wait}")
        time.sleep(before.seconds / _LOOKS)


def _decoded(store: ObjectStore, key: str, content: bytes) -> LeaseRecord:
    try:
        return msgspec.json.decode(content, type=LeaseRecord)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ObjectStoreError(
            f"{store.url}/{key}: is no lease ({error}); remove it where nobody writes"
        ) from error
