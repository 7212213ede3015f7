"""The quarantine: rejected days with their reasons, and the two ways out: a person accepts or drops a day.

A day's folder has two files a table: `<table>.parquet`, the rejected rows, and `<table>.json`, the reasons
with failing rows. A delivery that was there when the published rows were recalled lies in `waiting/` until those are
accepted or dropped. No other module knows that layout.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Final, Protocol

import msgspec
import polars as pl
import polars.selectors as cs

from recsys_assets import columns
from recsys_assets.errors import QuarantineError
from recsys_assets.quality.check_ledger import Acceptance, CheckLedger
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.row_account import RowAccount
from recsys_assets.storage.atomic import remove_file, remove_folder, replace_file, replaced_file
from recsys_assets.storage.day_folders import day_folder, days_under


class RejectedDay(msgspec.Struct, frozen=True, kw_only=True):
    """One table's rejected delivery of one day."""

    table: str
    """The table's name."""
    day: date
    """The partition."""
    rows: int
    """Rows of the delivery."""
    fingerprint: str
    """Its `content_fingerprint`."""
    reasons: list[CheckResult]
    """The checks that blocked it, with failing rows."""
    account: RowAccount | None = None
    """Account of the rows that the delivery was made from; None of a table that is landed as it came."""


class AcceptingStore(Protocol):
    """A partition store that an accepted day is written to."""

    @property
    def schema(self) -> pl.Schema:
        """Columns and types that every file has at least."""

    def write(self, day: date, frame: pl.DataFrame) -> Path:
        """Replace `day`'s file by `frame`, atomically."""

    def settle(self) -> None:
        """Wait until every file that was written is on the disk."""


def content_fingerprint(frame: pl.DataFrame) -> str:
    """Return the SHA-256 of a frame's columns, types and rows in their order; the same in every process.

    A `kind` that is always null is left out: days were accepted before the column was there.
    """
    if columns.KIND in frame.columns and frame[columns.KIND].null_count() == frame.height:
        frame = frame.drop(columns.KIND)
    digest = hashlib.sha256(json.dumps([(name, str(dtype)) for name, dtype in frame.schema.items()]).encode())
    # physical: Python cannot hold the times of a broken day
    for row in frame.with_columns(cs.temporal().to_physical()).iter_rows():
        digest.update(repr(row).encode())
    return digest.hexdigest()


def quarantine_day(
    quarantine: Path,
    day: date,
    frame: pl.DataFrame,
    blocking: list[CheckResult],
    *,
    account: RowAccount | None = None,
    recalled: bool = False,
) -> None:
    """Keep a rejected day with the results that blocked it; reasons are only there beside the rows that they are of.

    It replaces the delivery that is there; recalled rows, which were published, keep it for after them.

    Args:
        quarantine: folder of rejected days.
        day: the day.
        frame: its rows.
        blocking: at least one result, all of the same table.
        account: the account of the rows that `frame` was made from.
        recalled: the rows were published, and are recalled.
    """
    folder, table = day_folder(quarantine, day), blocking[0].table
    if recalled:
        _set_waiting(folder, table)
    else:
        _remove(folder / _WAITING, table)
    remove_file(folder / f"{table}.json")
    with replaced_file(folder / f"{table}.parquet") as staged:
        frame.write_parquet(staged, compression="zstd")
    rejected = RejectedDay(
        table=table,
        day=day,
        rows=frame.height,
        fingerprint=content_fingerprint(frame),
        reasons=blocking,
        account=account,
    )
    content = msgspec.json.format(msgspec.json.encode(rejected), indent=2)
    replace_file(folder / f"{table}.json", content)


_WAITING: Final = "waiting"
RECALLED: Final = "recalled"
"""Check of a day whose rows were found to be bad after they had been published."""


def recalled_result(table: str, day: date, why: str) -> CheckResult:
    """Return the result that blocks recalled rows."""
    return CheckResult(table=table, day=day, check=RECALLED, verdict="block", detail=why)


def end_quarantine(quarantine: Path, day: date, *, table: str, by_hand: bool = False) -> None:
    """Remove what is kept of a table's day: a later delivery of it passed, or a person accepted or dropped it.

    By hand only that one ends; a delivery that waited behind it is in its place then.
    """
    folder = day_folder(quarantine, day)
    if not by_hand:
        _remove(folder / _WAITING, table)
    _remove(folder, table)
    _move(folder / _WAITING, folder, table)


def _set_waiting(folder: Path, table: str) -> None:
    """Let the delivery that is there wait behind recalled rows, unless it was recalled itself."""
    note = folder / f"{table}.json"
    if note.exists() and all(one.check != RECALLED for one in _read(note).reasons):
        _move(folder, folder / _WAITING, table)


def _remove(folder: Path, table: str) -> None:
    """Remove a delivery, its note first: a note has its rows beside it, wherever this is cut short."""
    if not folder.is_dir():
        return
    for suffix in ("json", "parquet"):
        remove_file(folder / f"{table}.{suffix}")
    if not any(folder.iterdir()):
        remove_folder(folder)


def _move(source: Path, target: Path, table: str) -> None:
    """Move a delivery that is there; cut short, its note is still where it was, or in both places with its rows."""
    if (source / f"{table}.json").exists():
        for name in (f"{table}.parquet", f"{table}.json"):
            replace_file(target / name, (source / name).read_bytes())
        _remove(source, table)


