"""Tables that are the answer to a query: `sqlite:PATH?query=SELECT …` and `postgres://user@host/database?query=…`.

`?table=NAME` reads a whole table. The database's types are kept, so nothing is guessed, and nothing is ever written.
A password comes from the address, PGPASSWORD or ~/.pgpass; recsys.toml gets the address without it.
"""

import json
import sqlite3
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import quote

import polars as pl
import pyarrow as pa

from recsys_assets.errors import InputError, SourceFormatError, SourceNotFoundError
from recsys_assets.lake.files.rows_aside import RowsAside
from recsys_assets.lake.files.tabular_files import FileFormat, TabularFile
from recsys_assets.lake.files.text_records import Chunk
from recsys_assets.lake.files.url_tables import open_url
from recsys_assets.source_settings import ReadingSettings
from recsys_assets.storage.database_urls import (
    DatabaseUrl,
    is_url,
    optional_module,
    parse_database_url,
    quoted_name,
)

_ROWS: Final = 50_000
_FORMS: Final = "?table=NAME or ?query=SELECT …"


def open_query(spec: str, reading: ReadingSettings) -> TabularFile:
    """Open the table that a spec names, for which `is_query` is true.

    Raises:
        InputError: the database or the URL cannot be read, or the spec has no query; without a password.
    """
    if is_url(spec):
        return open_url(spec, reading)
    url = parse_database_url(spec, allowed=("query", "table"))
    options = url.options
    if len(options) != 1 or not all(options.values()):
        raise InputError(f"{url.shown}: give either {_FORMS}")
    sql = options.get("query") or f"SELECT * FROM {quoted_name(options['table'])}"  # noqa: S608  their own database
    sql = sql.strip().rstrip(";")
    return _SQLite(url, sql) if spec.startswith("sqlite:") else _Postgres(url, sql)


class _Query(TabularFile):
    """The answer to one query."""

    _kind: ClassVar[str]

    def __init__(self, url: DatabaseUrl, sql: str) -> None:
        name = url.options.get("table") or f"query {' '.join(sql.split())[:60]}"
        super().__init__(Path(f"{url.shown.replace('://', ':')}?{name}"))
        self._url, self._sql = url, sql

    @abstractmethod
    def _answer(self, sql: str) -> Iterator[pl.DataFrame]:
        """Yield the rows of an answer in order; for one without rows, the columns alone."""

    @property
    def found(self) -> FileFormat:
        """The kind of database."""
        return FileFormat(kind=self._kind)

    def column_names(self) -> Sequence[str]:
        """Return the names of the answer's columns, from an answer without rows."""
        return next(self._answer(f"SELECT * FROM ({self._sql}) AS recsys_query LIMIT 0")).columns  # noqa: S608

    def chunks(self, columns: Sequence[str], aside: RowsAside) -> Iterator[Chunk]:  # noqa: ARG002
        """Yield the rows in the database's types."""
        first = 0
        for frame in self._answer(self._sql):
            if frame.height:
                yield _AnswerChunk(frame=frame.select(columns), path=self.path, first=first)
            first += frame.height

    def _broken(self, error: BaseException) -> InputError:
        reason = self._url.one_line(error)
        return SourceFormatError(f"{self.path}: cannot be read ({reason}); {_advice(reason)}")

    def _named(self, names: Sequence[str]) -> list[str]:
        twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
        if twice is not None:
            raise SourceFormatError(
                f"{self.path}: two columns are called {twice!r}; rename one by AS in the query"
            )
        return list(names)


@dataclass(kw_only=True)
class _AnswerChunk(Chunk):
    first: int

    def place(self, row: int) -> str:
        return f"row {self.first + row + 1}"


class _SQLite(_Query):
    _kind: ClassVar[str] = "a query of SQLite"

    def fingerprint(self) -> str:
        """Cover the file and what is written ahead of it."""
        file = Path(self._url.connection)
        stamps = [(one.stat().st_size, one.stat().st_mtime_ns) for one in (file, _wal(file)) if one.is_file()]
        return f"{self._url.shown}\0{self._sql}\0{stamps}"

    def _answer(self, sql: str) -> Iterator[pl.DataFrame]:
        file = Path(self._url.connection)
        if not file.is_file():
            raise SourceNotFoundError(f"{file}: no such file; check the path after `sqlite:`")
        try:
            with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as connection:
                connection.text_factory = lambda content: content.decode(errors="replace")
                cursor = connection.execute(sql)
                names = self._named([column[0] for column in cursor.description or ()])
                yield pl.DataFrame(schema=dict.fromkeys(names, pl.String))
                while rows := cursor.fetchmany(_ROWS):
                    yield pl.DataFrame(
                        [
                            _column(name, values)
                            for name, values in zip(names, zip(*rows, strict=True), strict=True)
                        ]
                    )
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise self._broken(error) from None


