"""Rows of SQLite tables moved in bulk as Arrow.

The ADBC driver's own calls do it: its DB-API module would import `pyarrow.dataset`, too.
"""

import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adbc_driver_manager import AdbcStatement

_APPENDS: Final = "adbc.ingest.mode.append"


def append_rows(path: Path, table: str, frame: pl.DataFrame) -> None:
    """Insert the rows of a frame into a table of the database at `path`, in one transaction.

    Args:
        path: the database.
        table: a table that has the frame's columns.
        frame: the rows, in the order in which they are stored.

    Raises:
        adbc_driver_manager.Error: a row breaks a rule of the table.
    """
    from adbc_driver_manager import StatementOptions  # noqa: PLC0415  where features are built only

    rows = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    with _statement(str(path), commits=True) as statement:
        target = {StatementOptions.INGEST_TARGET_TABLE.value: table}
        statement.set_options(**target, **{StatementOptions.INGEST_MODE.value: _APPENDS})
        statement.bind_stream(rows)
        statement.execute_update()


def read_rows(path: Path, table: str, schema: pl.Schema) -> pl.DataFrame:
    """Read a table from the database at `path`, which is not changed.

    Args:
        path: the database.
        table: the table.
        schema: the columns to read, and the types to return them in; a value of another type is null.

    Raises:
        sqlite3.Error: the database or the table cannot be read.
    """
    from adbc_driver_sqlite import StatementOptions  # noqa: PLC0415

    uri = f"file:{quote(str(path.resolve()))}?mode=ro"
    wanted = ", ".join(f'"{name}"' for name in schema)
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        count = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608  a contract's name
    with _statement(uri) as statement:
        # the types of a column are found in the first batch, so that one has to hold all rows
        statement.set_options(**{StatementOptions.BATCH_ROWS.value: str(max(1, count))})
        statement.set_sql_query(f"SELECT {wanted} FROM {table}")  # noqa: S608
        stream, _ = statement.execute_query()
        found = pl.DataFrame(stream)
    return found.cast(schema, strict=False)


@contextmanager
def _statement(uri: str, *, commits: bool = False) -> "Iterator[AdbcStatement]":
    """Yield a statement on a connection of its own; `commits`: in a transaction that ends with the block."""
    import adbc_driver_manager as adbc  # noqa: PLC0415
    import adbc_driver_sqlite  # noqa: PLC0415

    database: Any
    with adbc_driver_sqlite.connect(uri) as database, adbc.AdbcConnection(database) as connection:
        if commits:
            connection.set_autocommit(enabled=False)
        with adbc.AdbcStatement(connection) as statement:
            yield statement
        if commits:
            connection.commit()