def rejected_days(quarantine: Path) -> list[RejectedDay]:
    """List everything in quarantine, by day and table."""
    return [found for day in days_under(quarantine) for found in _read_day(quarantine, day)]


def rejected_on(quarantine: Path, day: date) -> list[RejectedDay]:
    """List what is in quarantine of one day, by table.

    Raises:
        QuarantineError: nothing is.
    """
    found = _read_day(quarantine, day)
    if not found:
        others = sorted({rejected.day.isoformat() for rejected in rejected_days(quarantine)})
        known = f"; in quarantine are {', '.join(others[:5])}" if others else "; the quarantine is empty"
        raise QuarantineError(f"{day} is not in quarantine{known}: see `recsys quarantine list`")
    return found


def require_reason(why: str) -> None:
    """Raise QuarantineError where a decision is without a reason."""
    if not why.strip():
        raise QuarantineError("accepting a rejected day needs a reason: --why TEXT")


def accept_day(
    quarantine: Path,
    day: date,
    *,
    stores: Mapping[str, AcceptingStore],
    ledger: CheckLedger,
    who: str,
    why: str,
    at: datetime,
    as_normal: bool = False,
) -> list[Acceptance]:
    """Publish the rejected deliveries of a day, and record who accepted them, why and when.

    The acceptance covers this very content: delivered again unchanged it passes with a warning, anything else
    is audited as usual. The day stays an exception: the next one like it is rejected too, unless `as_normal`.

    Args:
        quarantine: folder of rejected days.
        day: the day.
        stores: table name -> where it is published.
        ledger: keeps the acceptance.
        who: the person.
        why: their reason, not empty.
        at: the time, UTC.
        as_normal: later days are compared with this one; False keeps it out of their history.

    Raises:
        QuarantineError: the day is not in quarantine, lacks columns of the table, or no reason was given.
    """
    require_reason(why)
    found = rejected_on(quarantine, day)
    folder = day_folder(quarantine, day)
    frames = {rejected.table: _rows_of(rejected, folder) for rejected in found}
    for table, frame in frames.items():
        _require_columns(table, frame, stores, day)
    accepted = []
    order = list(stores)  # a table before those that are made from it
    for rejected in sorted(found, key=lambda one: order.index(one.table)):
        acceptance = Acceptance(
            table=rejected.table,
            day=day,
            fingerprint=rejected.fingerprint,
            who=who,
            why=why,
            accepted_at=at,
            as_normal=as_normal,
        )
        ledger.accept(acceptance)
        ledger.forget_profile(rejected.table, day)
        ledger.flush()
        stores[rejected.table].write(day, frames[rejected.table])
        stores[rejected.table].settle()
        if rejected.account is not None:
            ledger.put_account(day, rejected.account)
            ledger.flush()
        accepted.append(acceptance)
        end_quarantine(quarantine, day, table=rejected.table, by_hand=True)
    return accepted


def drop_day(quarantine: Path, day: date) -> list[RejectedDay]:
    """Remove the rejected deliveries of a day, and return their notes; what was published before stays.

    Raises:
        QuarantineError: the day is not in quarantine.
    """
    found = rejected_on(quarantine, day)
    for rejected in found:
        end_quarantine(quarantine, day, table=rejected.table, by_hand=True)
    return found


def lineage_notes(ledger: CheckLedger) -> dict[date, list[str]]:
    """Return day -> who accepted a rejected delivery of it, when and why; a part of a release's lineage."""
    notes: dict[date, list[str]] = {}
    for a in ledger.acceptances():
        line = f"{a.table}: accepted by {a.who} at {a.accepted_at.isoformat(timespec='seconds')}: {a.why}"
        notes.setdefault(a.day, []).append(line)
    return notes


def _read_day(quarantine: Path, day: date) -> list[RejectedDay]:
    return [_read(note) for note in sorted(day_folder(quarantine, day).glob("*.json"))]


def _read(note: Path) -> RejectedDay:
    try:
        return msgspec.json.decode(note.read_bytes(), type=RejectedDay)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise QuarantineError(f"{note} is not a quarantine note: {error}; remove its folder") from error


def _rows_of(rejected: RejectedDay, folder: Path) -> pl.DataFrame:
    file = folder / f"{rejected.table}.parquet"
    try:
        return pl.read_parquet(file)
    except (FileNotFoundError, pl.exceptions.PolarsError) as error:
        raise QuarantineError(
            f"{file}: the rejected rows are missing or damaged ({error}); land {rejected.day} again, or drop it"
        ) from error


def _require_columns(
    table: str, frame: pl.DataFrame, stores: Mapping[str, AcceptingStore], day: date
) -> None:
    if table not in stores:
        raise QuarantineError(f"{day}: nobody knows where table {table} is published")
    wrong = [
        f"{name} ({dtype})" for name, dtype in stores[table].schema.items() if frame.schema.get(name) != dtype
    ]
    if wrong:
        raise QuarantineError(
            f"{day}: {table} cannot be accepted without its columns {', '.join(wrong)}; "
            "mend the source and land it again"
        )
