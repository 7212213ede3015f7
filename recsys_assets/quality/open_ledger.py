"""A home's ledger, opened in the form that its settings name."""

from pathlib import Path

from recsys_assets.quality.check_ledger import CheckLedger
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.ledger_place import LedgerPlace, PostgresPlace, ledger_place
from recsys_assets.quality.ledger_server import PATIENCE_SECONDS, LedgerServer
from recsys_assets.quality.postgres_ledger import PostgresLedger
from recsys_assets.storage.home import Home
from recsys_assets.storage.sqlite_space import bytes_of, compact
from recsys_assets.storage.waiting import Say, say_on_log


def open_ledger(home: Home, *, reading: bool = False) -> CheckLedger:
    """Open the ledger of a home; create it where it is missing.

    Args:
        home: the home.
        reading: one that cannot be written is no error.

    Raises:
        DatabaseUnavailableError: the server of `[ledger] postgres` gives no answer for a minute.
        SettingsError: the settings, or the server of `[ledger] postgres`, cannot be used.
    """
    return open_at(ledger_place(home), reading=reading)


def open_at(
    place: LedgerPlace, *, reading: bool = False, seconds: float = PATIENCE_SECONDS, say: Say = say_on_log
) -> CheckLedger:
    """Open the ledger at a place; create it where it is missing.

    Args:
        place: a file, or a schema on a server.
        reading: one that cannot be written is no error.
        seconds: longest wait for a server that does not answer.
        say: is given a line while it waits.

    Raises:
        DatabaseUnavailableError, SettingsError: as `open_ledger`.
    """
    if isinstance(place, Path):
        return Ledger(place, reading=reading)
    return PostgresLedger(place, seconds=seconds, say=say)


def copy_ledger(place: LedgerPlace, copy: Path) -> None:
    """Write what a ledger has into a new file of SQLite; nothing is made at the place, and no file where it has none.

    Raises:
        DatabaseUnavailableError, SettingsError: as `open_ledger`.
    """
    if isinstance(place, PostgresPlace):
        with LedgerServer(place) as server:
            made = server.has_tables()
        if not made:  # the first build makes them from the former file
            place = place.former
    if not isinstance(place, Path) or place.is_file():
        with open_at(place, reading=True) as ledger:
            ledger.copy_to(copy)


def ledger_bytes(place: LedgerPlace) -> int:
    """Return the bytes that a ledger takes, on this disk or on the server's."""
    if isinstance(place, Path):
        return bytes_of(place)
    with PostgresLedger(place) as ledger:
        return ledger.size()


def compact_ledger(place: LedgerPlace) -> None:
    """Give the pages of removed rows back, where they are many and nobody else uses the ledger."""
    if isinstance(place, Path):
        compact(place)
        return
    with PostgresLedger(place) as ledger:
        ledger.compact()
