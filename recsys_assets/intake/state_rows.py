"""Rows of `item_states.sqlite`: states as JSON, and the log of their changes."""

import sqlite3
from datetime import UTC, datetime
from typing import Final

import msgspec

from recsys_assets.intake.item_states import ItemState, Mark

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS states (item_id TEXT PRIMARY KEY, state TEXT NOT NULL, until TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    item_id TEXT NOT NULL,
    at TEXT NOT NULL,
    by TEXT NOT NULL,
    why TEXT NOT NULL,
    before TEXT,
    after TEXT
);
CREATE INDEX IF NOT EXISTS changes_by_item ON changes (item_id);
"""
EXPIRED: Final = "(its time was up)"
"""Who took back a state that ended by itself, in the log."""


class LoggedChange(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one item's state, as the log keeps it."""

    seq: int
    """Number of the change, ascending."""
    item_id: str
    at: datetime
    """Its time, UTC."""
    by: str
    """Name of the API key, or login of the shell's user."""
    why: str
    """The reason given; empty where none was."""
    before: ItemState | None
    """The state before; None where there was none."""
    after: ItemState | None
    """The state after; None where none is left."""


def state_of(connection: sqlite3.Connection, item_id: str) -> ItemState | None:
    """Return the state of an item; None where it has none."""
    row = connection.execute("SELECT state FROM states WHERE item_id = ?", (item_id,)).fetchone()
    return None if row is None else decoded(row[0])


def store_change(
    connection: sqlite3.Connection,
    item_id: str,
    before: ItemState | None,
    after: ItemState | None,
    mark: Mark,
) -> None:
    """Replace the state of an item, and log the change with the time, name and reason of `mark`."""
    if after is None:
        connection.execute("DELETE FROM states WHERE item_id = ?", (item_id,))
    else:
        until = None if after.until is None else sortable(after.until)
        connection.execute(
            "INSERT OR REPLACE INTO states VALUES (?, ?, ?)", (item_id, _encoded(after), until)
        )
    logged = (item_id, sortable(mark.at), mark.by, mark.why, _encoded(before), _encoded(after))
    connection.execute(
        "INSERT INTO changes (item_id, at, by, why, before, after) VALUES (?, ?, ?, ?, ?, ?)", logged
    )


def logged_change(row: tuple[int, str, str, str, str, str | None, str | None]) -> LoggedChange:
    """Return a row of the log."""
    seq, item_id, at, by, why, before, after = row
    return LoggedChange(
        seq=seq,
        item_id=item_id,
        at=datetime.fromisoformat(at),
        by=by,
        why=why,
        before=None if before is None else decoded(before),
        after=None if after is None else decoded(after),
    )


def sortable(moment: datetime) -> str:
    """Return a time as text whose order is that of times."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _encoded(state: ItemState | None) -> str | None:
    return None if state is None else msgspec.json.encode(state).decode()


def decoded(text: str) -> ItemState:
    """Return a state from its JSON."""
    return msgspec.json.decode(text, type=ItemState)
