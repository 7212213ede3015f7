"""The event log of a home by its settings, for those who need it for a moment: landing, builds, commands.

Where `[events] backend` is `sqlite`, nothing here does anything: the file in the home is the log.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, Literal, TypeVar
from uuid import uuid4

from recsys_assets.intake.event_copy import EventCopy
from recsys_assets.intake.event_meaning import EventOptions
from recsys_assets.intake.events_database import microseconds
from recsys_assets.intake.log_entries import Landing, Prune
from recsys_assets.intake.server_log import is_outage, open_server_log
from recsys_assets.intake.shared_events import SharedEvents
from recsys_assets.intake.shared_upkeep import prune_shared, say_landed
from recsys_assets.intake.stored_events import prune
from recsys_assets.settings import load_or_default_settings
from recsys_assets.storage.atomic import make_folder, read_file, replace_file
from recsys_assets.storage.home import Home
from recsys_assets.storage.waiting import keep_trying, say_on_log

T = TypeVar("T")

_PATIENCE_SECONDS: Final = 3_600.0
_LAKE: Final = ".lake"
"""File with the name of the lake, in the folder of its events."""


def event_log_of(home: Home, options: EventOptions) -> SharedEvents | None:
    """Return the shared log of a home, not connected yet; None where the home's file is the log.

    Raises:
        InputError: the settings name no server that can be used, or its client is not installed.
    """
    server = open_server_log(options.events)
    if server is None:
        return None
    return SharedEvents(EventCopy(home.events_db, server, lock=home.lock("copy")))


@contextmanager
def opened_events(home: Home) -> Iterator[SharedEvents | None]:
    """Open the shared log of a home for the block; None where the home's file is the log.

    A home that only looks at another one's events (`planning/`) has a link to that one's file, and changes nothing.

    Raises:
        SettingsError: the settings are not valid.
    """
    shared = None if home.events_db.is_symlink() else event_log_of(home, EventOptions.of(home))
    try:
        yield shared
    finally:
        if shared is not None:
            shared.close()


def bring_events(home: Home) -> None:
    """Copy what the server has into `events.sqlite`.

    Raises:
        EventsUnavailableError: the server does not answer, or the file cannot be written.
    """
    with opened_events(home) as shared:
        if shared is not None:
            shared.copy.catch_up()


def wait_for_events(home: Home, say: Callable[[str], None]) -> None:
    """Copy what the server has, as soon as it answers; a line says what is waited for.

    Args:
        home: the home.
        say: called with the line, now and then.

    Raises:
        SettingsError: the settings are not valid.
        EventsUnavailableError: no answer for an hour, or something else than an outage.
    """
    with opened_events(home) as shared:
        if shared is not None:
            patiently(shared, shared.copy.catch_up, say=say)


def patiently(shared: SharedEvents, work: Callable[[], T], *, say: Callable[[str], None] = say_on_log) -> T:
    """Return the result of `work`, which is done again while the server does not answer.

    Args:
        shared: the log.
        work: may be done several times.
        say: called with a line on the wait, now and then.

    Raises:
        EventsUnavailableError: no answer for an hour, or something else than an outage.
    """
    name = shared.copy.log.shown
    return keep_trying(
        work,
        name=name,
        is_outage=is_outage,
        seconds=_PATIENCE_SECONDS,
        say=say,
        why=lambda error: str(error.__cause__),
    )


def prune_landed(
    home: Home,
    table: Literal["events", "impressions"],
    *,
    landed_through: int,
    received_before: datetime,
    stamped_before: int | None = None,
) -> int:
    """Remove rows that landed and are old from the intake, and return their number.

    Of a shared log they go where every lake has them.

    Args:
        home: the home.
        table: the table.
        landed_through: the greatest number of a row that is in the home's lake.
        received_before: remove rows that arrived earlier only.
        stamped_before: remove rows stamped earlier than this only, us since 1970.

    Raises:
        EventsUnavailableError: the server does not answer, or the file cannot be written.
    """
    prune_of = Prune(table, landed_through, microseconds(received_before), stamped_before)
    with opened_events(home) as shared:
        if shared is None:
            return prune(
                home.events_db,
                table,
                landed_through=landed_through,
                received_before=prune_of.received_before,
                stamped_before=stamped_before,
            )
        landing = Landing(_lake_name(home), table, landed_through)
        patiently(shared, lambda: say_landed(shared, landing))
        return patiently(shared, lambda: prune_shared(shared, prune_of))


def _lake_name(home: Home) -> str:
    """Return the name of a home's lake: the object store's, or a random one that is kept beside the lake's events."""
    root = load_or_default_settings(home).storage.root
    if root is not None:
        return root
    file = home.event_days / _LAKE
    try:
        return read_file(file).decode()
    except FileNotFoundError:
        name = uuid4().hex
        make_folder(file.parent)
        replace_file(file, name.encode())
        return name
