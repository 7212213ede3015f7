"""`recsys bench sources`: tables of two million events in six formats, recognised and read, against DuckDB.

Ours opens the file as `tabular:PATH` with nothing but a mapping of column names: encoding, separator, times and
decimal marks are recognised from the file, every row is accounted for, and the events come as typed frames. DuckDB is
given every column and its type, and hands the same columns over as Arrow batches. Each run is a process of its own;
opening and reading are timed, not the start of the process.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from recsys_assets.benchmarks.harness import peak_rss_mb, print_result, run_apart

_BATCH_ROWS: Final = 100_000
_CHUNK_ROWS: Final = 500_000
_MAPPED: Final = {
    "user_id": "customer",
    "item_id": "product",
    "timestamp": "created_at",
    "rating": "stars",
    "value": "amount",
    "kind": "event",
}
_TYPES: Final = {
    "event_no": "BIGINT",
    "created_at": "TIMESTAMP",
    "customer": "VARCHAR",
    "product": "VARCHAR",
    "event": "VARCHAR",
    "stars": "FLOAT",
    "amount": "DOUBLE",
    "session": "VARCHAR",
    "note": "VARCHAR",
}
_SELECTED: Final = "customer, product, created_at, stars, amount, event"


@dataclass(frozen=True, kw_only=True)
class _Format:
    """A file's format, and the way that each side reads it."""

    file: str
    """Name of the file."""
    mapped: Mapping[str, str]
    """Our column name -> the file's."""
    query: str
    """DuckDB's statement; `{path}` is the file."""


def _csv_query(**options: str) -> str:
    given = "".join(f", {name} = {value}" for name, value in options.items())
    return f"SELECT {_SELECTED} FROM read_csv('{{path}}', columns = {_TYPES}, header = true{given})"  # noqa: S608


_JSON_TYPES: Final = {**_TYPES, "properties": "STRUCT(product VARCHAR, amount DOUBLE)"}
_FORMATS: Final = {
    "csv": _Format(file="events.csv", mapped=_MAPPED, query=_csv_query()),
    "csv_european": _Format(
        file="events_european.csv",
        mapped=_MAPPED,
        query=_csv_query(delim="';'", decimal_separator="','", timestampformat="'%d.%m.%Y %H:%M'"),
    ),
    "csv_gz": _Format(file="events.csv.gz", mapped=_MAPPED, query=_csv_query(compression="'gzip'")),
    "json_lines": _Format(
        file="events.jsonl",
        mapped=_MAPPED,
        query=f"SELECT {_SELECTED} FROM "  # noqa: S608
        f"read_json('{{path}}', format = 'newline_delimited', columns = {_TYPES})",
    ),
    "json_nested": _Format(
        file="events_nested.jsonl",
        mapped={**_MAPPED, "item_id": "properties.product", "value": "properties.amount"},
        query="SELECT customer, properties.product, created_at, stars, properties.amount, event FROM "  # noqa: S608
        f"read_json('{{path}}', format = 'newline_delimited', columns = {_JSON_TYPES})",
    ),
    "parquet": _Format(
        file="events.parquet",
        mapped=_MAPPED,
        query=f"SELECT {_SELECTED} FROM read_parquet('{{path}}')",  # noqa: S608
    ),
}


def run(*, rows: int = 2_000_000, rounds: int = 3) -> dict[str, Any]:
    """Read tables in six formats into typed events, recognising each format, against DuckDB with types given.

    Args:
        rows: events in each file.
        rounds: runs of each side, alternating; medians are reported.

    Returns:
        By format `rows_per_second` (ours), `duckdb_rows_per_second`, `ratio` (our time to DuckDB's),
        `peak_rss_mb` (ours), `accounted` (rows read and left out are those written) and `file_mb`; then over all
        formats the worst `ratio` and `peak_rss_mb`, and `accounted` of all.
    """
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="recsys-bench-") as folder:
        for name, form in _FORMATS.items():
            path = Path(folder, form.file)
            _write(name, path, rows)
            found[name] = {"file_mb": path.stat().st_size / 1e6, **_compared(name, path, rows, rounds)}
            path.unlink()
    return {
        "formats": found,
        "ratio": max(one["ratio"] for one in found.values()),
        "peak_rss_mb": max(one["peak_rss_mb"] for one in found.values()),
        "accounted": all(one["accounted"] for one in found.values()),
        "rows": rows,
    }


