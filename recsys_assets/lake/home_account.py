"""The account of a home: the source's rows, those of the days in the lake, in quarantine, and not landed, added up."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

import msgspec
import polars as pl

from recsys_assets.lake.forgotten_rows import FORGOTTEN, LeftOut
from recsys_assets.lake.source_days import OUTSIDE_RANGE, SourceDays
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.row_account import HomeAccount, RowAccount, RowsOfReason
from recsys_assets.source_settings import SourceSettings
from recsys_assets.storage.arrays import EPOCH
from recsys_assets.storage.atomic import replace_file
from recsys_assets.storage.day_journal import DayFile
from recsys_assets.storage.home import Home, days_under
from recsys_assets.storage.partition_store import PartitionStore

_NOT_LANDED: Final = "not_landed"
_REJECTED: Final = "rejected"


def home_account(home: Home, source: SourceSettings) -> HomeAccount:
    """Add up the rows of the source, day by day, as they are in the lake now.

    Rows of a published day are those of its account, whatever was delivered for it later. Of other days that are
    partitions all rows are `rejected` or `not_landed`. Where a day landed with other rows than the source has now,
    the sum is that of the landed rows, and the difference is said.

    Args:
        home: the home.
        source: its `[source]`.
    """
    counted = SourceDays.load(home, source)
    accounts: dict[date, RowAccount] = {}
    if home.quality_db.exists():
        with Ledger(home.quality_db) as ledger:
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
    elsewhere = _elsewhere(home, source, {day: n for day, n in in_source.items() if day not in landed})
    if without_time := of_source.kept + _rows_of(of_source, OUTSIDE_RANGE) - counted.rows.total:
        undated = RowsOfReason(rows=without_time, example="without a time")
        elsewhere = elsewhere.plus(RowAccount(reasons={OUTSIDE_RANGE: undated}))
    aside = {name: found for name, found in of_source.reasons.items() if name != OUTSIDE_RANGE}
    return HomeAccount(
        source_rows=of_source.rows,
        account=RowAccount(reasons=aside).plus(elsewhere).plus(total),
        differences=_differences(landed, in_source),
    )


def write_home_account(home: Home, source: SourceSettings) -> HomeAccount:
    """Compute the account, and keep it for the page, whose processes read no table."""
    found = home_account(home, source)
    replace_file(home.row_account, msgspec.json.encode(found))
    return found


def _forgotten(raw: DayFile | None) -> RowAccount:
    """Return the rows of forgotten users that a raw day left out."""
    rows = 0 if raw is None else LeftOut.of(raw.provenance).rows
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


def _differences(landed: Mapping[date, RowAccount], in_source: Mapping[date, int]) -> str:
    """Return in words which days landed with other rows than the source has; empty where none did."""
    differ = [day for day, account in sorted(landed.items()) if account.rows != in_source.get(day, 0)]
    if not differ:
        return ""
    first = differ[0]
    days = "1 day" if len(differ) == 1 else f"{len(differ):,} days"
    return (
        f"{days} landed with other rows than the source has now ({first}: {landed[first].rows:,} landed, "
        f"{in_source.get(first, 0):,} in the source)"
    )
