"""Events as the API stores them, for tests of their way into the lake."""

from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime

from recsys_assets.event_settings import EventsSettings
from recsys_assets.intake.event_store import Intake
from recsys_assets.intake.events_database import microseconds
from recsys_assets.intake.rows import EventRow
from recsys_assets.storage.home import Home

ARRIVED = datetime(2024, 2, 1, tzinfo=UTC)


def event(
    number: int,
    at: datetime,
    *,
    user: str = "u1",
    item: str = "i1",
    kind: str = "view",
    arrived: datetime = ARRIVED,
) -> EventRow:
    """An event whose id is its number."""
    return EventRow(f"e{number}", user, item, kind, microseconds(at), microseconds(arrived))


def store(home: Home, rows: Iterable[EventRow]) -> None:
    """Store events in the home's intake, as a worker of the API does."""
    with closing(Intake(home.events_db, EventsSettings(group_ms=0), now=lambda: ARRIVED)) as intake:
        intake.submit(list(rows)).result()


def on(day: int, hour: int = 10, minute: int = 0, second: int = 0) -> datetime:
    """A time in January 2024."""
    return datetime(2024, 1, day, hour, minute, second, tzinfo=UTC)
