"""Writing feature tables into a SQLite file: DDL from the contracts, rows by ADBC, search by sqlite-utils.

The file is finished here and only read afterwards (`store.py`), which is why it may be opened immutable.
"""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import adbc_driver_sqlite.dbapi as adbc
import polars as pl
import sqlite_utils

from recsys_assets import columns
from recsys_assets.features.compute import feature_tables
from recsys_assets.features.contract import ITEM_FEATURES, REGISTRY_FILE, USER_FEATURES, registry_rows
from recsys_assets.quality.contract import Column, Contract
from recsys_assets.storage.atomic import replaced_folder
from recsys_assets.storage.home import FEATURE_DATABASE

REGISTRY_TABLE: Final = "feature_registry"
"""One row a feature."""

_SEARCHED: Final = (columns.TITLE, columns.BRAND, columns.CATEGORY, columns.DEPARTMENT)


def write_user_features(path: Path, frame: pl.DataFrame) -> None:
    """Put the USER_FEATURES rows into the database at `path`, in place of what was there."""
    _write_table(path, USER_FEATURES, frame, suffix=" WITHOUT ROWID")


def write_item_features(path: Path, frame: pl.DataFrame) -> None:
    """Put the ITEM_FEATURES rows into the database at `path`, with a full-text index over their names."""
    _write_table(path, ITEM_FEATURES, frame)
    with closing(sqlite3.connect(path)) as connection:
        table = sqlite_utils.Database(connection).table(ITEM_FEATURES.name)
        table.create_index([columns.CATEGORY])
        table.create_index(["popularity_rank"])
        table.enable_fts(_SEARCHED, fts_version="FTS5", tokenize="unicode61 remove_diacritics 2")


def write_registry(folder: Path) -> None:
    """Publish the registry as a table of the database in `folder` and as `features.json` beside it."""
    rows = registry_rows()
    with closing(sqlite3.connect(folder / FEATURE_DATABASE)) as connection:
        database = sqlite_utils.Database(connection)
        database.table(REGISTRY_TABLE).insert_all(rows, pk=("entity", "name"), replace=True)
    (folder / REGISTRY_FILE).write_text(
        json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def finish(path: Path) -> None:
    """Gather statistics and compact: the same rows give the same bytes, and readers need no journal."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("ANALYZE")
        connection.execute("VACUUM")


def table_ddl(contract: Contract, *, suffix: str = "") -> str:
    """`CREATE TABLE` for a contract: type, NOT NULL and bounds of every column, and the primary key."""
    lines = [f"  {_column_ddl(name, column)}" for name, column in contract.columns.items()]
    lines.append(f"  PRIMARY KEY ({', '.join(contract.key)})")
    return f"CREATE TABLE {contract.name} (\n" + ",\n".join(lines) + f"\n){suffix}"


def _column_ddl(name: str, column: Column) -> str:
    dtype = column.dtype
    kind = "TEXT" if dtype == pl.String else "REAL" if dtype.is_float() else "INTEGER"
    bounds = [
        f"{name} {sign} {bound:g}"
        for sign, bound in ((">=", column.ge), ("<=", column.le))
        if bound is not None
    ]
    if column.min_length is not None:
        bounds.append(f"length({name}) >= {column.min_length}")
    check = f" CHECK ({' AND '.join(bounds)})" if bounds else ""
    return f"{name} {kind}{'' if column.nullable else ' NOT NULL'}{check}"


def _write_table(path: Path, contract: Contract, frame: pl.DataFrame, *, suffix: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        database = sqlite_utils.Database(connection)
        if contract.name in database.table_names():
            old = database.table(contract.name)
            if old.detect_fts():
                old.disable_fts()
            old.drop()
        connection.execute(table_ddl(contract, suffix=suffix))
    rows = frame.select(*contract.columns).sort(*contract.key).to_arrow(compat_level=pl.CompatLevel.oldest())
    with closing(adbc.connect(str(path))) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(contract.name, rows, mode="append")
        connection.commit()


@dataclass(frozen=True, kw_only=True)
class FeatureReport:
    """What was written."""

    users: int
    """Rows of `user_features`."""
    items: int
    """Rows of `item_features`."""
    as_of: date
    """The day at whose end the values hold."""


def build_features(
    interactions: pl.LazyFrame, catalogue: pl.DataFrame | None, folder: Path, *, as_of: date
) -> FeatureReport:
    """Compute both tables as of `as_of` and replace `folder` by a new one that holds them."""
    users, items = feature_tables(interactions, catalogue, as_of=as_of)
    write_features(users, items, folder)
    return FeatureReport(users=users.height, items=items.height, as_of=as_of)


def write_features(users: pl.DataFrame, items: pl.DataFrame, folder: Path) -> None:
    """Replace `folder` by one with `features.sqlite` and `features.json` of these rows."""
    with replaced_folder(folder) as staged:
        write_user_features(staged / FEATURE_DATABASE, users)
        write_item_features(staged / FEATURE_DATABASE, items)
        write_registry(staged)
        finish(staged / FEATURE_DATABASE)
