"""Events and impressions written into `events.sqlite` as the intake has them, without a server."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from recsys_assets.intake.rows import EventRow, ImpressionRow

_TABLES = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL UNIQUE, user_id TEXT NOT NULL, item_id TEXT NOT NULL,
    kind TEXT NOT NULL, timestamp INTEGER NOT NULL, received_at INTEGER NOT NULL, rating REAL, quantity REAL,
    value REAL, answer_id TEXT
);
CREATE INDEX IF NOT EXISTS events_of_user ON events (user_id, timestamp);
CREATE TABLE IF NOT EXISTS impressions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, answer_id TEXT NOT NULL, item_id TEXT NOT NULL, position INTEGER NOT NULL,
    user_id TEXT, timestamp INTEGER NOT NULL, received_at INTEGER NOT NULL, UNIQUE (answer_id, item_id)
);
CREATE INDEX IF NOT EXISTS impressions_of_user ON impressions (user_id, timestamp);
"""


def store(path: Path, rows: Iterable[EventRow | ImpressionRow]) -> None:
    """Write rows; the file and its tables are made where they are missing."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(_TABLES)
        for row in rows:
            table = "events" if isinstance(row, EventRow) else "impressions"
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO {table} ({', '.join(row._fields)}) VALUES ({marks})", row)
