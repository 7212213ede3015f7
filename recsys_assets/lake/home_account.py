"""The account of a home: the source's rows, those of the days in the lake, in quarantine, and not landed, added up."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Final

import msgspec
import polars as pl

from recsys_assets.lake.event_rows import events_of
from recsys_assets.lake.forgotten_rows import FORGOTTEN, LeftOutRows
from recsys_assets.lake.raw_returns import raw_store
from recsys_assets.lake.source_days import OUTSIDE_RANGE, SourceDays
from recsys_assets.quality.ledger_place import has_ledger
from recsys_assets.quality.open_ledger import open_ledger
from recsys_assets.quality.row_account import HomeAccount, RowAccount, RowsOfReason
from recsys_assets.source_settings import SourceSettings
from recsys_assets.storage.arrays import EPOCH
from recsys_assets.storage.atomic import replace_file
from recsys_assets.storage.day_folders import days_under
from recsys_assets.storage.day_journal import DayFile
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore

_NOT_LANDED: Final = "not_landed"
_REJECTED: Final = "rejected"
EVENT_IN_SOURCE: Final = "event_in_source"
"""Reason: an event by HTTP that the source has too."""


def home_account(home: Home, source: SourceSettings) -> HomeAccount:
    """Add up the rows of the source, day by day, as they are in the lake now.

    Rows of a published day are those of its account, whatever was delivered for it later. Of other days that are
    partitions all rows are `rejected` or `not_landed`. Where a day landed with other rows than the source has now,
    the sum is that of the landed rows, and the difference is said. Events by HTTP are rows like those of the source;
    one that the source has too is counted under `event_in_source`.

    Args:
        home: the home.
        source: its `[source]`.
    """
    counted = SourceDays.load(home, source)
    accounts: dict[date, RowAccount] = {}
    if has_ledger(home):
        with open_ledger(home) as ledger:
            accounts = ledger.accounts()
    published = PartitionStore(root=home.interactions, schema=pl.Schema())  # rows and days, no columns
    raw = PartitionStore(root=home.raw, schema=pl.Schema()).files()
    landed = {
        day: (accounts.get(day) or RowAccount(kept=file.rows or 0)).plus(_forgotten(raw.get(day)))
        for day, file in published.files().items()
    }
    total = RowAccount()
    for account in landed.values():
        total = total.plus(account)
    if counted is None:
        return HomeAccount(account=total)
    of_source = counted.account(source)
    in_source = {
        EPOCH + timedelta(days=number): rows
        for number, rows in zip(counted.rows.days.tolist(), counted.rows.rows.tolist(), strict=True)
    }
    delivered = {day: rows for day, rows in in_source.items() if day <= source.own_last_day}
    for day, events in counted.events.items():
        delivered[day] = delivered.get(day, 0) + events.rows
    twice = _events_in_source(home, landed)
    elsewhere = _elsewhere(home, source, {day: n for day, n in delivered.items() if day not in landed})
    elsewhere = elsewhere.plus(_after(source.own_last_day, in_source)).plus(_of_both(twice))
    if without_time := of_source.kept + _rows_of(of_source, OUTSIDE_RANGE) - counted.rows.total:
        undated = RowsOfReason(rows=without_time, example="without a time")
        elsewhere = elsewhere.plus(RowAccount(reasons={OUTSIDE_RANGE: undated}))
    aside = {name: found for name, found in of_source.reasons.items() if name != OUTSIDE_RANGE}
    return HomeAccount(
        source_rows=of_source.rows,
        events=sum(events.rows for events in counted.events.values()),
        account=RowAccount(reasons=aside).plus(elsewhere).plus(total),
        differences=_differences(
            {day: account.rows + twice.get(day, 0) for day, account in landed.items()}, delivered
        ),
    )


def write_home_account(home: Home, source: SourceSettings) -> HomeAccount:
    """Compute the account, and keep it for the page, whose processes read no table."""
    found = home_account(home, source)
    replace_file(home.row_account, msgspec.json.encode(found))
    return found


def _forgotten(raw: DayFile | None) -> RowAccount:
    """Return the rows of forgotten users that a raw day left out."""
    rows = 0 if raw is None else LeftOutRows.of(raw.provenance).rows
    return RowAccount(reasons={FORGOTTEN: RowsOfReason(rows=rows)} if rows else {})


def _rows_of(account: RowAccount, reason: str) -> int:
    return account.reasons[reason].rows if reason in account.reasons else 0


def _elsewhere(home: Home, source: SourceSettings, rows: Mapping[date, int]) -> RowAccount:
    """Return the account of the source's rows of days that are not published."""
    rejected, total = set(days_under(home.quarantine)), RowAccount()
    for day, number in sorted(rows.items()):
        inside = source.first_day <= day <= source.last_day
        reason = (_REJECTED if day in rejected else _NOT_LANDED) if inside else OUTSIDE_RANGE
        of_day = RowsOfReason(rows=number, example=f"{number:,} on {day}")
        total = total.plus(RowAccount(reasons={reason: of_day}))
    return total


def _events_in_source(home: Home, days: Iterable[date]) -> dict[date, int]:
    """Return the landed days of which the source has events by HTTP too, and the number of these."""
    files = raw_store(home).files()
    found = {day: events_of(files[day]).in_source for day in days if day in files}
    return {day: number for day, number in found.items() if number}


def _of_both(events: Mapping[date, int]) -> RowAccount:
    if not events:
        return RowAccount()
    first = min(events)
    of_both = RowsOfReason(rows=sum(events.values()), example=f"{events[first]:,} on {first}")
    return RowAccount(reasons={EVENT_IN_SOURCE: of_both})


def _after(last: date, in_source: Mapping[date, int]) -> RowAccount:
    """Return the account of the source's rows after the last day that counts."""
    later = {day: rows for day, rows in in_source.items() if day > last}
    if not later:
        return RowAccount()
    first = min(later)
    outside = RowsOfReason(rows=sum(later.values()), example=f"{later[first]:,} on {first}")
    return RowAccount(reasons={OUTSIDE_RANGE: outside})


def _differences(landed: Mapping[date, int], in_source: Mapping[date, int]) -> str:
    """Return in words which days landed with other rows than the source and the intake have; empty where none did.

    Args:
        landed: landed day -> its rows, with the events by HTTP that the source has too.
        in_source: day -> its rows in the source, and its events.
    """
    differ = [day for day, rows in sorted(landed.items()) if rows != in_source.get(day, 0)]
    if not differ:
        return ""
    first = differ[0]
    days = "1 day" if len(differ) == 1 else f"{len(differ):,} days"
    return (
        f"{days} landed with other rows than the source has now ({first}: {landed[first]:,} landed, "
        f"{in_source.get(first, 0):,} in the source)"
    )
