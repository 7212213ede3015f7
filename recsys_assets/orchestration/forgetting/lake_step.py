"""Forgetting users in the lake: raw days and their earlier versions, interactions, returns, events and impressions.

A raw day keeps what it was landed from, and says which forget rewrote it: it is as it would land again, since landing
leaves the users out. What was fresh stays fresh; what was stale stays stale.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final

import msgspec
import polars as pl

from recsys_assets.drift.seen_snapshot import SNAPSHOT_FILE
from recsys_assets.interactions.cleaning import clean_days
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.event_rows import ADDED_KEY, IN_SOURCE_KEY, events_in
from recsys_assets.lake.forgotten_rows import LeftOutRows, is_of
from recsys_assets.lake.home_account import write_home_account
from recsys_assets.lake.raw_returns import note_of_returns
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.forgetting.changed_files import OF_USERS, daily_tables, name_of, planned
from recsys_assets.orchestration.repair.made_artifacts import forget_inputs
from recsys_assets.quality.ledger_place import has_ledger
from recsys_assets.quality.open_ledger import open_ledger
from recsys_assets.release.current import read_recalled, record_recalled
from recsys_assets.release.release_store import MOVING
from recsys_assets.settings import Settings, load_or_default_settings
from recsys_assets.storage.atomic import remove_file
from recsys_assets.storage.day_frames import file_content
from recsys_assets.storage.day_journal import sealed, without_checksums
from recsys_assets.storage.day_versions import DayVersion, DayVersions
from recsys_assets.storage.forgotten import StepResult
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import locked
from recsys_assets.storage.partition_store import PartitionStore

LAKE: Final = "lake"


def forget_in_lake(home: Home, ids: frozenset[str], *, number: int) -> StepResult:
    """Remove the users' rows from every daily table and from the returns; see `ForgetStep`."""
    changes, settings = planned(home, ids, number=number), load_or_default_settings(home)
    raw, cleaned = name_of(home, home.raw), name_of(home, home.interactions)
    removed = _rewrite_versions(home, ids, changes.versions, number)
    removed += _rewrite_raw(home, ids, changes.tables[raw], number)
    _forget_drift(home, changes.tables[raw])
    _forget_returns(home, ids)
    again = changes.fresh_days & (changes.tables[raw].keys() | changes.tables[cleaned].keys())
    _clean_again(home, settings, sorted(again))
    for folder in daily_tables(home)[1:]:
        days = changes.tables[name_of(home, folder)].keys() - (
            again if folder == home.interactions else set()
        )
        removed += _rewrite_others(folder, ids, sorted(days))
    _rename_recalled(home, changes.tables[cleaned])
    if has_ledger(home):
        write_home_account(home, settings.source)
    days = {day for of_table in changes.tables.values() for day in of_table} | changes.versions.keys()
    note = (
        f"{len(days):,} days rewritten, {len(changes.versions):,} of them in earlier versions too; the source is not "
        "changed, and rows of before never land again"
    )
    return StepResult(step=LAKE, detail=f"{removed:,} rows removed; {note}" if days else "", changed=removed)


def now_named(folder: Path, before: Mapping[date, str]) -> dict[tuple[date, str], str]:
    """Return day and checksum of each rewritten file before -> its checksum now."""
    files = PartitionStore(root=folder, schema=OF_USERS).files()
    return {(day, checksum): files[day].checksum for day, checksum in before.items() if day in files}


def _said_now(
    frame: pl.DataFrame, ids: frozenset[str], given: Mapping[str, str], *, number: int, events: int
) -> dict[str, str]:
    """Return the metadata of a raw day without the users: rows of the source that it lacks, and events by HTTP.

    Args:
        frame: its rows before; events by HTTP are the last ones.
        ids: the users.
        given: its metadata before.
        number: of the forget.
        events: rows of the users among the day's events; the source may have some of them.
    """
    counts = events_in(given)
    gone = frame.select(is_of(ids)).to_series()
    rows = int(gone.head(frame.height - counts.added).sum())
    added = int(gone.sum()) - rows
    found = {**without_checksums(given), **LeftOutRows.of(given).plus(rows, [number]).provenance}
    if added or events:
        found[ADDED_KEY] = str(counts.added - added)
        found[IN_SOURCE_KEY] = str(max(0, counts.in_source - max(0, events - added)))
    return found


def _events_on(home: Home, day: date, ids: frozenset[str]) -> int:
    """Return the number of the users' events by HTTP on a day."""
    store = PartitionStore(root=home.event_days, schema=OF_USERS)
    if store.file(day) is None:
        return 0
    return int(store.scan([day]).select(is_of(ids).sum()).collect().item())


