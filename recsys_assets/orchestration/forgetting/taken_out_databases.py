"""Users taken out of SQLite files while others have them open: rows deleted, cells blanked, freed pages given back."""

import contextlib
import json
import sqlite3
import time
import zlib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec

from recsys_assets.errors import ForgetError
from recsys_assets.intake.events_database import forget_in_memory
from recsys_assets.orchestration.forgetting.scanned_databases import (
    SHORTEST_IN_BYTES,
    rows_with_ids,
    tables_of,
)
from recsys_assets.orchestration.forgetting.scanned_files import unpacked
from recsys_assets.orchestration.forgetting.wanted_ids import WantedIds, holds_users
from recsys_assets.storage.atomic import named
from recsys_assets.storage.database_urls import quoted_part

_BUSY_SECONDS: Final = 30.0
"""Longest wait for others to end what they do with the file."""
_PAUSE_SECONDS: Final = 0.1
_ZLIB: Final = b"\x78"
_ROWID: Final = "rowid"


def take_out_of_database(
    path: Path, wanted: WantedIds, *, grow_version: bool = False, busy_seconds: float = _BUSY_SECONDS
) -> int:
    """Take users out of every table of a database, durably, and return the number of rows and cells.

    A row with a user in a column of users is deleted; elsewhere only the id goes (`WantedIds.without`). Then the file
    is written again without free pages and its journal is emptied, also where an earlier try deleted the rows. Others
    may read and write it meanwhile.

    Args:
        path: the database.
        wanted: the users.
        grow_version: count `PRAGMA user_version` up where rows go, for those who follow the file.
        busy_seconds: longest wait for others.

    Raises:
        ForgetError: another process holds it for longer than `busy_seconds`.
        sqlite3.Error: it cannot be read or written.
    """
    with (
        named(path),
        closing(sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)) as connection,
    ):
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                changed = sum(
                    _take_out_of_table(connection, table, names, wanted)
                    for table, names in tables_of(connection)
                )
                if changed and grow_version:
                    forget_in_memory(connection)
            if changed or _has_spelling(path, wanted):
                connection.execute("VACUUM")
            if path.with_name(f"{path.name}-wal").exists():
                _empty_journal(connection, path, busy_seconds)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) and "busy" not in str(error):
                raise
            raise ForgetError(
                f"{path}: another process holds it ({error}); end it, then run `recsys forget` again"
            ) from error
    return changed


def _take_out_of_table(
    connection: sqlite3.Connection, table: str, names: list[str], wanted: WantedIds
) -> int:
    keys = _keys_of(connection, table)
    shown = ", ".join(map(_column, keys))
    where = " AND ".join(f"{_column(key)} IS ?" for key in keys)
    changed = 0
    # read first: rows must not change under the statement that finds them
    found = list(rows_with_ids(connection, table, names, wanted, key=f"{shown}, "))
    for row in found:
        key, cells = row[: len(keys)], dict(zip(names, row[len(keys) :], strict=True))
        if any(_is_users(cell, name, wanted) for name, cell in cells.items()):
            changed += connection.execute(f"DELETE FROM {quoted_part(table)} WHERE {where}", key).rowcount  # noqa: S608  quoted names
            continue
        new = {name: without_in_cell(cell, name, wanted) for name, cell in cells.items() if cell is not None}
        blanked = {name: cell for name, (cell, number) in new.items() if number}
        if blanked:
            values = ", ".join(f"{quoted_part(name)} = ?" for name in blanked)
            connection.execute(
                f"UPDATE OR REPLACE {quoted_part(table)} SET {values} WHERE {where}",  # noqa: S608  quoted names
                (*blanked.values(), *key),
            )
            changed += sum(number for _, number in new.values())
    return changed


def without_in_cell(cell: Any, field: str, wanted: WantedIds) -> tuple[Any, int]:
    """Return a cell of a database without the ids, in its own encoding, and their number."""
    if not isinstance(cell, bytes):
        return wanted.without(cell, field) if isinstance(cell, str) else (cell, 0)
    packed, content = False, cell
    if cell.startswith(_ZLIB):
        with contextlib.suppress(zlib.error):
            content, packed = zlib.decompress(cell), True
    value = unpacked(content)
    found, number = wanted.without(value, field)
    if not number:
        return cell, 0
    if isinstance(value, str):
        text = found if isinstance(found, str) else json.dumps(found)
        encoded = text.encode(errors="surrogateescape")
    else:
        encoded = msgspec.msgpack.encode(found)
    return (zlib.compress(encoded, 1) if packed else encoded), number


def _is_users(cell: Any, field: str, wanted: WantedIds) -> bool:
    return (
        isinstance(cell, str | int)
        and str(cell) in wanted.ids
        and holds_users(field)
        and wanted.count_in(cell, field) > 0
    )


def _keys_of(connection: sqlite3.Connection, table: str) -> Sequence[str]:
    """Return the columns that name a row: `rowid`, or the primary key of a table without one."""
    try:
        connection.execute(f"SELECT rowid FROM {quoted_part(table)} LIMIT 1")  # noqa: S608  a quoted name
    except sqlite3.OperationalError:
        columns = connection.execute(f"PRAGMA table_info({quoted_part(table)})").fetchall()
        return [column[1] for column in sorted(columns, key=lambda column: column[5]) if column[5]]
    return [_ROWID]


def _column(key: str) -> str:
    return key if key == _ROWID else quoted_part(key)


def _has_spelling(path: Path, wanted: WantedIds) -> bool:
    """Return True where bytes of the file are those of an id, which a run that was cut short may have left.

    A short id is anywhere by chance. Its deleted rows are overwritten all the same, by SQLite's `secure_delete`.
    """
    long = [form.encode() for form in wanted.spellings if len(form.encode()) >= SHORTEST_IN_BYTES]
    content = path.read_bytes() if long else b""
    return any(form in content for form in long)


def _empty_journal(connection: sqlite3.Connection, path: Path, busy_seconds: float) -> None:
    """Copy the journal into the file and cut it to nothing, once no reader needs its pages."""
    end = time.monotonic() + busy_seconds
    while True:
        ((busy, *_),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        if not busy:
            return
        if time.monotonic() > end:
            raise ForgetError(
                f"{path}-wal: another process reads it all the time, so deleted rows stay in it; end that process, "
                "then run `recsys forget` again"
            )
        time.sleep(_PAUSE_SECONDS)
