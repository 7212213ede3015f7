"""Events and impressions written into `events.sqlite` as the intake has them, without a server."""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from recsys_assets.intake.events_database import Clock, open_events, utc_now
from recsys_assets.intake.rows import EventRow, ImpressionRow


def store(path: Path, rows: Iterable[EventRow | ImpressionRow], *, now: Clock = utc_now) -> None:
    """Write rows; the file and its tables are made where they are missing."""
    with closing(open_events(path, now=now)) as connection, connection:
        connection.execute("BEGIN IMMEDIATE")
        for row in rows:
            table = "events" if isinstance(row, EventRow) else "impressions"
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO {table} ({', '.join(row._fields)}) VALUES ({marks})", row)