def _rewrite_raw(home: Home, ids: frozenset[str], before: Mapping[date, str], number: int) -> int:
    """Rewrite raw days, and have the record of landings name the new files; return the rows removed."""
    provenance: dict[date, dict[str, str]] = {}
    store = replace(
        Inputs(home, load_or_default_settings(home)).raw_store,
        provenance=provenance.__getitem__,
        versions=None,
    )
    removed = 0
    for day in before:
        file = store.file(day)
        if file is None or file.rows is None:
            continue
        frame = pl.read_parquet(store.path(day), hive_partitioning=False, glob=False)
        kept = frame.filter(~is_of(ids))
        if kept.height == frame.height:
            continue  # it was rewritten before a kill
        provenance[day] = _said_now(
            frame, ids, file.provenance, number=number, events=_events_on(home, day, ids)
        )
        store.write(day, kept)
        removed += frame.height - kept.height
    store.settle()
    DayVersions(root=home.versions).rename(now_named(home.raw, before))
    return removed


def _rewrite_versions(
    home: Home, ids: frozenset[str], before: Mapping[date, Iterable[str]], number: int
) -> int:
    versions = DayVersions(root=home.versions)
    removed, names = 0, {}
    for day, of_day in before.items():
        known = {one.path.name: one for one in versions.of_day(day)}
        for name in of_day:
            times, checksum = name.rsplit("-", 1)
            if name in known:
                removed += _rewrite_version(versions, known[name], ids, number)
            new = next(one for one in versions.of_day(day) if one.path.name.startswith(times))
            names[day, checksum.removesuffix(".parquet")] = new.checksum
    versions.rename(names)
    return removed


def _rewrite_version(versions: DayVersions, version: DayVersion, ids: frozenset[str], number: int) -> int:
    frame = pl.read_parquet(version.path, hive_partitioning=False, glob=False)
    given = pl.read_parquet_metadata(version.path)
    given.pop("ARROW:schema", None)
    kept = frame.filter(~is_of(ids))
    provenance = {**_said_now(frame, ids, given, number=number, events=0), **note_of_returns(kept)}
    content, _ = sealed(*file_content(kept, provenance))
    versions.rewrite(version, content)
    return frame.height - kept.height


def _forget_drift(home: Home, days: Iterable[date]) -> None:
    """Remove what was measured of rewritten raw days, where users have hashes; the next landing measures it again."""
    if rewritten := list(days):
        remove_file(home.raw / SNAPSHOT_FILE)
        with open_ledger(home) as ledger:
            for day in rewritten:
                ledger.forget_profile(RAW_INTERACTIONS.name, day)
            ledger.flush()


def _forget_returns(home: Home, ids: frozenset[str]) -> None:
    """Remove the returns that were matched, where the users have any; they are matched again where they are needed."""
    with suppress(FileNotFoundError):
        if pl.read_parquet(home.taken_off, columns=["user_id"]).select(is_of(ids).any()).item():
            forget_inputs(home.taken_off)
            remove_file(home.taken_off)


def _clean_again(home: Home, settings: Settings, days: list[date]) -> None:
    """Clean rewritten raw days as a build does, but for the audit: rows that passed it still do."""
    inputs = Inputs(home, settings)
    store = PartitionStore(
        root=home.interactions, schema=INTERACTIONS.polars_schema(), provenance=inputs.cleaning
    )
    if not days:
        return
    with open_ledger(home) as ledger:
        for chunk in inputs.raw_store.read_chunks(days, every_column=True):
            found = clean_days(chunk, rule=inputs.wish_rule, rows=inputs.row_rule, taken_off=inputs.taken_off)
            for (day, _), one in zip(chunk, found, strict=True):
                store.write(day, one.frame)
                ledger.put_account(day, one.account)
        store.settle()
        ledger.flush()


def _rewrite_others(folder: Path, ids: frozenset[str], days: list[date]) -> int:
    """Rewrite days of another table; they keep all that they say of their inputs."""
    provenance: dict[date, dict[str, str]] = {}
    store = PartitionStore(root=folder, schema=OF_USERS, provenance=provenance.__getitem__)
    removed = 0
    for day in days:
        file = store.file(day)
        if file is None or file.rows is None:
            continue
        frame = pl.read_parquet(store.path(day), hive_partitioning=False, glob=False)
        kept = frame.filter(~is_of(ids))
        if kept.height < frame.height:
            provenance[day] = without_checksums(file.provenance)
            store.write(day, kept)
            removed += frame.height - kept.height
    store.settle()
    return removed


def _rename_recalled(home: Home, before: Mapping[date, str]) -> None:
    """Record a recalled version of a rewritten day under its new checksum too."""
    now = now_named(home.interactions, before)
    if not any((one.day, one.checksum) in now for one in read_recalled(home.releases)):
        return
    with locked(home.releases / MOVING):
        record_recalled(
            home.releases,
            [
                msgspec.structs.replace(one, checksum=now[one.day, one.checksum])
                for one in read_recalled(home.releases)
                if (one.day, one.checksum) in now
            ],
        )
