"""The days of a home move on with its events by HTTP: events taken into the lake, and partitions for their days."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from recsys_assets.lake.event_days import TakenEvents, event_days, event_store, take_events
from recsys_assets.settings import Settings, load_settings
from recsys_assets.storage.home import Home
from recsys_assets.storage.settings_file import write_section


def last_day_to_take(settings: Settings, now: datetime) -> date:
    """Return the last day whose events are taken: today, or yesterday where `land_minutes` is 0.

    Args:
        settings: the home's.
        now: the time, UTC. Days begin and end in UTC, whatever the zone of the machine.
    """
    return now.date() if settings.events.land_minutes else now.date() - timedelta(days=1)


def last_day_due(home: Home, settings: Settings, now: datetime) -> date:
    """Return the last day whose events a sensor takes now: the open day is due every `land_minutes`.

    Args:
        home: the home.
        settings: its settings.
        now: the time, UTC.
    """
    last = last_day_to_take(settings, now)
    file = event_store(home).path(last)
    if last < now.date() or not file.exists():
        return last
    taken = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    is_due = now - taken >= timedelta(minutes=settings.events.land_minutes)
    return last if is_due else last - timedelta(days=1)


def follow_events(home: Home, settings: Settings, *, through: date) -> tuple[Settings, TakenEvents]:
    """Take the intake's newer events into `lake/events`, and return the settings in force then, and the events.

    Days with events after the last day become partitions: `last_day` moves on to the newest of them, for the embedded
    default too, which then gets a settings file. The days in between that have no event are not landed. The first day
    stays: events before it are kept in `lake/events`, and counted as `outside_range`.

    Args:
        home: the home; the caller holds its build lock, or is its sensor.
        settings: its settings now.
        through: the last day to take.

    Raises:
        EventsUnavailableError: the intake cannot be read.
    """
    taken = take_events(home, through=through)
    newest = max(event_days(home), default=settings.source.last_day)
    return extend_days(home, settings, newest), taken


def extend_days(home: Home, settings: Settings, last: date) -> Settings:
    """Make the days up to `last` partitions, where they are not yet, and return the settings in force then.

    Those after the source's last day are landed only if they have events.
    """
    source = settings.source
    if last <= source.last_day:
        return settings
    days: dict[str, Any] = {"last_day": last, "rows_to": source.own_last_day}
    if not home.settings_file.exists():
        days |= {"spec": source.spec, "first_day": source.first_day}
    note = f"The source has rows to {source.own_last_day}; `recsys land --events` moved the last day on with events."
    write_section(home.settings_file, Settings, "source", days, note=note)
    return load_settings(home)
