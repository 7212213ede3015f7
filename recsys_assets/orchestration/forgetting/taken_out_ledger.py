"""Users taken out of the ledger: of `quality.sqlite`, or of the tables on a server while others read them."""

from pathlib import Path
from typing import Any

from recsys_assets.orchestration.forgetting.taken_out_databases import take_out_of_database, without_in_cell
from recsys_assets.orchestration.forgetting.wanted_ids import WantedIds
from recsys_assets.quality.ledger_place import LedgerPlace
from recsys_assets.quality.postgres_ledger import PostgresLedger


def take_out_of_ledger(place: LedgerPlace, wanted: WantedIds) -> int:
    """Take users out of every table of a ledger, durably, and return the number of rows and cells.

    On a server the tables are written again without the old rows, whose pages are freed; what backups and archived
    logs of the server hold is its owner's to remove. A former `quality.sqlite` beside it is searched too.

    Profiles of days hold hashes only, and go when their day is rewritten.

    Args:
        place: the ledger.
        wanted: the users.

    Raises:
        DatabaseUnavailableError: the server does not answer.
        ForgetError: another process holds the file.
        sqlite3.Error: the file cannot be read or written.
    """
    if isinstance(place, Path):
        return take_out_of_database(place, wanted) if place.exists() else 0

    def without(cells: dict[str, Any]) -> tuple[dict[str, Any], int]:
        found = {name: without_in_cell(cell, name, wanted) for name, cell in cells.items()}
        new = {name: cell for name, (cell, number) in found.items() if number}
        return new, sum(number for _, number in found.values())

    with PostgresLedger(place) as ledger:
        changed = ledger.rewrite(without)
        if changed:
            ledger.compact()
    return changed + take_out_of_ledger(place.former, wanted)
