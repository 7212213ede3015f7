"""The states of items that several machines share by one object: changes are sent to it, and those of others taken.

A change is durable in `item_states.sqlite` before it is sent, and stays there as unsent until the store has it. So an
outage or a kill loses none, and an item that was hidden is so on this machine at once.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple
from uuid import uuid4

import msgspec

from recsys_assets.errors import (
    ItemStatesUnavailableError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectMissingError,
    RecsysError,
)
from recsys_assets.intake.item_states import ItemState
from recsys_assets.intake.states_copy import (
    SHARED_SCHEMA,
    TakenRecord,
    followed_in,
    keep_unsent,
    last_version,
    states_in,
    take_record,
    unsent_groups,
)
from recsys_assets.intake.states_database import writing_states
from recsys_assets.intake.states_record import STATES_KEY, ChangeGroup, StatesRecord, merged
from recsys_assets.storage.object_store import ObjectStore, StoredObject

_TRIES: Final = 100
"""Swaps that other writers may win before this one gives up until the next look."""


class _Here(NamedTuple):
    """The copy of this machine, as it is read before an exchange."""

    seen: TakenRecord | None
    groups: list[ChangeGroup]


class SharedStates:
    """One home's share of the states; threads may share it, and each process opens the store for itself."""

    def __init__(self, path: Path, opened: Callable[[], ObjectStore], *, only_follows: bool = False) -> None:
        """Send no request yet.

        Args:
            path: `item_states.sqlite` of the home.
            opened: opens the store, whose errors come within seconds.
            only_follows: a replica's cache, which changes nothing in the store.
        """
        self._path, self._opened, self._only_follows = path, opened, only_follows
        self._store: tuple[int, ObjectStore] | None = None
        self.waiting: str | None = None
        """The changes that other machines do not know yet, in words, as of the last exchange; else None."""

    def exchange(self, now: datetime) -> None:
        """Send the changes that the store does not have, and take those of other machines.

        Args:
            now: the time at which states end, UTC.

        Raises:
            ItemStatesUnavailableError: the store or the file cannot be used now; all changes are kept.
        """
        try:
            self._exchange(self._objects(), now)
        except RecsysError as error:
            reason = str(error).splitlines()[0]
            unsent = len(self._here("").groups)
            self.waiting = None
            if unsent:
                what = "a change of item states" if unsent == 1 else f"{unsent:,} changes of item states"
                self.waiting = (
                    f"other machines do not know of {what} yet; sent once the store answers ({reason})"
                )
            raise ItemStatesUnavailableError(self.waiting or reason) from error
        self.waiting = None

    def _objects(self) -> ObjectStore:
        if self._store is None or self._store[0] != os.getpid():  # a client does not survive a fork
            self._store = os.getpid(), self._opened()
        return self._store[1]

    def _exchange(self, store: ObjectStore, now: datetime) -> None:
        for _ in range(_TRIES):
            seen, groups = self._here(store.url)
            if seen is None and not groups and not self._only_follows:
                groups = self._joining(now)
            try:
                found = store.get_changed(STATES_KEY, tag=None if groups or seen is None else seen.tag)
            except ObjectMissingError:
                if self._only_follows or not (groups or seen):
                    return
                found, record = None, None
            else:
                if found is None:
                    return
                record = _decoded(found, store.url)
            if self._only_follows:
                assert found is not None  # noqa: S101  a missing object has returned
                assert record is not None  # noqa: S101  as above
                self._take(record, store.url, found.tag, (), now)
                return
            wanted = self._wanted(record, seen, groups, now)
            try:
                tag = self._put(store, wanted, found) if wanted is not record else ""
            except (ObjectChangedError, ObjectExistsError):
                continue  # another machine changed it meanwhile: merge these changes into its states
            tag = tag or (found.tag if found is not None else "")
            self._take(wanted, store.url, tag, [group.id for group in groups], now)
            return
        raise ItemStatesUnavailableError(
            f"{store.url}/{STATES_KEY}: others changed it {_TRIES} times meanwhile; it is tried again"
        )

    def _wanted(
        self, record: StatesRecord | None, seen: TakenRecord | None, groups: list[ChangeGroup], now: datetime
    ) -> StatesRecord:
        """Return the record with this machine's changes.

        States set here before the home had this store join those there. A store that was emptied or set back gets
        the states that this machine followed: nothing that was hidden comes back by that.
        """
        old = record or StatesRecord()
        here, last = self._states() if groups or seen is None or old.number < seen.number else ({}, 0)
        base = old.states
        least = 1 if record is None else old.number
        if seen is None and not any(group.id in old.sent for group in groups):
            base = {**here, **old.states}
        elif seen is not None and old.number < seen.number:
            base, least = here, seen.number + 1
        elif not groups:
            return old
        found = merged(old, base, groups, here=here, last=last, now=now)
        return found if found.number >= least else msgspec.structs.replace(found, number=max(least, last))

    def _joining(self, now: datetime) -> list[ChangeGroup]:
        """Return a group without changes where the home has states from before: it marks them as sent."""
        if not self._states()[0]:
            return []
        group = ChangeGroup(id=uuid4().hex, at=now, by="", changes={})
        with self._open() as connection:
            keep_unsent(connection, group)
        return [group]

    @staticmethod
    def _put(store: ObjectStore, wanted: StatesRecord, found: StoredObject | None) -> str:
        content = msgspec.json.encode(wanted)
        if found is None:
            return store.create(STATES_KEY, content)
        return store.swap(STATES_KEY, content, tag=found.tag)

    def _take(
        self, record: StatesRecord, url: str, tag: str, sent: list[str] | tuple[()], now: datetime
    ) -> None:
        with self._open() as connection:
            take_record(connection, record, url=url, tag=tag, sent=sent, now=now)

    def _here(self, url: str) -> _Here:
        if not self._path.exists():
            return _Here(None, [])
        with self._open(reads=True) as connection:
            return _Here(followed_in(connection, url), unsent_groups(connection))

    def _states(self) -> tuple[dict[str, ItemState], int]:
        """Return the states of the copy, and its version."""
        if not self._path.exists():
            return {}, 0
        with self._open(reads=True) as connection:
            return states_in(connection), last_version(connection)

    @contextmanager
    def _open(self, *, reads: bool = False) -> Iterator[sqlite3.Connection]:
        with writing_states(self._path, more=SHARED_SCHEMA, reads=reads) as connection:
            yield connection


def _decoded(found: StoredObject, url: str) -> StatesRecord:
    try:
        return msgspec.json.decode(found.content, type=StatesRecord)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ItemStatesUnavailableError(
            f"{url}/{STATES_KEY}: cannot be read ({error}); put an earlier version of the object back, or remove it"
        ) from error
