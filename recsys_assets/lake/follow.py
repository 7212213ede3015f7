"""Following a source that grows: when its files changed, the last day in `recsys.toml` moves on with it."""

from recsys_assets.lake.setup import initialise
from recsys_assets.lake.sources.registry import open_source
from recsys_assets.settings import Settings
from recsys_assets.storage.home import Home


def follow_source(home: Home, settings: Settings, *, seen: str | None) -> Settings:
    """Look at the source's days again where its files are not as `seen`, and write down a later last day.

    Args:
        home: whose `recsys.toml` is moved on.
        settings: as they are now.
        seen: the source's fingerprint at the last look; None where nobody looked yet.

    Returns:
        The settings in force now; those given where `recsys.toml` does not follow its source, is not there,
        or nothing changed.

    Raises:
        InputError: the source cannot be read.
    """
    given = settings.source
    source = open_source(given.spec, columns=given.columns)
    if not given.follow or not home.settings_file.exists() or source.fingerprint() == seen:
        return settings
    if source.date_range().last_day <= given.last_day:
        return settings
    return initialise(home, given.spec, columns=given.columns)
