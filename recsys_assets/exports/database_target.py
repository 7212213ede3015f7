"""Lists in a table of SQLite or Postgres, by ADBC from Arrow: staged, swapped and described in one transaction."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl
import pyarrow as pa

from recsys_assets import columns
from recsys_assets.errors import ExportError
from recsys_assets.exports.export_target import ExportManifest, ExportRun, ExportTarget, as_rows
from recsys_assets.exports.list_batch import SCHEMA, ListBatch, ListRows
from recsys_assets.storage.database_urls import DatabaseUrl, optional_module, parse_database_url, quoted_name
from recsys_assets.storage.private_files import open_as_user

TABLE: Final = "recommendations"
"""The table where the address names none."""
_GONE: Final = "recsys_gone_users"
_COLUMNS: Final = [name for name in SCHEMA.names if name != columns.DELETED]
_WAIT_MS: Final = 60_000
_CACHE_KIB: Final = 64 << 10
"""Time that a commit to SQLite waits for readers to finish."""
_TIME: Final = "%Y-%m-%dT%H:%M:%S%.fZ"


def open_database(to: str) -> ExportTarget:
    """Return the table that an address names, without opening it.

    Raises:
        InputError: an option is unknown, or the driver is not installed.
    """
    url = parse_database_url(to, allowed=("table",))
    return _SQLite(url) if url.shown.startswith("sqlite:") else _Postgres(url)


class _DatabaseTarget(ExportTarget):
    """One table, and beside it `TABLE_exports` with a manifest an export."""

    def __init__(self, url: DatabaseUrl, driver: Any) -> None:
        self._url, self._driver = url, driver
        self._table = url.options.get("table") or TABLE
        self.shown = f"{url.shown}?table={self._table}"
        self._live, self._manifests = quoted_name(self._table), quoted_name(f"{self._table}_exports")
        self._staged_name = f"{self._table.rpartition('.')[2]}_staged"
        schema = self._table.rpartition(".")[0]
        self._staged = quoted_name(f"{schema}.{self._staged_name}" if schema else self._staged_name)
        self._place = {"db_schema_name": schema} if schema else {}

    @abstractmethod
    def _connect(self) -> Any:
        """Open a connection that commits nothing by itself."""

    @abstractmethod
    def _sendable(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return rows in the types that the database knows."""

    def check(self) -> None:
        """Check that the server answers and tables can be made, in a transaction that is taken back."""
        with self._transaction(keep=False) as cursor:
            cursor.execute(f"CREATE TABLE {quoted_name(self._table + '_check')} (one INTEGER)")

    def last_export(self) -> ExportManifest | None:
        """Return the newest manifest, where the table is there too."""
        try:
            with self._transaction(keep=False) as cursor:
                cursor.execute(f"SELECT 1 FROM {self._live} LIMIT 1")  # noqa: S608
                cursor.fetchone()
                cursor.execute(
                    f"SELECT manifest FROM {self._manifests} ORDER BY export_id DESC LIMIT 1"  # noqa: S608
                )
                found = cursor.fetchone()
        except ExportError:
            return None  # no such table: nothing was exported here yet
        return None if found is None else msgspec.json.decode(found[0], type=ExportManifest)

    def replace(self, run: ExportRun, batches: Iterator[ListBatch], rows: ListRows) -> ExportManifest:
        """Fill a table beside it, which takes its name."""
        with self._transaction() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {self._staged}")
            self._ingest(cursor, as_rows(batches, rows), self._staged_name, **self._place)
            cursor.execute(f"DROP TABLE IF EXISTS {self._live}")
            name = quoted_name(self._table.rpartition(".")[2])
            cursor.execute(f"ALTER TABLE {self._staged} RENAME TO {name}")
            index = quoted_name(f"{self._staged_name.removesuffix('_staged')}_{run.export_id}")
            cursor.execute(f"CREATE UNIQUE INDEX {index} ON {self._live} (user_id, rank)")
            return self._describe(cursor, run)

    def change(
        self, run: ExportRun, batches: Iterator[ListBatch], rows: ListRows, *, gone: Sequence[str]
    ) -> ExportManifest:
        """Delete the lists of all users that changed or are gone, then insert the new ones."""
        changed: list[pa.Array] = []

        def noted() -> Iterator[ListBatch]:
            for batch in batches:
                changed.append(batch.user_ids)
                yield batch

        names = ", ".join(_COLUMNS)
        with self._transaction() as cursor:
            new, users = "recsys_new_lists", "recsys_new_users"
            self._ingest(cursor, as_rows(noted(), rows), new, temporary=True)
            ids = pa.concat_arrays([*changed, pa.array(gone, pa.large_string())])
            cursor.adbc_ingest(users, pa.table({columns.USER_ID: ids}), mode="create", temporary=True)
            cursor.execute(f"DELETE FROM {self._live} WHERE user_id IN (SELECT user_id FROM {users})")  # noqa: S608
            cursor.execute(f"INSERT INTO {self._live} ({names}) SELECT {names} FROM {new}")  # noqa: S608
            cursor.execute(f"DROP TABLE {new}")
            cursor.execute(f"DROP TABLE {users}")
            return self._describe(cursor, run)

    def forget(self, users: Sequence[str]) -> int:
        """Delete the rows of users from the table, and from one that a killed export left beside it."""
        ids = pa.table({columns.USER_ID: pa.array(users, pa.large_string())})
        gone = 0
        with self._transaction() as cursor:
            for table in (self._live, self._staged):
                if not self._is_there(cursor, table):
                    continue
                cursor.adbc_ingest(_GONE, ids, mode="create", temporary=True)
                of_users = f"FROM {table} WHERE user_id IN (SELECT user_id FROM {_GONE})"  # noqa: S608
                cursor.execute(f"SELECT count(*) {of_users}")
                gone += cursor.fetchone()[0]
                cursor.execute(f"DELETE {of_users}")
                cursor.execute(f"DROP TABLE {_GONE}")
        if gone:
            self._give_back()
        return gone

    @abstractmethod
    def _is_there(self, cursor: Any, table: str) -> bool:
        """Return True where a table, by its quoted name, exists."""

    @abstractmethod
    def _give_back(self) -> None:
        """Have the server free the pages of deleted rows."""

    def _ingest(self, cursor: Any, batches: Iterator[pa.RecordBatch], table: str, **place: Any) -> None:
        """Create a table and stream rows into it."""
        some = self._sendable(pa.RecordBatch.from_pylist([], SCHEMA).select(_COLUMNS))
        rows = (self._sendable(batch.select(_COLUMNS)) for batch in batches)
        cursor.adbc_ingest(
            table, pa.RecordBatchReader.from_batches(some.schema, rows), mode="create", **place
        )

    def _describe(self, cursor: Any, run: ExportRun) -> ExportManifest:
        manifest = run.manifest()
        cursor.execute(
            f"CREATE TABLE IF NOT EXISTS {self._manifests} (export_id TEXT PRIMARY KEY, manifest TEXT NOT NULL)"
        )
        text = pa.table(
            {"export_id": [manifest.export_id], "manifest": [msgspec.json.encode(manifest).decode()]}
        )
        name = f"{self._table.rpartition('.')[2]}_exports"
        cursor.adbc_ingest(name, text, mode="append", **self._place)
        return manifest

    @contextmanager
    def _transaction(self, *, keep: bool = True) -> Iterator[Any]:
        """Yield a cursor; what it did is committed at the end where it is to be kept, else taken back."""
        try:
            with closing(self._connect()) as connection:
                try:
                    with connection.cursor() as cursor:
                        yield cursor
                    if keep:
                        connection.commit()
                finally:
                    connection.rollback()
        except self._driver.Error as error:
            raise ExportError(
                f"{self.shown}: cannot be written ({self._url.one_line(error)}); what it held is unchanged"
            ) from None


