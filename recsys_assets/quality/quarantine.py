"""Write, audit, publish: a day becomes visible only when its audit does not block it.

A refused day goes to quarantine with its failing rows and the reasons; the file that was published before
stays as it is, and the other days go on. Where partitions lie is the store's matter, what a day must
satisfy the audit's.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Protocol

import msgspec
import polars as pl
import polars.selectors as cs

from recsys_assets.errors import QuarantineError
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.ledger import Acceptance, Ledger
from recsys_assets.storage.atomic import replace_file, replaced_file
from recsys_assets.storage.home import day_folder, days_under


def put_aside(quarantine: Path, day: date, frame: pl.DataFrame, blocking: list[CheckResult]) -> Path:
    """Keep a refused day: `<table>.parquet`, and (last) `<table>.json` with reasons and failing rows."""
    folder = day_folder(quarantine, day)
    table = blocking[0].table
    with replaced_file(folder / f"{table}.parquet") as staged:
        frame.write_parquet(staged, compression="zstd")
    reasons = {
        "table": table,
        "day": day,
        "rows": frame.height,
        "fingerprint": content_fingerprint(frame),
        "reasons": blocking,
    }
    content = msgspec.json.format(msgspec.json.encode(reasons), indent=2)
    replace_file(folder / f"{table}.json", content, durable=False)
    return folder


def content_fingerprint(frame: pl.DataFrame) -> str:
    """A digest of the frame's columns, types and rows in their order; the same in every process."""
    digest = hashlib.sha256(json.dumps([(name, str(dtype)) for name, dtype in frame.schema.items()]).encode())
    # physical: Python cannot hold the times of a broken day
    for row in frame.with_columns(cs.temporal().to_physical()).iter_rows():
        digest.update(repr(row).encode())
    return digest.hexdigest()


def clear(quarantine: Path, day: date, results: list[CheckResult]) -> None:
    """Drop what quarantine keeps of a day that has passed now."""
    folder = day_folder(quarantine, day)
    if not results or not folder.is_dir():
        return
    for suffix in ("json", "parquet"):
        (folder / f"{results[0].table}.{suffix}").unlink(missing_ok=True)
    if not any(folder.iterdir()):
        shutil.rmtree(folder)


class RefusedDay(msgspec.Struct, frozen=True, kw_only=True):
    """One table's refused delivery of one day, as publishing put it aside."""

    table: str
    """The table's name."""
    day: date
    """The partition."""
    rows: int
    """Rows of the delivery."""
    fingerprint: str
    """Of its content."""
    reasons: list[CheckResult]
    """The checks that blocked it, with failing rows."""


class AcceptingStore(Protocol):
    """A partition store that an accepted day is written to."""

    @property
    def schema(self) -> pl.Schema:
        """Columns and types that every file has at least."""

    def write(self, day: date, frame: pl.DataFrame) -> Path:
        """Replace `day`'s file by `frame`, atomically."""


def refused_days(quarantine: Path) -> list[RefusedDay]:
    """Everything in quarantine, by day and table."""
    folders = [day_folder(quarantine, day) for day in days_under(quarantine)]
    return [_read(note) for folder in folders for note in sorted(folder.glob("*.json"))]


def refused_day(quarantine: Path, day: date) -> list[RefusedDay]:
    """What is in quarantine of `day`, by table.

    Raises:
        QuarantineError: nothing is.
    """
    found = [_read(note) for note in sorted(day_folder(quarantine, day).glob("*.json"))]
    if not found:
        others = sorted({refused.day.isoformat() for refused in refused_days(quarantine)})
        known = f"; in quarantine are {', '.join(others[:5])}" if others else "; the quarantine is empty"
        raise QuarantineError(f"{day} is not in quarantine{known}: see `recsys quarantine list`")
    return found


def accept(
    quarantine: Path,
    day: date,
    *,
    stores: Mapping[str, AcceptingStore],
    ledger: Ledger,
    who: str,
    why: str,
    at: datetime,
) -> list[Acceptance]:
    """Publish what was refused of `day`, and keep who let it through, why and when.

    The acceptance covers this very content: delivered again unchanged it passes with a warning, anything else
    is judged anew.

    Args:
        quarantine: folder of refused days.
        day: the day.
        stores: table name -> where it is published.
        ledger: keeps the acceptance.
        who: the person.
        why: their reason, not empty.
        at: the time, UTC.

    Raises:
        QuarantineError: the day is not in quarantine, has not the table's columns, or no reason was given.
    """
    if not why.strip():
        raise QuarantineError("accepting a refused day needs a reason: --why TEXT")
    found = refused_day(quarantine, day)
    folder = day_folder(quarantine, day)
    frames = {refused.table: pl.read_parquet(folder / f"{refused.table}.parquet") for refused in found}
    for table, frame in frames.items():
        _require_columns(table, frame, stores, day)
    accepted = []
    for refused in found:
        acceptance = Acceptance(
            table=refused.table, day=day, fingerprint=refused.fingerprint, who=who, why=why, accepted_at=at
        )
        ledger.accept(acceptance)
        ledger.flush()
        stores[refused.table].write(day, frames[refused.table])
        accepted.append(acceptance)
    shutil.rmtree(folder)
    return accepted


def drop(quarantine: Path, day: date) -> list[RefusedDay]:
    """Forget what was refused of `day`; what was published before stays.

    Raises:
        QuarantineError: the day is not in quarantine.
    """
    found = refused_day(quarantine, day)
    shutil.rmtree(day_folder(quarantine, day))
    return found


def lineage_notes(ledger: Ledger) -> dict[date, list[str]]:
    """Day -> who let a refused delivery of it through, why and when: a part of a release's lineage."""
    notes: dict[date, list[str]] = {}
    for a in ledger.acceptances():
        line = f"{a.table}: accepted by {a.who} at {a.accepted_at.isoformat(timespec='seconds')}: {a.why}"
        notes.setdefault(a.day, []).append(line)
    return notes


def _read(note: Path) -> RefusedDay:
    try:
        return msgspec.json.decode(note.read_bytes(), type=RefusedDay)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise QuarantineError(f"{note} is not a quarantine note: {error}; remove its folder") from error


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
