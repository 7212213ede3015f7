"""The ledger in a schema of a Postgres server: the tables, rows and encodings of `quality.sqlite`.

One form of `CheckLedger`. What is recorded waits here until `flush`, which writes it in one transaction: a server that
is started again in between costs a wait, and a writer that is killed leaves nothing half written. A read before
`flush` writes the same in a transaction that is taken back.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from recsys_assets.quality.check_ledger import Acceptance, by_table_and_day, check_results, text_of
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.ledger_place import PostgresPlace
from recsys_assets.quality.ledger_server import PATIENCE_SECONDS, Cursor, LedgerServer
from recsys_assets.quality.pending_writes import TABLES, PendingWrites, copied_from, insert_rows
from recsys_assets.quality.row_account import RowAccount
from recsys_assets.quality.stored_results import StoredDay, decode_results
from recsys_assets.storage.waiting import Say, say_on_log

Change = Callable[[dict[str, Any]], tuple[dict[str, Any], int]]
_ACCOUNTS: Final = msgspec.json.Decoder(RowAccount)
_ACCEPTED: Final = """
DELETE FROM {schema}.acceptances AS former USING {schema}.acceptances AS moving
WHERE moving.fingerprint = %(before)s AND former.fingerprint = %(after)s
  AND former.table_name = moving.table_name AND former.day = moving.day;
