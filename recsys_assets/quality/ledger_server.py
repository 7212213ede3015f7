"""One connection to the Postgres server of a ledger: its schema, transactions, and the wait while it does not answer.

Each transaction is given as a function, which runs again in a new one where the server went away. `psycopg2` is
imported only where a server is configured.
"""

from collections.abc import Callable
from typing import Any, Final, Self, TypeVar

from recsys_assets.errors import DatabaseUnavailableError, SettingsError
from recsys_assets.quality.ledger_place import PostgresPlace
from recsys_assets.storage.database_urls import quoted_part
from recsys_assets.storage.postgres_outage import NOTICE_LOSS, is_outage, shown_server
from recsys_assets.storage.waiting import Say, keep_trying, say_on_log

T = TypeVar("T")
Cursor = Any
"""A psycopg2 cursor, whose package has no types."""

PATIENCE_SECONDS: Final = 60.0
"""Longest wait for a server that is started again."""
_FORMAT: Final = "1"
"""Number of the tables' layout, in `about`; a later version counts it up and adds what is missing."""
_SESSION: Final = "SET synchronous_commit = on; SET lock_timeout = '30s'"
"""A commit is on the server's disk, and a lock that another writer keeps ends in an error."""
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS {schema}.about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS {schema}.day_results (
    table_name TEXT COLLATE "C" NOT NULL, day TEXT COLLATE "C" NOT NULL,
    verdict TEXT COLLATE "C" NOT NULL CHECK (verdict IN ('ok', 'warn', 'block')),
    checked_at TEXT COLLATE "C" NOT NULL, results BYTEA NOT NULL,
    PRIMARY KEY (table_name, day)
);
CREATE INDEX IF NOT EXISTS day_results_day ON {schema}.day_results (day);
CREATE INDEX IF NOT EXISTS day_results_verdict ON {schema}.day_results (verdict, day) WHERE verdict <> 'ok';
CREATE TABLE IF NOT EXISTS {schema}.profiles (
    table_name TEXT COLLATE "C" NOT NULL, day TEXT COLLATE "C" NOT NULL, profile BYTEA NOT NULL,
    PRIMARY KEY (table_name, day)
);
CREATE TABLE IF NOT EXISTS {schema}.acceptances (
    table_name TEXT COLLATE "C" NOT NULL, day TEXT COLLATE "C" NOT NULL, fingerprint TEXT NOT NULL,
    who TEXT NOT NULL, why TEXT NOT NULL, accepted_at TEXT NOT NULL, as_normal INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (table_name, day, fingerprint)
);
CREATE TABLE IF NOT EXISTS {schema}.row_accounts (day TEXT COLLATE "C" PRIMARY KEY, account BYTEA NOT NULL);
"""
"""The tables of `quality.sqlite`, with its columns."""


class LedgerServer:
    """A connection that is opened when it is needed, and opened again where it was lost."""

    def __init__(
        self, place: PostgresPlace, *, seconds: float = PATIENCE_SECONDS, say: Say = say_on_log
    ) -> None:
        """Connect to nothing yet.

        Args:
            place: the schema.
            seconds: longest wait for a server that does not answer.
            say: is given a line while it waits.

        Raises:
            SettingsError: the extra is not installed.
        """
        try:
            import psycopg2  # noqa: PLC0415  only where a server is configured
        except ImportError:
            raise SettingsError(
                "[ledger] postgres needs the extra: pip install 'recsys-assets[scale]'"
            ) from None
        self._driver: Any = psycopg2
        self.place, self._seconds, self._say = place, seconds, say
        self._connection: Any = None
        self.schema: Final = quoted_part(place.schema)
        """The schema's name, quoted."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a transaction that is open is taken back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def transact(self, work: Callable[[Cursor], T], *, keep: bool = True) -> T:
        """Return the result of `work` in one transaction, which is kept on the server's disk, or taken back.

        Args:
            work: gets a cursor; runs again where the server went away, also where its commit may have gone through.
            keep: False takes back what it changed.

        Raises:
            DatabaseUnavailableError: no answer within the wait.
            SettingsError: the server rejects the user or the database, or is read-only.
        """
        return self._tried(lambda: self._once(work, keep=keep))

    def _tried(self, attempt: Callable[[], T]) -> T:
        url = self.place.url
        try:
            return keep_trying(
                attempt,
                name=shown_server(self.place.connection),
                is_outage=is_outage,
                seconds=self._seconds,
                say=self._say,
            )
        except self._driver.Error as error:
            cause = url.one_line(error)
            if is_outage(error):
                raise DatabaseUnavailableError(
                    f"{self.place.shown}: no answer for {self._seconds:.0f} s ({cause}); start the server, then run "
                    "the same command again"
                ) from error
            raise SettingsError(f"[ledger] postgres: {self.place.shown}: {cause}") from error

    def _once(self, work: Callable[[Cursor], T], *, keep: bool) -> T:
        if self._connection is None:
            self._connection = self._connected()
        try:
            with self._connection.cursor() as cursor:
                found = work(cursor)
            if keep:
                self._connection.commit()
            else:
                self._connection.rollback()
        except BaseException:
            self.close()
            raise
        return found

    def _connected(self) -> Any:
        connection = self._driver.connect(self.place.connection, application_name="recsys", **NOTICE_LOSS)
        with connection.cursor() as cursor:
            cursor.execute(_SESSION)
        connection.commit()
        return connection

    def has_tables(self) -> bool:
        """Return True where the schema has been made."""
        return self.transact(lambda cursor: _format_of(cursor, self.place.schema) is not None, keep=False)

    def prepare(self, take_over: Callable[[Cursor], None]) -> None:
        """Make the schema where it is missing, in one transaction with what `take_over` puts into it.

        Raises:
            DatabaseUnavailableError, SettingsError: as `transact`; or the schema is of another home, or newer.
        """
        self.transact(lambda cursor: self._prepare(cursor, take_over))

    def _prepare(self, cursor: Cursor, take_over: Callable[[Cursor], None]) -> None:
        found = _format_of(cursor, self.place.schema)
        if found is None:
            self.lock(cursor)
            found = _format_of(cursor, self.place.schema)  # another process may have been faster
        if found is None:
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {self.schema}; {_TABLES.format(schema=self.schema)}")
            about = [("format", _FORMAT), ("owner", self.place.owner or "")]
            cursor.executemany(f"INSERT INTO {self.schema}.about VALUES (%s, %s)", about)  # noqa: S608  quoted
            take_over(cursor)
        elif found != _FORMAT:
            raise SettingsError(
                f"{self.place.shown}: its layout is {found}, this version knows {_FORMAT}; update recsys-assets"
            )
        self._require_own(cursor)

    def _require_own(self, cursor: Cursor) -> None:
        if self.place.owner is None:
            return
        cursor.execute(f"SELECT value FROM {self.schema}.about WHERE name = 'owner'")  # noqa: S608  quoted
        owner = (cursor.fetchone() or ("",))[0]
        if owner not in {"", self.place.owner}:
            name = self.place.schema
            raise SettingsError(
                f"{self.place.shown}: it is the ledger of {owner}, not of {self.place.owner}; end the URL of [ledger] "
                f"postgres with ?schema=NAME for one of its own, or with ?schema={name} where that home moved here"
            )

    def lock(self, cursor: Cursor) -> None:
        """Be the only writer of the schema until the transaction ends."""
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"recsys {self.place.schema}",)
        )

    def vacuum(self, tables: tuple[str, ...], *, full: bool) -> None:
        """Give removed rows' pages back; with `full` to the disk, while nobody reads."""

        def run() -> None:
            if self._connection is None:
                self._connection = self._connected()
            self._connection.rollback()
            self._connection.autocommit = True
            try:
                with self._connection.cursor() as cursor:
                    for table in tables:
                        cursor.execute(f"VACUUM {'FULL ' if full else ''}{self.schema}.{quoted_part(table)}")
            finally:
                self.close()

        self._tried(run)


def _format_of(cursor: Cursor, schema: str) -> str | None:
    cursor.execute("SELECT to_regclass(%s)", (f"{quoted_part(schema)}.about",))
    if cursor.fetchone()[0] is None:
        return None
    cursor.execute(f"SELECT value FROM {quoted_part(schema)}.about WHERE name = 'format'")  # noqa: S608  quoted
    found = cursor.fetchone()
    return None if found is None else str(found[0])
