"""Rows of `item_states.sqlite` in a home that shares its states: changes to send, and the record that it follows."""

import sqlite3
from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from recsys_assets.intake.item_states import ItemState, Mark
from recsys_assets.intake.state_rows import EXPIRED, decoded, store_change
from recsys_assets.intake.states_record import ChangeGroup, StatesRecord, applied, differing, unmerged

SHARED_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS unsent (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, content BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS followed (
    one INTEGER PRIMARY KEY CHECK (one = 1), url TEXT NOT NULL, tag TEXT NOT NULL, number INTEGER NOT NULL
);
"""
ELSEWHERE: Final = "(another machine)"
"""Who took back a state, where the store does not remember it any more."""


class TakenRecord(NamedTuple):
    """The record that a copy has taken up."""

    tag: str
    """The store's tag of it."""
    number: int
    """Its version."""


def keep_unsent(connection: sqlite3.Connection, group: ChangeGroup) -> None:
    """Note changes that the store does not have yet."""
    row = (group.id, msgspec.json.encode(group))
    connection.execute("INSERT INTO unsent (id, content) VALUES (?, ?)", row)


def unsent_groups(connection: sqlite3.Connection) -> list[ChangeGroup]:
    """Return the changes that the store does not have yet, oldest first."""
    rows = connection.execute("SELECT content FROM unsent ORDER BY number")
    return [msgspec.json.decode(content, type=ChangeGroup) for (content,) in rows]


def followed_in(connection: sqlite3.Connection, url: str) -> TakenRecord | None:
    """Return the record of the store at `url` that the copy has taken up; None where it has none of that store."""
    row = connection.execute("SELECT tag, number FROM followed WHERE url = ?", (url,)).fetchone()
    return None if row is None else TakenRecord(*row)


def states_in(connection: sqlite3.Connection) -> dict[str, ItemState]:
    """Return all states of the copy, those that have ended too."""
    rows = connection.execute("SELECT item_id, state FROM states")
    return {item_id: decoded(state) for item_id, state in rows}


def last_version(connection: sqlite3.Connection) -> int:
    """Return the number of the last change, of this machine or of the record that it follows."""
    sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'changes'"
    return int(connection.execute(sql).fetchone()[0])


def take_record(
    connection: sqlite3.Connection,
    record: StatesRecord,
    *,
    url: str,
    tag: str,
    sent: Collection[str],
    now: datetime,
) -> None:
    """Make the copy that of a record, with the changes merged into it that wait; log what differs.

    A record older than the one that is followed changes nothing.

    Args:
        connection: one with the writers' lock.
        record: the content of the object.
        url: of the store.
        tag: of the object.
        sent: ids of groups that need not be sent any more.
        now: the time, UTC.
    """
    groups = unsent_groups(connection)
    done = [group.id for group in groups if group.id in record.sent or group.id in sent]
    connection.executemany("DELETE FROM unsent WHERE id = ?", ((one,) for one in done))
    seen = followed_in(connection, url)
    if seen is not None and seen.number > record.number:
        return
    left = [group for group in unmerged(record, groups) if group.id not in sent]
    before, (after, gone) = states_in(connection), applied(record.states, left)
    for item_id in differing(before, after):
        old, new = before.get(item_id), after.get(item_id)
        mark = new.last if new is not None else gone.get(item_id) or _mark_of_end(record, item_id, old, now)
        store_change(connection, item_id, old, new, mark)
    _raise_version(connection, record.number)
    connection.execute("INSERT OR REPLACE INTO followed VALUES (1, ?, ?, ?)", (url, tag, record.number))


def _mark_of_end(record: StatesRecord, item_id: str, state: ItemState | None, now: datetime) -> Mark:
    known = record.taken_back.get(item_id)
    if known is not None:
        return known
    if state is not None and state.until is not None and state.until <= now:
        return Mark(at=state.until, by=EXPIRED)
    return Mark(at=now, by=ELSEWHERE)


def _raise_version(connection: sqlite3.Connection, number: int) -> None:
    """Have the next change numbered above `number`: SQLite itself keeps the last number of a table."""
    if last_version(connection) >= number:
        return
    sql = "UPDATE sqlite_sequence SET seq = ? WHERE name = 'changes'"
    if not connection.execute(sql, (number,)).rowcount:
        connection.execute("INSERT INTO sqlite_sequence VALUES ('changes', ?)", (number,))
