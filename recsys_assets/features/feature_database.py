"""The feature database, a SQLite file: DDL from the contracts, rows by ADBC, full-text search by sqlite-utils.

The finished file is only read (`feature_store.py`), so it may be opened as immutable.
"""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl

from recsys_assets import columns
from recsys_assets.features.compute import feature_tables
from recsys_assets.features.contract import ITEM_FEATURES, REGISTRY_FILE, USER_FEATURES, registry_rows
from recsys_assets.features.kind_columns import kinds_of, with_kinds
from recsys_assets.features.table_rows import append_rows, read_rows
from recsys_assets.quality.contract import Column, Contract
from recsys_assets.quality.expectations import CheckResult, expect
from recsys_assets.quality.run_expectations import evaluate
from recsys_assets.storage.atomic import replaced_folder
from recsys_assets.storage.home import FEATURE_DATABASE

_REGISTRY_TABLE: Final = "feature_registry"
"""One row a feature."""
_SEARCHED: Final = (columns.TITLE, columns.BRAND, columns.CATEGORY, columns.DEPARTMENT)


@dataclass(frozen=True, kw_only=True)
class FeatureReport:
    """Numbers of rows written."""

    users: int
    """Rows of `user_features`."""
    items: int
    """Rows of `item_features`."""
    as_of: date
    """UTC day at whose end the values hold."""
    kinds: tuple[str, ...]
    """Names of the kinds that have columns in both tables."""


def build_features(
    interactions: pl.LazyFrame, catalogue: pl.DataFrame | None, folder: Path, *, as_of: date
) -> FeatureReport:
    """Compute both tables as of the end of a day, and replace the artifact in `folder` by them.

    Args:
        interactions: rows of the INTERACTIONS contract; those after `as_of` are ignored.
        catalogue: rows of ITEM_CATALOGUE, or None if the source has none.
        folder: the features artifact.
        as_of: the UTC day.
    """
    users, items = feature_tables(interactions, catalogue, as_of=as_of)
    write_features(users, items, folder)
    return FeatureReport(users=users.height, items=items.height, as_of=as_of, kinds=kinds_of(users.columns))


def write_features(users: pl.DataFrame, items: pl.DataFrame, folder: Path) -> None:
    """Replace `folder` by a new one with `features.sqlite` and `features.json`.

    Args:
        users: rows of USER_FEATURES, with the columns of some kinds.
        items: rows of ITEM_FEATURES, with those of the same kinds.
        folder: the features artifact.
    """
    with replaced_folder(folder) as staged:
        _write_users(staged / FEATURE_DATABASE, users)
        _write_items(staged / FEATURE_DATABASE, items)
        _write_registry(staged, kinds_of(users.columns))
        _finish(staged / FEATURE_DATABASE)


def _write_users(path: Path, frame: pl.DataFrame) -> None:
    contract = with_kinds(USER_FEATURES, kinds_of(frame.columns))
    _write_table(path, contract, frame.sort(*contract.key), suffix=" WITHOUT ROWID")


def _write_items(path: Path, frame: pl.DataFrame) -> None:
    """Write the table with a full-text index over the names of items, the most popular item first.

    A search that matches very many reads the first of them only.
    """
    import sqlite_utils  # noqa: PLC0415  it imports pandas where that is installed: 0.7 s

    popular_first = frame.sort("popularity_rank", *ITEM_FEATURES.key, nulls_last=True)
    _write_table(path, with_kinds(ITEM_FEATURES, kinds_of(frame.columns)), popular_first)
    with closing(sqlite3.connect(path)) as connection:
        table = sqlite_utils.Database(connection).table(ITEM_FEATURES.name)
        table.create_index([columns.CATEGORY])
        table.create_index(["popularity_rank"])
        table.enable_fts(_SEARCHED, fts_version="FTS5", tokenize="unicode61 remove_diacritics 2")


def _write_registry(folder: Path, kinds: tuple[str, ...]) -> None:
    """Write the registry as a table of the database, and as `features.json` beside it."""
    import sqlite_utils  # noqa: PLC0415  as above

    rows = registry_rows(kinds)
    with closing(sqlite3.connect(folder / FEATURE_DATABASE)) as connection:
        database = sqlite_utils.Database(connection)
        database.table(_REGISTRY_TABLE).insert_all(rows, pk=("entity", "name"), replace=True)
    (folder / REGISTRY_FILE).write_text(
        json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _finish(path: Path) -> None:
    """Gather statistics and compact, so that the same rows give the same bytes and readers need no journal."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("ANALYZE")
        connection.execute("VACUUM")


def table_ddl(contract: Contract, *, suffix: str = "") -> str:
    """Return `CREATE TABLE` for a contract: type, NOT NULL and bounds of every column, and the primary key.

    Args:
        contract: the table's columns and key.
        suffix: text after the closing bracket, such as ` WITHOUT ROWID`.
    """
    lines = [f"  {_column_ddl(name, column)}" for name, column in contract.columns.items()]
    lines.append(f"  PRIMARY KEY ({', '.join(contract.key)})")
    return f"CREATE TABLE {contract.name} (\n" + ",\n".join(lines) + f"\n){suffix}"


def _column_ddl(name: str, column: Column) -> str:
    dtype, quoted = column.dtype, _quoted(name)
    kind = "TEXT" if dtype == pl.String else "REAL" if dtype.is_float() else "INTEGER"
    bounds = [
        f"{quoted} {sign} {bound:g}"
        for sign, bound in ((">=", column.ge), ("<=", column.le))
        if bound is not None
    ]
    if column.min_length is not None:
        bounds.append(f"length({quoted}) >= {column.min_length}")
    check = f" CHECK ({' AND '.join(bounds)})" if bounds else ""
    return f"{quoted} {kind}{'' if column.nullable else ' NOT NULL'}{check}"


def _quoted(name: str) -> str:
    """Return a column's name for SQL; that of a kind has a dot."""
    return f'"{name}"'


def _write_table(path: Path, contract: Contract, frame: pl.DataFrame, *, suffix: str = "") -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(table_ddl(contract, suffix=suffix))
    append_rows(path, contract.name, frame.select(*contract.columns))


def read_features(path: Path, contract: Contract) -> pl.DataFrame:
    """Read a feature table back from the database at `path`, with the types of its contract and the kinds' columns."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        written = [row[1] for row in connection.execute(f"PRAGMA table_info({contract.name})")]
    return read_rows(path, contract.name, with_kinds(contract, kinds_of(written)).polars_schema())


def read_ids(path: Path, contract: Contract) -> pl.DataFrame:
    """Read the keys of a feature table's rows from the database at `path`."""
    return read_rows(
        path, contract.name, pl.Schema({name: contract.columns[name].dtype for name in contract.key})
    )


def freshness_result(table: str, *, as_of: date, through_day: date) -> CheckResult:
    """Judge the days that a feature table is behind the interactions: one warns, more than seven block."""
    bounds = expect("days_behind").mean_within(None, 0, block_high=7)
    behind = float((through_day - as_of).days)
    return evaluate([bounds], pl.DataFrame({"days_behind": [behind]}), table=table)[0]
