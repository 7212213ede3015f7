"""The records of a home that leaves its object store, as those of a home of its own: Dagster's history, and the ledger.

With a store the files themselves say what was made, whichever machine did; without one Dagster's history does.
"""

from typing import Final

from recsys_assets.orchestration.repair.recorded_again import record_made
from recsys_assets.quality.ledger_place import PostgresPlace, place_by_settings
from recsys_assets.quality.open_ledger import copy_ledger
from recsys_assets.settings import Settings
from recsys_assets.storage.atomic import put_in_place, remove_file
from recsys_assets.storage.home import Home

_WHY: Final = "made while this home had an object store"


def keep_own_records(home: Home, settings: Settings) -> None:
    """Have Dagster know what other machines made, and the ledger what was recorded under the store's name.

    A ledger on a server is in a schema named after the store, unless its URL names one. A home of its own has another
    schema, which takes over `quality.sqlite` when it is made: so the ledger is copied into that.

    Args:
        home: the home, whose lock the caller holds, with all of its store.
        settings: its settings, which still name the store.

    Raises:
        DatabaseUnavailableError: the ledger's server does not answer.
        SettingsError: the storage of Dagster or the ledger cannot be used.
    """
    record_made(home, settings, why=_WHY)
    ledger = place_by_settings(home, settings)
    if not isinstance(ledger, PostgresPlace) or ledger.owner is None:
        return
    copied = home.copy / home.quality_db.name
    remove_file(copied)
    copy_ledger(ledger, copied)
    if copied.exists():
        for suffix in ("-wal", "-shm"):
            remove_file(home.quality_db.with_name(home.quality_db.name + suffix))
        put_in_place(copied, home.quality_db)
