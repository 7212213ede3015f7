"""Rows that wait for a flush of the Postgres ledger: the last of each key, written in a batch a table.

Written twice they give the same, so that a transaction whose end nobody knows is run again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from recsys_assets.quality.ledger_server import Cursor
from recsys_assets.quality.stored_results import StoredResult, joined_results
from recsys_assets.storage.database_urls import open_to_read

TABLES: Final[Mapping[str, Sequence[str]]] = {
    "day_results": ("table_name", "day", "verdict", "checked_at", "results"),
    "profiles": ("table_name", "day", "profile"),
    "acceptances": ("table_name", "day", "fingerprint", "who", "why", "accepted_at", "as_normal"),
    "row_accounts": ("day", "account"),
}
"""Table -> its columns, as the files of SQLite have them."""
KEYS: Final[Mapping[str, int]] = {"day_results": 2, "profiles": 2, "acceptances": 3, "row_accounts": 1}
"""Table -> the number of its first columns that name a row."""
_PAGE: Final = 500
"""Rows in one statement."""
_DayKey = tuple[str, str]


class PendingWrites:
    """The rows that were recorded since the last flush."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._results: dict[_DayKey, tuple[str, dict[str, StoredResult]]] = {}
        self._profiles: dict[_DayKey, bytes | None] = {}
        self._accounts: dict[str, bytes] = {}
        self._acceptances: dict[tuple[Any, ...], tuple[Any, ...]] = {}

    def __bool__(self) -> bool:
        return any(map(self.has, TABLES))

    def has(self, table: str) -> bool:
        """Return True where rows of a table wait; never for a name that is none."""
        waiting: Mapping[str, Mapping[Any, Any]] = {
            "day_results": self._results,
            "profiles": self._profiles,
            "acceptances": self._acceptances,
            "row_accounts": self._accounts,
        }
        return bool(waiting.get(table))

    def put_results(self, table: str, day: str, results: Iterable[StoredResult], *, at: str) -> None:
        """Add check results of one table and day."""
        _, before = self._results.get((table, day), (at, {}))
        self._results[table, day] = (at, before | {result.check: result for result in results})

    def put_profile(self, table: str, day: str, profile: bytes | None) -> None:
        """Add a day's profile; None removes it."""
        self._profiles[table, day] = profile

    def put_account(self, day: str, account: bytes) -> None:
        """Add a day's account, encoded."""
        self._accounts[day] = account

    def put_acceptance(self, row: tuple[Any, ...]) -> None:
        """Add a row of `acceptances`."""
        self._acceptances[row[: KEYS["acceptances"]]] = row

    def write(self, cursor: Cursor, schema: str) -> None:
        """Write all of it into the tables of a schema, by its quoted name; the caller holds the schema's lock."""
        if self._results:
            insert_rows(cursor, schema, "day_results", self._joined(cursor, schema))
        gone = [key for key, profile in self._profiles.items() if profile is None]
        if gone:
            cursor.executemany(
                f"DELETE FROM {schema}.profiles WHERE table_name = %s AND day = %s",  # noqa: S608  a quoted name
                gone,
            )
        kept = [(*key, profile) for key, profile in self._profiles.items() if profile is not None]
        insert_rows(cursor, schema, "profiles", kept)
        insert_rows(cursor, schema, "row_accounts", list(self._accounts.items()))
        insert_rows(cursor, schema, "acceptances", list(self._acceptances.values()))

    def _joined(self, cursor: Cursor, schema: str) -> list[tuple[Any, ...]]:
        """Return the rows of the days with new results, which keep those of other checks."""
        from psycopg2.extras import execute_values  # noqa: PLC0415  only where a server is configured

        found = execute_values(
            cursor,
            f"SELECT table_name, day, results FROM {schema}.day_results"  # noqa: S608  a quoted name
            " WHERE (table_name, day) IN (VALUES %s)",
            list(self._results),
            page_size=_PAGE,
            fetch=True,
        )
        before = {(table, day): bytes(results) for table, day, results in found}
        rows: list[tuple[Any, ...]] = []
        for key, (at, results) in self._results.items():
            verdict, encoded = joined_results(before.get(key), results.values())
            rows.append((*key, verdict, at, encoded))
        return rows


def insert_rows(cursor: Cursor, schema: str, table: str, rows: Sequence[Sequence[Any]]) -> None:
    """Write rows of a table, each in place of the one with the same key; no key twice.

    Args:
        cursor: in a transaction.
        schema: quoted name of the schema.
        table: one of `TABLES`.
        rows: cells in the order of the columns.
    """
    from psycopg2.extras import execute_values  # noqa: PLC0415  only where a server is configured

    if not rows:
        return
    names, keys = TABLES[table], KEYS[table]
    new = ", ".join(f"{name} = excluded.{name}" for name in names[keys:])
    statement = (
        f"INSERT INTO {schema}.{table} ({', '.join(names)}) VALUES %s"  # noqa: S608  constants and a quoted name
        f" ON CONFLICT ({', '.join(names[:keys])}) DO UPDATE SET {new}"
    )
    execute_values(cursor, statement, rows, page_size=_PAGE)


def copied_from(path: Path) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Yield each table of a ledger's file, with its rows."""
    with closing(open_to_read(path)) as connection:
        for table, names in TABLES.items():
            yield table, connection.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall()  # noqa: S608  constants
