"""Forget users in what the audits keep: rejected days, results with failing rows, and the accounts of rows.

A decision about rows is kept by their fingerprint. Rows without the user have another one, and the decision follows.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import polars as pl

from recsys_assets.errors import DatabaseUnavailableError
from recsys_assets.orchestration.forgetting.taken_out_files import take_out_of_file
from recsys_assets.orchestration.forgetting.taken_out_ledger import take_out_of_ledger
from recsys_assets.orchestration.forgetting.wanted_ids import WantedIds
from recsys_assets.quality.ledger_place import has_ledger, ledger_place
from recsys_assets.quality.open_ledger import open_ledger
from recsys_assets.quality.quarantine import RejectedDay, content_fingerprint
from recsys_assets.release.current import follow_recalled
from recsys_assets.release.release_store import MOVING
from recsys_assets.storage.atomic import replace_file
from recsys_assets.storage.forgotten import StepResult
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import locked


def forget_in_quarantine(home: Home, ids: frozenset[str], *, number: int) -> StepResult:
    """Take the users' rows out of every rejected day, and out of the failing rows that its note shows.

    The rows go first, then the decisions about them follow, then the note: cut short, the next run goes on from there.
    """
    wanted, rows, days = WantedIds(ids), 0, 0
    for note in sorted(home.quarantine.rglob("*.json")):
        file = note.with_suffix(".parquet")
        changed = take_out_of_file(file, wanted) if file.exists() else 0
        changed += _follow_rows(home, note, file) if file.exists() else 0
        changed += take_out_of_file(note, wanted)
        rows, days = rows + changed, days + bool(changed)
    detail = f"{rows:,} rows and notes on {days:,} rejected days (forget #{number})" if rows else ""
    return StepResult(step="quarantine", detail=detail, changed=rows)


def forget_in_quality(home: Home, ids: frozenset[str], *, number: int) -> StepResult:
    """Take the users out of the ledger and the accounts of rows; the counts of failing rows stay as they were."""
    wanted, changed, unfinished = WantedIds(ids), 0, ""
    try:
        changed += take_out_of_ledger(ledger_place(home), wanted)
    except DatabaseUnavailableError as error:
        unfinished = str(error)
    for file in (home.row_account, home.source_account):
        changed += take_out_of_file(file, wanted) if file.exists() else 0
    detail = f"{changed:,} failing rows and examples (forget #{number})" if changed else ""
    return StepResult(step="quality", detail=detail, changed=changed, unfinished=unfinished)


def follow_fingerprints(home: Home, new: Mapping[str, str]) -> None:
    """Let what was decided about rows hold for the same rows without the users.

    Args:
        home: the home.
        new: `content_fingerprint` of the rows before -> that of the rows that are left.

    Raises:
        OSError, sqlite3.Error: a record cannot be read or written.
    """
    moved = {before: after for before, after in new.items() if before != after}
    if not moved:
        return
    if has_ledger(home):
        with open_ledger(home) as ledger:
            ledger.follow_fingerprints(moved)
    with locked(home.releases / MOVING):
        follow_recalled(home.releases, moved)


def _follow_rows(home: Home, note: Path, file: Path) -> int:
    """Bring a note's number of rows and fingerprint up to date with its rows; return 1 where they were others."""
    rejected = msgspec.json.decode(note.read_bytes(), type=RejectedDay)
    frame = pl.read_parquet(file, hive_partitioning=False)
    if frame.height == rejected.rows:
        return 0
    found = content_fingerprint(frame)
    follow_fingerprints(home, {rejected.fingerprint: found})
    new = msgspec.structs.replace(rejected, rows=frame.height, fingerprint=found)
    replace_file(note, msgspec.json.format(msgspec.json.encode(new), indent=2))
    return 1
