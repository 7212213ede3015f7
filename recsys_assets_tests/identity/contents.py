"""The content of a file as JSON: values and types, never bytes that may change without a change of meaning."""

import hashlib
import html
import json
import re
import sqlite3
import tomllib
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from recsys_assets.quality.stored_results import decode_results
from recsys_assets_tests.identity.normalise import json_value, text

_INDEX_REPORT: Final = "item_index.json"
_TIMED: Final = ("grid", "graph", "forecast", "why")
"""Entries of the index's report and of its copy in the manifest that a search by timings chose."""
_RENAMED: Final = {"day_results": "check_results"}
"""Table -> the name of its former form, which has the same content."""
_CLOCK_COLUMNS: Final = ("accepted_at", "checked_at", "received_at")


def content(path: Path, places: Mapping[str, str]) -> Any:
    """The content of one file, by its suffix; only "there" for a kind that holds nothing to compare."""
    reader = _READERS.get(path.suffix)
    return "there" if reader is None else reader(path, places)


def digest(parts: Iterable[bytes]) -> str:
    """Twelve hexadecimal digits of the SHA-256 of the parts."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()[:12]


def _parquet(path: Path, _: Mapping[str, str]) -> Any:
    frame = pl.read_parquet(path, hive_partitioning=False)
    columns = {name: f"{frame[name].dtype} {_column(frame[name])}" for name in frame.columns}
    return {"rows": len(frame), "order": ", ".join(frame.columns), "column": columns}


def _column(series: pl.Series) -> str:
    return digest([json.dumps(series.to_list(), default=repr).encode()])


def _array(path: Path, _: Mapping[str, str]) -> Any:
    array = np.load(path, allow_pickle=False)
    total = np.abs(array.astype(np.float64)).sum()
    return f"{array.dtype} {array.shape} {digest([array.tobytes()])} sum {total:.6g}"


def _json(path: Path, places: Mapping[str, str]) -> Any:
    found = json.loads(path.read_text(encoding="utf-8"))
    if path.name == "manifest.json":
        # checksums and lineage follow from bytes, which may hold fingerprints and timings
        found = {**found, "files": sorted(found["files"]), "lineage": sorted(found["lineage"])}
        found.pop("seal", None)
        found["index"] = _untimed(found["index"])
    if path.name == _INDEX_REPORT:
        found = _untimed(found)
    return json_value(found, places)


def _untimed(report: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in report.items() if key not in _TIMED}


def _json_lines(path: Path, places: Mapping[str, str]) -> Any:
    return [json_value(json.loads(line), places) for line in path.read_text(encoding="utf-8").splitlines()]


def _toml(path: Path, places: Mapping[str, str]) -> Any:
    raw = path.read_text(encoding="utf-8")
    table = json.loads(json.dumps(tomllib.loads(raw), default=str))
    return {"values": json_value(table, places), "text": text(raw, places).splitlines()}


def _report(path: Path, places: Mapping[str, str]) -> Any:
    """The words of a page without its scripts, styles and pictures."""
    raw = re.sub(r"(?s)<(style|script)\b.*?</\1>", "", path.read_text(encoding="utf-8"))
    words = html.unescape(re.sub(r"<[^>]+>", "\n", raw))
    return [line for line in (text(line.strip(), places) for line in words.splitlines()) if line]


def _sqlite(path: Path, places: Mapping[str, str]) -> Any:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        objects = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
        tables = [name for kind, name, _ in objects if kind == "table"]
        return {
            "schema": {f"{kind} {name}": sql for kind, name, sql in objects},
            "tables": {_RENAMED.get(name, name): _table(connection, name, places) for name in tables},
        }


def _table(connection: sqlite3.Connection, name: str, places: Mapping[str, str]) -> Any:
    cursor = connection.execute(f'SELECT * FROM "{name}"')
    names = [column[0] for column in cursor.description]
    kept = [place for place, column in enumerate(names) if column not in _CLOCK_COLUMNS]
    rows = [[row[place] for place in kept] for row in cursor]
    if name in {"check_results", "day_results"}:  # one row a result, or one a table and day
        entries = [dict(zip((names[place] for place in kept), row, strict=True)) for row in rows]
        return _verdicts(entries if name == "check_results" else _single_results(entries), places)
    return {"rows": len(rows), "content": digest(sorted(repr(row).encode() for row in rows))}


def _single_results(days: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results of the rows of `day_results`, as the rows of `check_results`."""
    return [
        {
            "table_name": day["table_name"],
            "day": day["day"],
            "check_name": result.check,
            **{field: getattr(result, field) for field in result.__struct_fields__ if field != "check"},
            "sample": json.dumps(result.sample, ensure_ascii=False),
        }
        for day in days
        for result in decode_results(day["results"])
    ]


def _verdicts(entries: list[dict[str, Any]], places: Mapping[str, str]) -> Any:
    """`table/day/check` -> everything that was found."""
    found: dict[str, Any] = {}
    for entry in entries:
        key = "/".join(str(entry.pop(column)) for column in ("table_name", "day", "check_name"))
        found[key] = json_value(entry, places)
    return found


_READERS: Final[dict[str, Callable[[Path, Mapping[str, str]], Any]]] = {
    ".parquet": _parquet,
    ".npy": _array,
    ".json": _json,
    ".jsonl": _json_lines,
    ".toml": _toml,
    ".html": _report,
    ".sqlite": _sqlite,
}
