"""The ledger `quality.sqlite`: newest check results by table and day, row accounts, day profiles, acceptances.

One form of `CheckLedger`. A writer keeps one `Ledger` open for a run; a reader opens its own. A power cut takes nothing
that was flushed.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import Any, Self

from recsys_assets.quality.check_ledger import Acceptance, by_table_and_day, check_results, text_of
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.row_account import RowAccount, prepare_accounts, put_account, stored_accounts
from recsys_assets.quality.stored_results import prepare_results, put_results, stored_days
from recsys_assets.storage.atomic import make_folder, named
from recsys_assets.storage.database_urls import open_to_read

_SCHEMA = """
CREATE TABLE IF NOT EXISTS profiles (
    table_name TEXT NOT NULL, day TEXT NOT NULL, profile BLOB NOT NULL,
    PRIMARY KEY (table_name, day)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS acceptances (
    table_name TEXT NOT NULL, day TEXT NOT NULL, fingerprint TEXT NOT NULL,
    who TEXT NOT NULL, why TEXT NOT NULL, accepted_at TEXT NOT NULL,
    as_normal INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (table_name, day, fingerprint)
) WITHOUT ROWID;
"""
_ADD_AS_NORMAL = "ALTER TABLE acceptances ADD COLUMN as_normal INTEGER NOT NULL DEFAULT 1"
"""Every day that an earlier version accepted is a part of the history that later days are compared with."""
_COLUMNS = "SELECT name FROM pragma_table_info('acceptances')"
_ACCEPTED = "UPDATE OR REPLACE acceptances SET fingerprint = ? WHERE fingerprint = ?"


class _LedgerConnection(sqlite3.Connection):
    """A connection whose errors name the file."""

    path: Path

    def execute(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> sqlite3.Cursor:  # type: ignore[override]
        with named(self.path):
            return super().execute(sql, values)

    def executemany(self, sql: str, values: Iterable[Any]) -> sqlite3.Cursor:
        with named(self.path):
            return super().executemany(sql, values)

    def executescript(self, script: str) -> sqlite3.Cursor:
        with named(self.path):
            return super().executescript(script)

    def commit(self) -> None:
        with named(self.path):
            super().commit()


class Ledger:
    """Reads and writes `quality.sqlite`; a context manager that flushes at its end."""

    def __init__(self, path: Path, *, reading: bool = False) -> None:
        """Open the ledger at `path`; create it, and its folder, where it is missing.

        With `reading`, one that cannot be written is no error.
        """
        try:
            self._connection: sqlite3.Connection = _opened(path)
        except (OSError, sqlite3.OperationalError):
            if not reading:
                raise
            with named(path):
                self._connection = open_to_read(path)
            self._connection.row_factory = sqlite3.Row

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Flush and close."""
        self._connection.commit()
        self._connection.close()

    def flush(self) -> None:
        """Make what was recorded visible to others, and durable."""
        self._connection.commit()

    def record(self, results: Iterable[CheckResult], *, at: datetime) -> None:
        """Store `results`; each replaces the same check's last result for that table and day."""
        for table, day, stored in by_table_and_day(results):
            put_results(self._connection, table, day, stored, at=at.isoformat())

    def results(self, *, day: date | None = None) -> list[CheckResult]:
        """Return the newest results, of one day or of all, by day, table and check."""
        of_day, values = ("", []) if day is None else ("WHERE day = ?", [day.isoformat()])
        return self._select(f"{of_day} ORDER BY day, table_name", values)

    def attention(self, *, since: date) -> list[CheckResult]:
        """Return the newest results that warn or block on the days from `since` on, by day, table and check."""
        found = self._select(
            "WHERE verdict <> 'ok' AND day >= ? ORDER BY day, table_name", [since.isoformat()]
        )
        return [result for result in found if result.verdict != "ok"]

    def history(self, table: str, *, days: int) -> list[CheckResult]:
        """Return the newest results of a table's last `days` days that have any, by day and check."""
        last = "SELECT day FROM day_results WHERE table_name = ? AND day <> '' ORDER BY day DESC LIMIT ?"
        return self._select(f"WHERE table_name = ? AND day IN ({last}) ORDER BY day", [table, table, days])

    def _select(self, where: str, values: Sequence[str | int]) -> list[CheckResult]:
        return check_results(stored_days(self._connection, where, values))

    def forget_passed(self, *, before: datetime, dry_run: bool = False) -> tuple[int, int]:
        """Remove the results of days that passed every check before a time; profiles and acceptances stay.

        Args:
            before: the time, UTC.
            dry_run: count only.

        Returns:
            The number of days, each table's counted, and the bytes of their results.
        """
        old, values = "verdict = 'ok' AND day <> ? AND checked_at < ?", (text_of(None), before.isoformat())
        ((removed, size),) = self._connection.execute(
            f"SELECT count(*), coalesce(sum(length(results)), 0) FROM day_results WHERE {old}",  # noqa: S608  constants
            values,
        ).fetchall()
        if removed and not dry_run:
            self._connection.execute(f"DELETE FROM day_results WHERE {old}", values)  # noqa: S608  constants
            self.flush()
        return removed, size

    def put_profiles(self, table: str, profiles: Mapping[date, bytes]) -> None:
        """Store the encoded profile of each day; it replaces the one before."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO profiles VALUES (?,?,?)",
            [(table, day.isoformat(), profile) for day, profile in profiles.items()],
        )

    def profiles(self, table: str, *, since: date, before: date) -> dict[date, bytes]:
        """Return the stored profiles of `since` <= day < `before`, oldest first."""
        with closing(
            self._connection.execute(
                "SELECT day, profile FROM profiles WHERE table_name = ? AND day >= ? AND day < ?"
                " ORDER BY day",
                (table, since.isoformat(), before.isoformat()),
            )
        ) as rows:
            return {date.fromisoformat(day): profile for day, profile in rows}

    def forget_profile(self, table: str, day: date) -> None:
        """Remove the stored profile of a day whose visible version changes; the next landing computes it again."""
        self._connection.execute(
            "DELETE FROM profiles WHERE table_name = ? AND day = ?", (table, day.isoformat())
        )

    def put_account(self, day: date, account: RowAccount) -> None:
        """Store the account of a published day's raw rows; it replaces the one before."""
        put_account(self._connection, day.isoformat(), account)

    def accounts(self, *, since: date = date.min) -> dict[date, RowAccount]:
        """Return published day -> account of its raw rows, of the days from `since` on, oldest first."""
        found = stored_accounts(self._connection, since=since.isoformat())
        return {date.fromisoformat(day): account for day, account in found.items()}

    def accept(self, acceptance: Acceptance) -> None:
        """Store who accepted a rejected day, why, when, and whether it is the new normal."""
        self._connection.execute(
            "INSERT OR REPLACE INTO acceptances VALUES (?,?,?,?,?,?,?)",
            (
                acceptance.table, acceptance.day.isoformat(), acceptance.fingerprint,
                acceptance.who, acceptance.why, acceptance.accepted_at.isoformat(), acceptance.as_normal,
            ),
        )  # fmt: skip

    def acceptances(self) -> list[Acceptance]:
        """Return every acceptance, by day and table."""
        with closing(self._connection.execute("SELECT * FROM acceptances ORDER BY day, table_name")) as rows:
            return [
                Acceptance(
                    table=row["table_name"],
                    day=date.fromisoformat(row["day"]),
                    fingerprint=row["fingerprint"],
                    who=row["who"],
                    why=row["why"],
                    accepted_at=datetime.fromisoformat(row["accepted_at"]),
                    as_normal=bool(row["as_normal"]),
                )
                for row in rows
            ]

    def exceptions(self, first: date = date.min, last: date = date.max) -> list[Acceptance]:
        """Return the acceptances of the days from `first` to `last` that are not the new normal, by day and table."""
        return [one for one in self.acceptances() if not one.as_normal and first <= one.day <= last]

    def follow_fingerprints(self, moved: Mapping[str, str]) -> None:
        """Let each acceptance of the rows with one fingerprint hold for those with another, and flush."""
        self._connection.executemany(_ACCEPTED, [(after, before) for before, after in moved.items()])
        self.flush()

    def copy_to(self, path: Path) -> None:
        """Write what was flushed into a new file of SQLite."""
        with closing(sqlite3.connect(path)) as target:
            self._connection.backup(target)

    def put_rows(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        """Store whole rows of a table, as another form of the ledger has them, each in place of the one before."""
        if rows:
            marks = ",".join("?" * len(rows[0]))
            self._connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)  # noqa: S608  a constant of the caller


def _opened(path: Path) -> _LedgerConnection:
    make_folder(path.parent)
    with named(path):
        connection = sqlite3.connect(path, timeout=30, factory=_LedgerConnection)
    connection.path = path
    connection.row_factory = sqlite3.Row
    # Write-ahead logging: the report and the page read while a build writes. FULL: a commit is on the disk.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.executescript(_SCHEMA)
    if "as_normal" not in {row["name"] for row in connection.execute(_COLUMNS)}:
        connection.execute(_ADD_AS_NORMAL)
    prepare_results(connection)
    prepare_accounts(connection)
    return connection