class _Postgres(_Query):
    _kind: ClassVar[str] = "a query of Postgres"

    def __init__(self, url: DatabaseUrl, sql: str) -> None:
        super().__init__(url, sql)
        self._driver = optional_module("adbc_driver_postgresql.dbapi", extra="postgres")

    def fingerprint(self) -> str:
        """Cover the rows ever written to the tables that the query's plan names, as the server counts them.

        On a standby, which counts none, the position of the replay; where no table is named, the hour.
        """
        with self._cursor() as cursor:
            cursor.adbc_statement.set_options(
                **{"adbc.postgresql.use_copy": "false"}
            )  # it only copies queries
            cursor.execute(f"EXPLAIN (VERBOSE, FORMAT JSON) {self._sql}")
            plan = json.loads("\n".join(str(row[0]) for row in cursor.fetchall()))
            tables = sorted(
                {f"{quoted_name(schema)}.{quoted_name(table)}" for schema, table in _tables(plan)}
            )
            written = []
            for table in tables:
                literal = table.replace("'", "''")
                cursor.execute(
                    "SELECT concat_ws(' ', n_tup_ins, n_tup_upd, n_tup_del, pg_relation_filenode(relid),"  # noqa: S608
                    " CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END)"
                    f" FROM pg_stat_all_tables WHERE relid = '{literal}'::regclass"
                )
                written += [f"{table} {row[0]}" for row in cursor.fetchall()]
        state = written or [f"{datetime.now(UTC):%Y-%m-%d %H}"]
        return "\0".join([self._url.shown, self._sql, *state])

    def _answer(self, sql: str) -> Iterator[pl.DataFrame]:
        with self._cursor() as cursor:
            cursor.execute(f"SELECT * FROM ({sql}) AS recsys_query LIMIT 0")  # noqa: S608
            schema = cursor.fetch_arrow_table().schema
            names = self._named(schema.names)
            shown = ", ".join(_selected(name, field) for name, field in zip(names, schema, strict=True))
            cursor.execute(f"SELECT {shown} FROM ({sql}) AS recsys_query")  # noqa: S608
            reader = cursor.fetch_record_batch()
            yield pl.DataFrame(schema=dict.fromkeys(names, pl.String))
            for batch in reader:
                yield pl.DataFrame(batch)

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        """Yield a cursor in a transaction that can write nothing."""
        try:
            with (
                closing(self._driver.connect(self._url.connection)) as connection,
                connection.cursor() as cursor,
            ):
                cursor.execute("SET TRANSACTION READ ONLY")
                yield cursor
        except (self._driver.Error, pa.ArrowException, OSError) as error:
            raise self._broken(error) from None


def _advice(reason: str) -> str:
    if "password" in reason:
        return "give the password by PGPASSWORD or ~/.pgpass"
    if "connect" in reason:
        return "check the address, and that the server runs"
    return "mend the query, or the database"


def _column(name: str, values: Sequence[Any]) -> pl.Series:
    """Return values of SQLite, which types each by itself: text where one of them is text."""
    if any(isinstance(value, str | bytes) for value in values):
        text = [value.decode(errors="replace") if isinstance(value, bytes) else value for value in values]
        return pl.Series(name, [None if value is None else str(value) for value in text], dtype=pl.String)
    return pl.Series(name, values, strict=False)


def _selected(name: str, field: pa.Field) -> str:
    """Return SQL for one column; the server writes a type that polars does not have (`numeric`, `uuid`, …) as text."""
    quoted = '"' + name.replace('"', '""') + '"'
    if (field.metadata or {}).get(b"POSTGRESQL:type") == b"money":  # comes in cents
        return f"{quoted}::numeric::text AS {quoted}"
    types = pa.types
    plain = (
        types.is_integer,
        types.is_floating,
        types.is_boolean,
        types.is_string,
        types.is_timestamp,
        types.is_date,
    )
    return quoted if any(is_kind(field.type) for is_kind in plain) else f"{quoted}::text AS {quoted}"


def _tables(plan: Any) -> Iterator[tuple[str, str]]:
    """Yield schema and name of each table in a plan."""
    if isinstance(plan, list):
        for part in plan:
            yield from _tables(part)
    elif isinstance(plan, dict):
        if "Relation Name" in plan:
            yield plan["Schema"], plan["Relation Name"]
        for part in plan.values():
            if isinstance(part, list | dict):
                yield from _tables(part)


def _wal(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")