class _SQLite(_DatabaseTarget):
    def __init__(self, url: DatabaseUrl) -> None:
        super().__init__(url, optional_module("adbc_driver_sqlite.dbapi", extra="dev"))

    def check(self) -> None:
        """Check also that the folder is there."""
        file = Path(self._url.connection)
        if not file.parent.is_dir():
            raise ExportError(f"{self.shown}: its folder is missing; make it, or give another --to")
        if not file.exists():
            with suppress(OSError):  # the driver says why
                file.touch(exist_ok=False)  # an empty file is an empty database
                open_as_user(file)
        super().check()

    def forget(self, users: Sequence[str]) -> int:
        """Delete the rows; a file that is gone has none, and is not made again."""
        return super().forget(users) if Path(self._url.connection).exists() else 0

    def _is_there(self, cursor: Any, table: str) -> bool:
        cursor.execute(
            "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?", (_unquoted(table),)
        )
        return bool(cursor.fetchone()[0])

    def _give_back(self) -> None:
        with closing(self._connect()) as connection:
            connection.adbc_connection.set_autocommit(True)
            with connection.cursor() as cursor:
                cursor.execute("VACUUM")

    def _connect(self) -> Any:
        connection = self._driver.connect(self._url.connection)
        connection.adbc_connection.set_autocommit(True)  # within a transaction `synchronous` cannot be set
        with connection.cursor() as cursor:
            # the end of the journal is on the disk too: a power cut does not take back what was committed
            cursor.execute("PRAGMA synchronous = EXTRA")
            cursor.execute(f"PRAGMA busy_timeout = {_WAIT_MS}")
            cursor.execute(
                f"PRAGMA cache_size = {-_CACHE_KIB}"
            )  # below 0: KiB; the index is sorted within it
        connection.adbc_connection.set_autocommit(False)
        return connection

    def _sendable(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        frame: Any = pl.from_arrow(batch)  # SQLite has no times
        text = frame.with_columns(pl.col(columns.EXPORTED_AT).dt.strftime(_TIME)).to_arrow()
        wanted = pa.schema([_as_text(field) for field in batch.schema])
        (found,) = text.cast(wanted).combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], wanted)]
        return found


class _Postgres(_DatabaseTarget):
    def __init__(self, url: DatabaseUrl) -> None:
        super().__init__(url, optional_module("adbc_driver_postgresql.dbapi", extra="postgres"))

    def _is_there(self, cursor: Any, table: str) -> bool:
        cursor.execute("SELECT to_regclass($1) IS NOT NULL", (table,))
        return bool(cursor.fetchone()[0])

    def _give_back(self) -> None:
        with closing(self._connect()) as connection:
            connection.adbc_connection.set_autocommit(True)
            with connection.cursor() as cursor:
                cursor.execute(f"VACUUM {self._live}")

    def _connect(self) -> Any:
        return self._driver.connect(self._url.connection)

    def _sendable(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch


def _unquoted(name: str) -> str:
    return name.strip('"').replace('""', '"')


def _as_text(field: pa.Field) -> pa.Field:
    return field.with_type(pa.large_string()) if pa.types.is_timestamp(field.type) else field
