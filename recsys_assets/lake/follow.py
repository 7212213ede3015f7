"""A source that grows: its days are counted again where its files changed, and the last day moves on."""

from collections import deque
from datetime import UTC, date, datetime

from recsys_assets.lake.initialise import write_source
from recsys_assets.lake.source_days import DaysReading, SourceDays
from recsys_assets.lake.sources.date_range import choose_range
from recsys_assets.lake.sources.registry import source_of
from recsys_assets.settings import Settings
from recsys_assets.storage.home import Home


def follow_source(home: Home, settings: Settings, *, read_on: date | None = None) -> Settings:
    """Count the source's days again where its files changed, and write a later last day.

    The first day stays, and the last one is never moved back: every day that was a partition remains one.

    Args:
        home: the home of the `recsys.toml` to change.
        settings: its settings now.
        read_on: today, UTC; None reads the clock.

    Returns:
        The settings in force now; the given ones where `recsys.toml` is missing or does not follow its source,
        or nothing changed.

    Raises:
        InputError: the source cannot be read.
    """
    given = settings.source
    if not given.follow or not home.settings_file.exists():
        return settings
    source = source_of(given)
    reading = DaysReading(source, before=SourceDays.load(home, given))
    if not reading.is_new:
        return settings
    deque(reading.batches(), maxlen=0)
    counted = reading.result()
    today = read_on or datetime.now(UTC).date()
    found = choose_range(counted.rows, name=str(source.files()[0]), read_on=today)
    last_day = max(found.last_day, given.last_day)
    return write_source(home, {"first_day": given.first_day, "last_day": last_day}, counted)
