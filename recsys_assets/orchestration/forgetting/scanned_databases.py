"""SQLite files read for ids: every cell of every table, and the bytes that deleted rows may have left."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from recsys_assets.orchestration.forgetting.scanned_files import Place, count_in_blob
from recsys_assets.orchestration.forgetting.wanted_ids import USER_WORDS, WantedIds, holds_users, is_id_field
from recsys_assets.storage.database_urls import open_to_read, quoted_part

SQLITE: Final = b"SQLite format 3\x00"
BESIDE: Final = ("-wal", "-journal")
"""Endings of the files in which SQLite keeps pages beside a database."""
_PACKED: Final = "'7801', '785E', '789C', '78DA', '1F8B', '28B5', '425A', 'FD37', '504B', '5041', '4152'"
"""First two bytes of blobs that are packed or are files: zlib, gzip, zstd, bzip2, xz, zip, Parquet, Arrow."""
_IS_PACKED: Final = f"(typeof({{0}}) = 'blob' AND hex(substr({{0}}, 1, 2)) IN ({_PACKED}))"
_HAS_ONE: Final = "EXISTS (SELECT 1 FROM {} WHERE instr({{0}}, one) OR instr({{0}}, CAST(one AS BLOB)))"
"""True of a cell with the characters of one of the spellings; a table of them, for a statement has a greatest size."""
SHORTEST_IN_BYTES: Final = 5
"""Bytes of the shortest id that is looked for in pages that are free: a shorter one is anywhere by chance."""


def is_database(path: Path) -> bool:
    """Return True for an SQLite file."""
    with path.open("rb") as file:
        return file.read(len(SQLITE)) == SQLITE


def places_in_database(path: Path, wanted: WantedIds) -> Iterator[Place]:
    """Yield the tables and columns of an SQLite file that name a user, and `freed bytes` where deleted rows do.

    A cell counts as everywhere: by the name of its column. Free pages, the free bytes within pages, and pages that a
    journal beside the file still has, are read for ids of `SHORTEST_IN_BYTES` or more: bytes that a copy of the live
    rows alone does not have are those of deleted ones.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    with closing(open_to_read(path)) as connection:
        for table, names in tables_of(connection):
            yield from _in_table(connection, table, names, wanted)
        yield from _freed(path, connection, wanted)


def tables_of(connection: sqlite3.Connection) -> list[tuple[str, list[str]]]:
    """Return each table that has rows of its own, with the names of its columns."""
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    tables = []
    for (table,) in found:
        try:
            columns = connection.execute(f"PRAGMA table_info({quoted_part(table)})").fetchall()
            connection.execute(f"SELECT 1 FROM {quoted_part(table)} LIMIT 1")  # noqa: S608  a quoted name
        except sqlite3.OperationalError:
            continue  # a virtual table whose module is not loaded: its rows are in tables of their own
        tables.append((table, [column[1] for column in columns]))
    return tables


def count_in_cell(cell: Any, field: str, wanted: WantedIds) -> int:
    """Return the number of ids in a cell."""
    return count_in_blob(cell, wanted, field) if isinstance(cell, bytes) else wanted.count_in(cell, field)


def rows_with_ids(
    connection: sqlite3.Connection, table: str, names: list[str], wanted: WantedIds, *, key: str = ""
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows that may name a user, found by SQLite itself; `key` is put before their columns.

    A text or blob may where it has the characters of an id, a packed blob always, a number where its column is one
    of users' ids.
    """
    sure, others = (
        [one for one in wanted.spellings if (one in wanted.sure_spellings) is is_sure]
        for is_sure in (True, False)
    )
    named = " OR ".join(f"{{0}} LIKE '%{word}%'" for word in USER_WORDS)
    terms = []
    for name in names:
        behind_words = "1" if holds_users(name) else f"typeof({{0}}) = 'blob' OR {named}"
        text = f"{_HAS_ONE.format('sure')} OR ({behind_words}) AND {_HAS_ONE.format('other')}"
        numbers = (
            [str(int(one)) for one in wanted.cells_of(name) if one.isdecimal()] if is_id_field(name) else []
        )
        forms = f"typeof({{0}}) IN ('text', 'blob') AND ({text}) OR {_IS_PACKED} OR {{0}} IN ({', '.join(numbers)})"
        terms.append(f"({forms.format(quoted_part(name))})")
    query = (
        f"WITH sure(one) AS MATERIALIZED ({_values(sure)}), other(one) AS MATERIALIZED ({_values(others)})"  # noqa: S608  quoted names, and numbers
        f" SELECT {key}* FROM {quoted_part(table)} WHERE {' OR '.join(terms)}"
    )
    yield from connection.execute(query, [*sure, *others])


def _values(rows: list[str]) -> str:
    return f"VALUES {', '.join(['(?)'] * len(rows))}" if rows else "SELECT 1 WHERE 0"


def _in_table(
    connection: sqlite3.Connection, table: str, names: list[str], wanted: WantedIds
) -> Iterator[Place]:
    counts = dict.fromkeys(names, 0)
    for row in rows_with_ids(connection, table, names, wanted):
        for name, cell in zip(names, row, strict=True):
            if cell is not None and not isinstance(cell, float):
                counts[name] += count_in_cell(cell, name, wanted)
    yield from ((f"table {table}, column {name}", count) for name, count in counts.items() if count)


def _freed(path: Path, connection: sqlite3.Connection, wanted: WantedIds) -> Iterator[Place]:
    ids = [one.encode() for one in wanted.ids if len(one.encode()) >= SHORTEST_IN_BYTES]
    files = [path, *(path.with_name(path.name + ending) for ending in BESIDE)]
    contents = [file.read_bytes() for file in files if ids and file.exists()]
    seen = [sum(content.count(one) for content in contents) for one in ids]
    if not any(seen):
        return
    with tempfile.TemporaryDirectory(prefix="recsys-scan-") as folder:
        copy = Path(folder) / "live.sqlite"
        connection.execute("PRAGMA query_only = OFF")  # the copy is another file
        connection.execute("VACUUM INTO ?", (str(copy),))
        live = copy.read_bytes()
    found = sum(max(0, number - live.count(one)) for one, number in zip(ids, seen, strict=True))
    if found:
        yield "freed bytes", found
