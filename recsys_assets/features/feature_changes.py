"""Differences between the feature tables of two releases or builds: features, rows, and the values of each.

The API imports this: standard library and msgspec only.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.storage.field_changes import FieldChange, changed_fields
from recsys_assets.storage.home import FEATURE_DATABASE

_TABLES: Final = {"user": ("user_features", "user_id"), "item": ("item_features", "item_id")}
MOST_ROWS: Final = 100_000
"""Rows of a table whose values are compared where a caller does not wait for more, about 1 s."""
_NUMBERS: Final = ("INTEGER", "REAL")
_SAME: Final = 1e-9
"""Relative difference up to which two numbers are the same: sums of many may differ in their last digits."""


class ColumnChange(msgspec.Struct, frozen=True, kw_only=True):
    """One feature whose values changed."""

    name: str
    """The feature."""
    rows: int
    """Compared rows with another value."""
    share: float
    """Share of the compared rows, 0-1."""
    before: float | None = None
    """Mean over the compared rows before; None where it is no number."""
    after: float | None = None
    """Mean over the same rows after."""


class TableChanges(msgspec.Struct, frozen=True, kw_only=True):
    """The features of users or of items, before and after."""

    entity: Literal["user", "item"]
    """The table."""
    rows_before: int
    """Rows before."""
    rows_after: int
    """Rows after."""
    rows_added: int
    """Ids that are there after only."""
    rows_gone: int
    """Ids that were there before only."""
    compared: int
    """Rows of both whose values were compared."""
    changed: int
    """Rows of these with another value in any feature of both."""
    added: list[str] = []
    """Features that are there after only."""
    removed: list[str] = []
    """Features that were there before only."""
    redefined: list[FieldChange] = []
    """Properties of the features of both that changed, such as `price.unit`."""
    columns: list[ColumnChange] = []
    """Features of both with other values, the most changed first."""


def compare_features(before: Path, after: Path, *, rows: int | None = None) -> list[TableChanges]:
    """Compare the features of users, then those of items.

    Args:
        before: a folder with the feature database.
        after: another one.
        rows: most rows of a table whose values are compared, the first ones before; all where None.

    Raises:
        BrokenReleaseError: a database cannot be read.
    """
    files = [folder / FEATURE_DATABASE for folder in (before, after)]
    try:
        with closing(sqlite3.connect(_uri(files[0]), uri=True)) as connection:
            connection.execute("ATTACH ? AS later", (_uri(files[1]),))
            return [_table_changes(connection, entity, rows) for entity in ("user", "item")]
    except sqlite3.DatabaseError as error:
        raise BrokenReleaseError(
            f"{files[0]} and {files[1]}: cannot be compared ({error}); build the features again (`recsys build`)"
        ) from error


def _uri(file: Path) -> str:
    return f"file:{quote(str(file.resolve()))}?mode=ro&immutable=1"


def _table_changes(
    connection: sqlite3.Connection, entity: Literal["user", "item"], rows: int | None
) -> TableChanges:
    table, key = _TABLES[entity]
    types = [
        {row[1]: row[2] for row in connection.execute(f"PRAGMA {schema}.table_info({table})")}
        for schema in ("main", "later")
    ]
    shared_rows = f"main.{table} JOIN later.{table} USING ({key})"
    rows_before, rows_after, shared = (
        connection.execute(f"SELECT count(*) FROM {where}").fetchone()[0]  # noqa: S608
        for where in (f"main.{table}", f"later.{table}", shared_rows)
    )
    registries = [_registry(connection, schema, entity) for schema in ("main", "later")]
    common = [name for name in types[0] if name in types[1] and name != key]
    numbers = {name for name in common if types[0][name] in _NUMBERS and types[1][name] in _NUMBERS}
    compared, changed, columns = _compared(connection, (table, key), common, numbers, rows)
    return TableChanges(
        entity=entity,
        rows_before=rows_before,
        rows_after=rows_after,
        rows_added=rows_after - shared,
        rows_gone=rows_before - shared,
        compared=compared,
        changed=changed,
        added=[name for name in types[1] if name not in types[0]],
        removed=[name for name in types[0] if name not in types[1]],
        redefined=changed_fields(*({name: found.get(name) for name in common} for found in registries)),
        columns=sorted(columns, key=lambda column: (-column.rows, column.name)),
    )


def _registry(connection: sqlite3.Connection, schema: str, entity: str) -> dict[str, dict[str, Any]]:
    sql = f"SELECT * FROM {schema}.feature_registry WHERE entity = ? ORDER BY rowid"  # noqa: S608
    cursor = connection.execute(sql, (entity,))
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    return {row.pop("name"): row for row in rows}


def _compared(
    connection: sqlite3.Connection,
    place: tuple[str, str],
    names: Sequence[str],
    numbers: set[str],
    rows: int | None,
) -> tuple[int, int, list[ColumnChange]]:
    """Return the number of rows compared, of those that changed, and the columns that changed in any."""
    table, key = place
    pairs, sums = ["0"], ["count(*)"]
    for at, name in enumerate(names):
        one, other = f'one."{name}"', f'other."{name}"'
        differs = f"{one} IS NOT {other}"
        if name in numbers:
            near = f"abs({one} - {other}) <= {_SAME} * max(abs({one}), abs({other}))"
            differs += f" AND NOT coalesce({near}, 0)"
            sums.append(f"coalesce(sum(d{at}), 0), avg(b{at}), avg(a{at})")
            pairs.append(f"{one} AS b{at}, {other} AS a{at}")
        else:
            sums.append(f"coalesce(sum(d{at}), 0), NULL, NULL")
        pairs.append(f"{differs} AS d{at}")
    any_differs = " OR ".join(["0", *(f"d{at}" for at in range(len(names)))])
    limit = "" if rows is None else f"LIMIT {rows}"
    sql = (
        f"WITH one AS MATERIALIZED (SELECT * FROM main.{table} {limit}),"  # noqa: S608
        f" pairs AS MATERIALIZED (SELECT {', '.join(pairs)} FROM one JOIN later.{table} AS other USING ({key}))"
        f" SELECT {', '.join(sums)}, coalesce(sum({any_differs}), 0) FROM pairs"
    )
    compared, *values, changed = connection.execute(sql).fetchone()
    changes = [
        ColumnChange(
            name=name, rows=found, share=found / max(1, compared), before=mean_before, after=mean_after
        )
        for name, found, mean_before, mean_after in zip(
            names, values[::3], values[1::3], values[2::3], strict=True
        )
    ]
    return compared, changed, [change for change in changes if change.rows]