UPDATE {schema}.acceptances SET fingerprint = %(after)s WHERE fingerprint = %(before)s
"""
"""A decision that moves replaces one that is there for the same rows."""


class PostgresLedger:
    """Reads and writes the schema; a context manager that flushes at its end."""

    def __init__(
        self, place: PostgresPlace, *, seconds: float = PATIENCE_SECONDS, say: Say = say_on_log
    ) -> None:
        """Open the ledger; make its tables where they are missing, with what the home's `quality.sqlite` has.

        Args:
            place: the schema.
            seconds: longest wait for a server that does not answer.
            say: is given a line while it waits.

        Raises:
            DatabaseUnavailableError: no answer within the wait.
            SettingsError: the server rejects the user or the database, or the schema is of another home.
        """
        self._server = LedgerServer(place, seconds=seconds, say=say)
        self._pending = PendingWrites()
        self._server.prepare(self._take_over)

    def _take_over(self, cursor: Cursor) -> None:
        former = self._server.place.former
        if former.is_file():
            Ledger(former, reading=True).close()  # brings the tables of an earlier version up to date
            for table, rows in copied_from(former):
                insert_rows(cursor, self._server.schema, table, rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Flush and close."""
        try:
            self.flush()
        finally:
            self._server.close()

    def flush(self) -> None:
        """Make what was recorded visible to others, and durable."""
        if self._pending:
            self._server.transact(self._write)
            self._pending = PendingWrites()

    def _write(self, cursor: Cursor) -> None:
        self._server.lock(cursor)
        self._pending.write(cursor, self._server.schema)

    def _read(self, table: str, query: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        """Return the rows of a query, whose `{schema}` is filled in, with what waits for the table."""

        def run(cursor: Cursor) -> list[Any]:
            if self._pending.has(table):
                self._write(cursor)
            cursor.execute(query.format(schema=self._server.schema), values)
            return list(cursor.fetchall())

        return self._server.transact(run, keep=False)

    def record(self, results: Iterable[CheckResult], *, at: datetime) -> None:
        """Store `results`; each replaces the same check's last result for that table and day."""
        for table, day, stored in by_table_and_day(results):
            self._pending.put_results(table, day, stored, at=at.isoformat())

    def results(self, *, day: date | None = None) -> list[CheckResult]:
        """Return the newest results, of one day or of all, by day, table and check."""
        of_day, values = ("", []) if day is None else ("WHERE day = %s", [day.isoformat()])
        return self._select(f"{of_day} ORDER BY day, table_name", values)

    def attention(self, *, since: date) -> list[CheckResult]:
        """Return the newest results that warn or block on the days from `since` on, by day, table and check."""
        found = self._select(
            "WHERE verdict <> 'ok' AND day >= %s ORDER BY day, table_name", [since.isoformat()]
        )
        return [result for result in found if result.verdict != "ok"]

    def history(self, table: str, *, days: int) -> list[CheckResult]:
        """Return the newest results of a table's last `days` days that have any, by day and check."""
        last = "SELECT day FROM {schema}.day_results WHERE table_name = %s AND day <> '' ORDER BY day DESC LIMIT %s"
        return self._select(f"WHERE table_name = %s AND day IN ({last}) ORDER BY day", [table, table, days])

    def _select(self, where: str, values: Sequence[str | int]) -> list[CheckResult]:
        query = f"SELECT table_name, day, results FROM {{schema}}.day_results {where}"  # noqa: S608  constants
        return check_results(
            StoredDay(table, day, decode_results(bytes(results)))
            for table, day, results in self._read("day_results", query, values)
        )

    def forget_passed(self, *, before: datetime, dry_run: bool = False) -> tuple[int, int]:
        """Remove the results of days that passed every check before a time; profiles and acceptances stay.

        Args:
            before: the time, UTC.
            dry_run: count only.

        Returns:
            The number of days, each table's counted, and the bytes of their results.
        """
        self.flush()
        old, values = "verdict = 'ok' AND day <> %s AND checked_at < %s", (text_of(None), before.isoformat())
        table = f"{self._server.schema}.day_results"

        def run(cursor: Cursor) -> tuple[int, int]:
            self._server.lock(cursor)
            cursor.execute(
                f"SELECT count(*), coalesce(sum(length(results)), 0) FROM {table} WHERE {old}",  # noqa: S608  constants
                values,
            )
            removed, size = cursor.fetchone()
            cursor.execute(f"DELETE FROM {table} WHERE {old}", values)  # noqa: S608  constants
            return int(removed), int(size)

        return self._server.transact(run, keep=not dry_run)

    def put_profiles(self, table: str, profiles: Mapping[date, bytes]) -> None:
        """Store the encoded profile of each day; it replaces the one before."""
        for day, profile in profiles.items():
            self._pending.put_profile(table, day.isoformat(), profile)

    def profiles(self, table: str, *, since: date, before: date) -> dict[date, bytes]:
        """Return the stored profiles of `since` <= day < `before`, oldest first."""
        query = (
            "SELECT day, profile FROM {schema}.profiles WHERE table_name = %s AND day >= %s AND day < %s"
            " ORDER BY day"
        )
        found = self._read("profiles", query, (table, since.isoformat(), before.isoformat()))
        return {date.fromisoformat(day): bytes(profile) for day, profile in found}

    def forget_profile(self, table: str, day: date) -> None:
        """Remove the stored profile of a day whose visible version changes; the next landing computes it again."""
        self._pending.put_profile(table, day.isoformat(), None)

    def put_account(self, day: date, account: RowAccount) -> None:
        """Store the account of a published day's raw rows; it replaces the one before."""
        self._pending.put_account(day.isoformat(), msgspec.json.encode(account))

    def accounts(self, *, since: date = date.min) -> dict[date, RowAccount]:
        """Return published day -> account of its raw rows, of the days from `since` on, oldest first."""
        query = "SELECT day, account FROM {schema}.row_accounts WHERE day >= %s ORDER BY day"
        found = self._read("row_accounts", query, (since.isoformat(),))
        return {date.fromisoformat(day): _ACCOUNTS.decode(bytes(account)) for day, account in found}

    def accept(self, acceptance: Acceptance) -> None:
        """Store who accepted a rejected day, why, when, and whether it is the new normal."""
        self._pending.put_acceptance(
            (
                acceptance.table, acceptance.day.isoformat(), acceptance.fingerprint,
                acceptance.who, acceptance.why, acceptance.accepted_at.isoformat(), int(acceptance.as_normal),
            )
        )  # fmt: skip

    def acceptances(self) -> list[Acceptance]:
        """Return every acceptance, by day and table."""
        query = (
            "SELECT table_name, day, fingerprint, who, why, accepted_at, as_normal FROM {schema}.acceptances"
            " ORDER BY day, table_name"
        )
        return [
            Acceptance(
                table=table,
                day=date.fromisoformat(day),
                fingerprint=fingerprint,
                who=who,
                why=why,
                accepted_at=datetime.fromisoformat(accepted_at),
                as_normal=bool(as_normal),
            )
            for table, day, fingerprint, who, why, accepted_at, as_normal in self._read("acceptances", query)
        ]

    def exceptions(self, first: date = date.min, last: date = date.max) -> list[Acceptance]:
        """Return the acceptances of the days from `first` to `last` that are not the new normal, by day and table."""
        return [one for one in self.acceptances() if not one.as_normal and first <= one.day <= last]

    def follow_fingerprints(self, moved: Mapping[str, str]) -> None:
        """Let each acceptance of the rows with one fingerprint hold for those with another, and flush."""
        self.flush()
        values = [{"before": before, "after": after} for before, after in moved.items()]

        def run(cursor: Cursor) -> None:
            self._server.lock(cursor)
            cursor.executemany(_ACCEPTED.format(schema=self._server.schema), values)

        self._server.transact(run)

    def copy_to(self, path: Path) -> None:
        """Write what was flushed into a new file of SQLite, all of one moment."""
        self.flush()
        found = self._server.transact(self._rows_of_tables, keep=False)
        with Ledger(path) as copy:
            for table, rows in found.items():
                copy.put_rows(table, rows)

    def _rows_of_tables(self, cursor: Cursor) -> dict[str, list[tuple[Any, ...]]]:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        found = {}
        for table, names in TABLES.items():
            cursor.execute(f"SELECT {', '.join(names)} FROM {self._server.schema}.{table}")  # noqa: S608  constants
            found[table] = [tuple(map(_plain, row)) for row in cursor.fetchall()]
        return found

    def size(self) -> int:
        """Return the bytes of the tables and their indexes on the server's disk."""
        tables = [f"{self._server.schema}.{table}" for table in TABLES]
        query = "SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest(%s) AS name"
        return int(self._read("", query, (tables,))[0][0])

    def compact(self) -> None:
        """Give the pages of removed rows back to the server's disk."""
        self.flush()
        self._server.vacuum(tuple(TABLES), full=True)

    def rewrite(self, change: Change) -> int:
        """Replace cells of the tables, in one transaction, and return the sum of the numbers that `change` returns.

        Args:
            change: gets a row by column; returns the new cells, none of them in the key, and their number, which is 0
                where the row stays as it is.
        """
        self.flush()

        def run(cursor: Cursor) -> int:
            self._server.lock(cursor)
            return sum(self._rewrite_table(cursor, table, change) for table in TABLES)

        return self._server.transact(run)

    def _rewrite_table(self, cursor: Cursor, table: str, change: Change) -> int:
        names, total, changed = TABLES[table], 0, []
        cursor.execute(f"SELECT {', '.join(names)} FROM {self._server.schema}.{table}")  # noqa: S608  constants
        for row in cursor.fetchall():
            cells = dict(zip(names, map(_plain, row), strict=True))
            new, number = change(cells)
            if number:
                changed.append(tuple((cells | new).values()))
                total += number
        insert_rows(cursor, self._server.schema, table, changed)
        return total


def _plain(cell: Any) -> Any:
    return bytes(cell) if isinstance(cell, memoryview) else cell
