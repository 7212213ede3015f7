"""Check results as the ledger keeps them: one row a table and day, its results encoded together.

A row a result would be 57 rows a day, four times the time and twice the bytes. Read without polars, since the API's
processes load none.
"""

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from operator import methodcaller
from typing import Any, Final, Literal, NamedTuple

import msgspec

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS day_results (
    table_name TEXT NOT NULL, day TEXT NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('ok', 'warn', 'block')),
    checked_at TEXT NOT NULL, results BLOB NOT NULL,
    PRIMARY KEY (table_name, day)
);
CREATE INDEX IF NOT EXISTS day_results_day ON day_results (day);
CREATE INDEX IF NOT EXISTS day_results_verdict ON day_results (verdict, day) WHERE verdict <> 'ok';
"""
"""`day` is empty for a whole table; `verdict` is the worst of `results`."""

_SEVERITY: Final = {"ok": 0, "warn": 1, "block": 2}
_HAS_FORMER: Final = "SELECT 1 FROM sqlite_master WHERE name = 'check_results'"
_FORMER: Final = """
SELECT table_name, day, checked_at, check_name, verdict, passed_share, failing_rows, value,
       warn_below, block_below, warn_above, block_above, detail, sample
FROM check_results ORDER BY table_name, day, check_name
"""


class StoredResult(msgspec.Struct, frozen=True, array_like=True):
    """One check's newest result on one table and day; the fields are those of `CheckResult`.

    A day has 57: they are given by position, in a quarter of the time of names.
    """

    check: str
    """The check's name."""
    verdict: Literal["ok", "warn", "block"]
    """The verdict."""
    passed_share: float | None
    """Share of rows that pass."""
    failing_rows: int
    """Number of rows that fail."""
    value: float | None
    """The measured value."""
    warn_below: float | None
    """Bound of the share or value."""
    block_below: float | None
    """Bound of the share or value."""
    warn_above: float | None
    """Bound of the value."""
    block_above: float | None
    """Bound of the value."""
    detail: str
    """One sentence."""
    sample: list[dict[str, Any]]
    """Some of the failing rows."""


class StoredDay(NamedTuple):
    """The results of one table and day."""

    table: str
    """The table's name."""
    day: str
    """The partition, `2017-01-01`; empty for a whole table."""
    results: list[StoredResult]
    """By check."""


_DECODER: Final = msgspec.msgpack.Decoder(list[StoredResult])
_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=methodcaller("item"))  # NumPy's numbers


def put_results(
    connection: sqlite3.Connection, table: str, day: str, results: Iterable[StoredResult], *, at: str
) -> None:
    """Store `results`; each replaces the same check's last result for that table and day."""
    key = (table, day)
    row = connection.execute(
        "SELECT results FROM day_results WHERE table_name = ? AND day = ?", key
    ).fetchone()
    verdict, encoded = joined_results(row[0] if row else None, results)
    connection.execute(
        "INSERT OR REPLACE INTO day_results VALUES (?,?,?,?,?)", (table, day, verdict, at, encoded)
    )


def joined_results(before: bytes | None, results: Iterable[StoredResult]) -> tuple[str, bytes]:
    """Return the worst verdict and the encoding of a day's results; each of `results` replaces the one before."""
    newest = {result.check: result for result in decode_results(before)} if before is not None else {}
    newest |= {result.check: result for result in results}
    kept = [newest[check] for check in sorted(newest)]
    worst = max((result.verdict for result in kept), key=_SEVERITY.__getitem__, default="ok")
    return worst, zlib.compress(_ENCODER.encode(kept), 1)


def decode_results(encoded: bytes) -> list[StoredResult]:
    """Return what a row's `results` holds, by check."""
    return _DECODER.decode(zlib.decompress(encoded))


def stored_days(
    connection: sqlite3.Connection, where: str = "", values: Iterable[object] = ()
) -> Iterator[StoredDay]:
    """Yield the rows of `day_results` that a clause selects, in its order."""
    query = f"SELECT table_name, day, results FROM day_results {where}"  # noqa: S608  constants of the callers
    with closing(connection.execute(query, tuple(values))) as rows:
        for table, day, results in rows:
            yield StoredDay(table, day, decode_results(results))


def prepare_results(connection: sqlite3.Connection) -> None:
    """Create `day_results` where it is missing; move the results of a ledger that has a row a result into it."""
    connection.executescript(_SCHEMA)
    if connection.execute(_HAS_FORMER).fetchone() is None:
        return
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        if connection.execute(_HAS_FORMER).fetchone() is None:
            return  # another process was faster
        found: dict[tuple[str, str, str], list[StoredResult]] = {}
        for table, day, at, *fields, sample in connection.execute(_FORMER):
            values = dict(zip(StoredResult.__struct_fields__, [*fields, json.loads(sample)], strict=True))
            found.setdefault((table, day, at), []).append(StoredResult(**values))
        for (table, day, at), results in found.items():
            put_results(connection, table, day, results, at=at)
        connection.execute("DROP TABLE check_results")
