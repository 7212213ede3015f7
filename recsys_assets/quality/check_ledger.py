"""The interface of a ledger: newest check results by table and day, row accounts, day profiles, acceptances.

Auditing a day again replaces its results: the ledger holds the present state, not its history. A writer keeps one
open for a run and flushes in batches. No caller knows which form it has; `open_ledger` opens the one of a home.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Final, Protocol, Self

from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.row_account import RowAccount
from recsys_assets.quality.stored_results import StoredDay, StoredResult

_WHOLE_TABLE: Final = ""
"""The `day` of a result about an unpartitioned table."""
_TABLE_AND_DAY: Final = attrgetter("table", "day")
_FIELDS: Final = attrgetter(*StoredResult.__struct_fields__)


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """A person's decision to publish a rejected day."""

    table: str
    """The table's name."""
    day: date
    """The partition."""
    fingerprint: str
    """Content fingerprint of the accepted rows: another delivery of the same day is not covered."""
    who: str
    """Who accepted."""
    why: str
    """Their reason, as given."""
    accepted_at: datetime
    """Time of the decision, UTC."""
    as_normal: bool = False
    """True where the day is the new normal: later days are compared with it. Else it stays out of their history."""


class CheckLedger(Protocol):
    """A ledger; a context manager that flushes at its end.

    Its reads see what this ledger recorded before. Others see it after `flush`, which is durable.
    """

    def __enter__(self) -> Self:
        """Return the open ledger."""

    def __exit__(self, *_: object) -> None:
        """Flush and close."""

    def close(self) -> None:
        """Flush and close."""

    def flush(self) -> None:
        """Make what was recorded visible to others, and durable."""

    def record(self, results: Iterable[CheckResult], *, at: datetime) -> None:
        """Store `results`; each replaces the same check's last result for that table and day."""

    def results(self, *, day: date | None = None) -> list[CheckResult]:
        """Return the newest results, of one day or of all, by day, table and check."""

    def attention(self, *, since: date) -> list[CheckResult]:
        """Return the newest results that warn or block on the days from `since` on, by day, table and check."""

    def history(self, table: str, *, days: int) -> list[CheckResult]:
        """Return the newest results of a table's last `days` days that have any, by day and check."""

    def forget_passed(self, *, before: datetime, dry_run: bool = False) -> tuple[int, int]:
        """Remove the results of days that passed every check before a time; profiles and acceptances stay.

        Args:
            before: the time, UTC.
            dry_run: count only.

        Returns:
            The number of days, each table's counted, and the bytes of their results.
        """

    def put_profiles(self, table: str, profiles: Mapping[date, bytes]) -> None:
        """Store the encoded profile of each day; it replaces the one before."""

    def profiles(self, table: str, *, since: date, before: date) -> dict[date, bytes]:
        """Return the stored profiles of `since` <= day < `before`, oldest first."""

    def forget_profile(self, table: str, day: date) -> None:
        """Remove the stored profile of a day whose visible version changes; the next landing computes it again."""

    def put_account(self, day: date, account: RowAccount) -> None:
        """Store the account of a published day's raw rows; it replaces the one before."""

    def accounts(self, *, since: date = date.min) -> dict[date, RowAccount]:
        """Return published day -> account of its raw rows, of the days from `since` on, oldest first."""

    def accept(self, acceptance: Acceptance) -> None:
        """Store who accepted a rejected day, why, when, and whether it is the new normal."""

    def acceptances(self) -> list[Acceptance]:
        """Return every acceptance, by day and table."""

    def exceptions(self, first: date = date.min, last: date = date.max) -> list[Acceptance]:
        """Return the acceptances of the days from `first` to `last` that are not the new normal, by day and table."""

    def follow_fingerprints(self, moved: Mapping[str, str]) -> None:
        """Let each acceptance of the rows with one fingerprint hold for those with another, and flush."""

    def copy_to(self, path: Path) -> None:
        """Write what was flushed into a new file of SQLite."""


def text_of(day: date | None) -> str:
    """Return a day as the ledger has it; empty for a whole table."""
    return _WHOLE_TABLE if day is None else day.isoformat()


def by_table_and_day(results: Iterable[CheckResult]) -> Iterator[tuple[str, str, list[StoredResult]]]:
    """Yield table, day as text and results of neighbours that have the same."""
    for (table, day), of_day in groupby(results, key=_TABLE_AND_DAY):
        yield table, text_of(day), [StoredResult(*_FIELDS(result)) for result in of_day]


def check_results(days: Iterable[StoredDay]) -> list[CheckResult]:
    """Return the results of stored days, in their order."""
    return [
        CheckResult(
            table=of_day.table,
            day=None if of_day.day == _WHOLE_TABLE else date.fromisoformat(of_day.day),
            **{name: getattr(result, name) for name in StoredResult.__struct_fields__},
        )
        for of_day in days
        for result in of_day.results
    ]
