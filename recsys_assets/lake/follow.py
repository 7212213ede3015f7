"""A source that grows: its days are counted again where its files changed, and the last day moves on."""

from datetime import UTC, date, datetime

from recsys_assets.lake.initialise import read_counts, write_source
from recsys_assets.lake.sources.date_range import choose_range
from recsys_assets.lake.sources.registry import source_of
from recsys_assets.settings import Settings, load_settings
from recsys_assets.storage.home import Home


def follow_source(
    home: Home, settings: Settings, *, seen: str | None, read_on: date | None = None
) -> Settings:
    """Read the source's days again where its files are not as `seen`, and write a later last day.

    The first day stays, and the last one is never moved back: every day that was a partition remains one.

    Args:
        home: the home of the `recsys.toml` to change.
        settings: its settings now.
        seen: the source's fingerprint when it was read last; None where it was not.
        read_on: today, UTC; None reads the clock.

    Returns:
        The settings in force now; the given ones where `recsys.toml` is missing or does not follow its source,
        or nothing changed.

    Raises:
        InputError: the source cannot be read.
    """
    given = settings.source
    source = source_of(given)
    if not given.follow or not home.settings_file.exists() or source.fingerprint() == seen:
        return settings
    survey, name = read_counts(given.spec, given.columns)
    found = choose_range(survey.rows, name=name, read_on=read_on or datetime.now(UTC).date())
    if found.last_day <= given.last_day:
        return settings
    write_source(home, {"first_day": given.first_day, "last_day": found.last_day}, survey.rows)
    return load_settings(home)