def _compared(name: str, path: Path, rows: int, rounds: int) -> dict[str, Any]:
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "duckdb": []}
    for _ in range(rounds):
        for side, done in runs.items():
            done.append(run_apart("recsys_assets.benchmarks.bench_sources", side, name, str(path)))
    ours, theirs = (median(one["seconds"] for one in runs[side]) for side in ("ours", "duckdb"))
    return {
        "rows_per_second": rows / ours,
        "duckdb_rows_per_second": rows / theirs,
        "ratio": ours / theirs,
        "peak_rss_mb": max(one["peak_rss_mb"] for one in runs["ours"]),
        "accounted": all(one["rows"] + one["aside"] == rows for one in runs["ours"] + runs["duckdb"]),
    }


def _write(name: str, path: Path, rows: int) -> None:
    """Write `rows` events in a format, in chunks, so that this process stays small."""
    if name == "parquet":
        _written_parquet(path, rows)
        return
    from isal import igzip  # noqa: PLC0415  not in DuckDB's process

    with igzip.open(path, "wb") if path.suffix == ".gz" else path.open("wb") as file:
        for first in range(0, rows, _CHUNK_ROWS):
            file.write(_text(name, first, min(_CHUNK_ROWS, rows - first)))


def _written_parquet(path: Path, rows: int) -> None:
    import polars as pl  # noqa: PLC0415  not in DuckDB's process

    chunks = (_events(first, min(_CHUNK_ROWS, rows - first)) for first in range(0, rows, _CHUNK_ROWS))
    pl.concat(chunks).write_parquet(path)


def _text(name: str, first: int, rows: int) -> bytes:
    import polars as pl  # noqa: PLC0415  not in DuckDB's process

    events = _events(first, rows)
    pattern = "%d.%m.%Y %H:%M" if name == "csv_european" else "%Y-%m-%d %H:%M:%S"
    events = events.with_columns(pl.col("created_at").dt.strftime(pattern))
    if name.startswith("csv"):
        european = name == "csv_european"
        text: str = events.write_csv(
            separator=";" if european else ",", decimal_comma=european, include_header=first == 0
        )
        return text.encode()
    if name == "json_nested":
        events = events.with_columns(pl.struct("product", "amount").alias("properties"))
        events = events.drop("product", "amount")
    lines: str = events.write_ndjson()
    return lines.encode()


def _events(first: int, rows: int) -> Any:
    """Return events in the order of their time, of 50,000 users and 10,000 items."""
    import numpy as np  # noqa: PLC0415  not in DuckDB's process
    import polars as pl  # noqa: PLC0415

    draw = np.random.default_rng(first)
    kinds = np.array(["view", "cart", "purchase"])
    number = pl.Series("event_no", np.arange(first, first + rows))
    return pl.DataFrame(
        {
            "event_no": number,
            "created_at": (number * 7_000_000 + 1_672_531_200_000_000).cast(pl.Datetime("us")),
            "customer": pl.Series(draw.integers(0, 50_000, rows)),
            "product": pl.Series(draw.integers(0, 10_000, rows)),
            "event": kinds[draw.integers(0, 3, rows)],
            "stars": draw.integers(1, 6, rows),
            "amount": np.round(draw.uniform(0, 100, rows), 2),
            "session": pl.Series(draw.integers(0, 10**9, rows)),
            "note": "seen on the home page",
        }
    ).with_columns(
        pl.format("u{}", "customer").alias("customer"),
        pl.format("P{}", "product").alias("product"),
        pl.format("s{}", "session").alias("session"),
    )


def _ours(form: _Format, path: str) -> Callable[[], dict[str, int]]:
    from recsys_assets.lake.files.rows_aside import RowsAside  # noqa: PLC0415
    from recsys_assets.lake.sources.registry import open_source  # noqa: PLC0415  not in DuckDB's process

    def read() -> dict[str, int]:
        aside = RowsAside()
        source = open_source(f"tabular:{path}", columns=form.mapped)
        rows = sum(batch.height for batch in source.batches(aside))
        return {"rows": rows, "aside": aside.total - aside.kept}

    return read


def _duckdb(form: _Format, path: str) -> Callable[[], dict[str, int]]:
    import duckdb  # noqa: PLC0415  not in our process
    import pyarrow as pa  # noqa: F401, PLC0415  loaded before the time is taken

    def read() -> dict[str, int]:
        batches = duckdb.sql(form.query.replace("{path}", path)).to_arrow_reader(_BATCH_ROWS)
        return {"rows": sum(batch.num_rows for batch in batches), "aside": 0}

    return read


def _main(side: str, name: str, path: str) -> None:
    read = (_ours if side == "ours" else _duckdb)(_FORMATS[name], path)
    start = time.perf_counter()
    found = read()
    print_result({"seconds": time.perf_counter() - start, "peak_rss_mb": peak_rss_mb(), **found})


if __name__ == "__main__":
    _main(*sys.argv[1:])
