"""Stored results and accounts, read for a page: from a file or a server, without polars, and without making anything.

A server that does not answer is an error after a moment, since a request waits for it.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from recsys_assets.errors import DatabaseUnavailableError, SettingsError
from recsys_assets.quality.ledger_place import LedgerPlace, PostgresPlace
from recsys_assets.quality.ledger_server import Cursor, LedgerServer
from recsys_assets.quality.row_account import RowAccount, prepare_accounts, stored_accounts
from recsys_assets.quality.stored_results import StoredDay, decode_results, prepare_results, stored_days

_SECONDS: Final = 2.0
"""Longest wait for a server."""
_LAST_DAYS: Final = """
WHERE day IN (SELECT DISTINCT day FROM {table} WHERE day <> '' ORDER BY day DESC LIMIT {mark})
ORDER BY table_name, day
"""
_LAST_TROUBLED: Final = """
WHERE verdict <> 'ok' AND (day = '' OR day IN (
    SELECT DISTINCT day FROM {table} WHERE verdict <> 'ok' AND day <> '' ORDER BY day DESC LIMIT {mark}))
ORDER BY day <> '', day DESC, verdict, table_name
"""
_ACCOUNT: Final = msgspec.json.Decoder(RowAccount)


def last_days(place: LedgerPlace, *, days: int) -> list[StoredDay]:
    """Return the results of the last `days` days that have any, by table and day; none before the first check.

    Raises:
        DatabaseUnavailableError: the server does not answer.
    """
    return _read(place, _LAST_DAYS, days)


def last_troubled(place: LedgerPlace, *, days: int) -> list[StoredDay]:
    """Return the results that are not all ok, of the last `days` days that have one; the newest day first.

    Those of whole tables come before all days; of a day the rejected tables come first.

    Raises:
        DatabaseUnavailableError: the server does not answer.
    """
    return _read(place, _LAST_TROUBLED, days)


def all_accounts(place: LedgerPlace) -> dict[str, RowAccount]:
    """Return published day, `2017-01-01` -> account of its raw rows, oldest first.

    Raises:
        DatabaseUnavailableError: the server does not answer.
    """
    if isinstance(place, PostgresPlace):
        found = _rows(place, "SELECT day, account FROM {schema}.row_accounts ORDER BY day", ())
        return {day: _ACCOUNT.decode(bytes(account)) for day, account in found}
    with _connected(place) as connection:
        prepare_accounts(connection)
        return stored_accounts(connection, since="")


def server_in_words(place: PostgresPlace) -> str:
    """Return server, database and schema of a ledger, and the number of days in it.

    Raises:
        DatabaseUnavailableError: the server does not answer, or rejects the user or the database.
    """
    query = "SELECT count(DISTINCT day) FROM {schema}.day_results WHERE day <> ''"
    rows = _rows(place, query, ())
    return f"{place.shown}: {rows[0][0]:,} days with results" if rows else f"{place.shown}: no tables yet"


def _read(place: LedgerPlace, where: str, days: int) -> list[StoredDay]:
    if isinstance(place, PostgresPlace):
        clause = where.format(table="{schema}.day_results", mark="%s")
        found = _rows(place, f"SELECT table_name, day, results FROM {{schema}}.day_results {clause}", (days,))  # noqa: S608  constants
        return [StoredDay(table, day, decode_results(bytes(results))) for table, day, results in found]
    if not place.is_file():
        return []
    with _connected(place) as connection:
        try:
            prepare_results(connection)
            return list(stored_days(connection, where.format(table="day_results", mark="?"), (days,)))
        except sqlite3.OperationalError:
            return []  # the ledger is being created


def _rows(place: PostgresPlace, query: str, values: tuple[Any, ...]) -> list[Any]:
    """Return the rows of a query; none where the schema has not been made."""
    with LedgerServer(place, seconds=_SECONDS) as server:

        def run(cursor: Cursor) -> list[Any]:
            cursor.execute(query.format(schema=server.schema), values)
            return list(cursor.fetchall())

        try:
            return server.transact(run, keep=False) if server.has_tables() else []
        except SettingsError as error:  # no fault of a request
            raise DatabaseUnavailableError(str(error)) from error


@contextmanager
def _connected(ledger: Path) -> Iterator[sqlite3.Connection]:
    address = f"file:{quote(str(ledger))}?mode=rw"
    with closing(sqlite3.connect(address, uri=True, timeout=5)) as connection:
        yield connection
