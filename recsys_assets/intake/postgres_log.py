"""The shared log in Postgres: a table of entries in a schema of its own, one transaction an append.

An append holds an advisory lock until its commit, so that an entry's number and its commit have the same order: a
reader that has seen a number never sees a smaller one later. Postgres answers after its log is on the disk (`fsync` and
`synchronous_commit`, both checked); behind a standby add `synchronous_standby_names` there.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from recsys_assets.errors import EventsUnavailableError
from recsys_assets.intake.events_database import Clock, microseconds
from recsys_assets.intake.log_entries import PLACES
from recsys_assets.intake.server_log import Pending, no_answer
from recsys_assets.storage.database_urls import optional_module, parse_database_url
from recsys_assets.storage.postgres_outage import is_outage

_CONNECT_SECONDS: Final = 2
_ANSWER_MS: Final = 10_000
"""Longest that a statement may take, and that a server may be silent."""
_TABLES: Final = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE SEQUENCE IF NOT EXISTS {schema}.numbers START {first};
CREATE TABLE IF NOT EXISTS {schema}.entries (
    number bigint PRIMARY KEY DEFAULT nextval('{schema}.numbers'),
    token text NOT NULL UNIQUE,
    content bytea NOT NULL
);
CREATE TABLE IF NOT EXISTS {schema}.log (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one), id text NOT NULL, before bigint NOT NULL
);
INSERT INTO {schema}.log (id, before) VALUES (%(id)s, {first} - 1) ON CONFLICT DO NOTHING;
"""


class PostgresLog:
    """The entries of one schema."""

    def __init__(self, url: str, *, name: str, now: Clock = lambda: datetime.now(UTC)) -> None:
        """Connect to nothing yet.

        Args:
            url: `postgresql://user:password@host/database`.
            name: the schema.
            now: the time from which on a new log's entries are numbered.

        Raises:
            SettingsError: psycopg2 is not installed.
        """
        self._client = optional_module("psycopg2", extra="scale")
        self._extras = optional_module("psycopg2.extras", extra="scale")
        self._url = parse_database_url(url)
        self._schema = name
        self._now = now
        self._connection: Any = None
        self._after = 0

    @property
    def shown(self) -> str:
        """The server's address and the schema."""
        return f"{self._url.shown} (schema {self._schema})"

    def identity(self, *, after: int) -> tuple[str, int]:
        """Return the id of the schema's log, and the number before its first entry."""
        self._after = after
        with self._connected() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT id, before FROM {self._schema}.log")  # noqa: S608  a checked name
            found: tuple[str, int] = cursor.fetchone()
            return found

    def append(self, pending: Sequence[Pending]) -> Sequence[int]:
        """Insert entries in one transaction."""
        with self._connected() as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN; SELECT pg_advisory_xact_lock(hashtext(%s))", (self._schema,))
            values = [(one.token, one.content) for one in pending]
            inserted = self._extras.execute_values(
                cursor,
                f"INSERT INTO {self._schema}.entries (token, content) VALUES %s ON CONFLICT (token) DO NOTHING"  # noqa: S608  as above
                " RETURNING token, number",
                values,
                page_size=len(values),
                fetch=True,
            )
            numbers: dict[str, int] = dict(inserted)
            if len(numbers) < len(values):  # a try before was stored, though its answer was lost
                query = f"SELECT token, number FROM {self._schema}.entries WHERE token = ANY(%s)"  # noqa: S608  as above
                cursor.execute(query, ([one.token for one in pending],))
                numbers |= dict(cursor.fetchall())
            cursor.execute("COMMIT")
        return [numbers[one.token] for one in pending]

    def read(self, after: int, most: int) -> Sequence[tuple[int, bytes]]:
        """Select the next entries."""
        query = (
            f"SELECT number, content FROM {self._schema}.entries WHERE number > %s ORDER BY number LIMIT %s"  # noqa: S608  as above
        )
        with self._connected() as connection, connection.cursor() as cursor:
            cursor.execute(query, (after, most))
            return [(number, bytes(content)) for number, content in cursor.fetchall()]

    def replace(self, changes: Mapping[int, bytes | None]) -> None:
        """Update and delete entries in one transaction."""
        gone = [number for number, content in changes.items() if content is None]
        other = [(content, number) for number, content in changes.items() if content is not None]
        with self._connected() as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(f"DELETE FROM {self._schema}.entries WHERE number = ANY(%s)", (gone,))  # noqa: S608  as above
            query = f"UPDATE {self._schema}.entries SET content = %s WHERE number = %s"  # noqa: S608  as above
            cursor.executemany(query, other)
            cursor.execute("COMMIT")

    def erase(self) -> None:
        """Write the table again without what was replaced; others wait for that long.

        The server's write-ahead log, archives and backups have the old bytes until they are recycled there.
        """
        with self._connected() as connection, connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            cursor.execute(f"VACUUM FULL {self._schema}.entries")
            cursor.execute(f"SET statement_timeout = {_ANSWER_MS}")

    def count_after(self, after: int) -> int:
        """Count the entries after a number."""
        with self._connected() as connection, connection.cursor() as cursor:
            query = f"SELECT count(*) FROM {self._schema}.entries WHERE number > %s"  # noqa: S608  as above
            cursor.execute(query, (after,))
            return int(cursor.fetchone()[0])

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        """Yield a connection in autocommit; whatever fails closes it, and is named."""
        try:
            if self._connection is None:
                self._connection = self._connect()
            yield self._connection
        except self._client.Error as error:
            self.close()
            why = self._url.one_line(error)
            if is_outage(error):
                raise no_answer(self.shown, why)  # noqa: B904  it has a cause
            raise EventsUnavailableError(
                f"{self.shown}: {why}; see [events] url, PGPASSWORD and that server"
            ) from error
        except BaseException:
            self.close()
            raise

    def _connect(self) -> Any:
        connection = self._client.connect(
            self._url.connection,
            connect_timeout=_CONNECT_SECONDS,
            options=f"-c statement_timeout={_ANSWER_MS} -c synchronous_commit=on",
            application_name="recsys-intake",
            keepalives_idle=5,
            tcp_user_timeout=_ANSWER_MS,
        )
        connection.autocommit = True
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: Any) -> None:
        """Check that the server is durable, and make the tables where they are missing."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('fsync'), to_regclass(%s)", (f"{self._schema}.log",))
            fsync, known = cursor.fetchone()
            if fsync != "on":
                raise EventsUnavailableError(
                    f"{self.shown}: the server has fsync = {fsync}, by which a power cut loses acknowledged events; set"
                    " fsync = on in its postgresql.conf"
                )
            if known is None:
                cursor.execute("BEGIN; SELECT pg_advisory_xact_lock(hashtext(%s))", (self._schema,))
                first = max(microseconds(self._now()) // PLACES, self._after) + 1
                cursor.execute(_TABLES.format(schema=self._schema, first=first), {"id": uuid4().hex})
                cursor.execute("COMMIT")
