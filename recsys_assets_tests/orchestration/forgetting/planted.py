"""A home with users planted in every kind of file that names one, outside the lake, the artifacts and the releases."""

import gzip
import html
import json
import sqlite3
import zlib
from contextlib import closing
from datetime import UTC, date, datetime
from urllib.parse import quote

import msgspec
import polars as pl
import pyarrow as pa

from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.quarantine import quarantine_day
from recsys_assets.storage.home import Home

DAY = date(2017, 1, 1)
NOW = datetime(2026, 11, 27, tzinfo=UTC)


def plant(home: Home, users: list[str]) -> None:
    """Write every kind of file, with rows of each user; an item `i1` and the number 12 are in each, too."""
    rows = [
        {"user_id": user, "item_id": f"i{place}", "value": 12.0, "title": f"12 pieces of {place}"}
        for place, user in enumerate(users)
    ]
    _plant_audits(home, rows)
    _plant_databases(home, rows)
    _plant_texts(home, users)
    _plant_tables(home, rows)


def _plant_audits(home: Home, rows: list[dict[str, object]]) -> None:
    failed = CheckResult(
        table="raw_interactions",
        day=DAY,
        check="not_null",
        verdict="block",
        failing_rows=len(rows),
        sample=rows,
        detail=f"user_id={rows[0]['user_id']!r} has 12 rows",
    )
    quarantine_day(home.quarantine, DAY, frame=pl.DataFrame(rows), blocking=[failed])
    with Ledger(home.quality_db) as ledger:
        ledger.record([failed], at=NOW)


def _plant_databases(home: Home, rows: list[dict[str, object]]) -> None:
    with closing(sqlite3.connect(home.events_db)) as events, events:
        events.execute("PRAGMA journal_mode = WAL")
        events.execute(
            "CREATE TABLE events (seq INTEGER PRIMARY KEY, event_id TEXT UNIQUE, user_id TEXT, item_id TEXT)"
        )
        events.execute("CREATE INDEX by_user ON events (user_id)")
        events.execute("CREATE TABLE merges (seq INTEGER PRIMARY KEY, from_user TEXT, to_user TEXT)")
        for place, row in enumerate(rows):
            user = row["user_id"]
            events.execute(
                "INSERT INTO events VALUES (?,?,?,?)", (place + 7, f"e{place}", user, row["item_id"])
            )
            events.execute("INSERT INTO merges VALUES (?,?,?)", (place, user, f"{place}-known"))
    runs = home.dagster / "history" / "runs"
    runs.mkdir(parents=True)
    table = {"records": [{"__class__": "TableRecord", "data": row} for row in rows]}
    with closing(sqlite3.connect(runs / "index.db")) as index, index:
        index.execute("CREATE TABLE event_logs (id INTEGER PRIMARY KEY, event TEXT, packed BLOB)")
        packed = zlib.compress(msgspec.msgpack.encode({"sample": rows}))
        index.execute(
            "INSERT INTO event_logs VALUES (1, ?, ?)", (json.dumps({"metadata": json.dumps(table)}), packed)
        )
        index.execute("CREATE TABLE seen (user_id TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID")
        index.executemany("INSERT INTO seen VALUES (?, 12)", [(row["user_id"],) for row in rows])


def _plant_texts(home: Home, users: list[str]) -> None:
    for folder in (
        home.logs,
        home.reports / "replays",
        home.reports / "date=2017-01-01",
        home.root / "scratch",
    ):
        folder.mkdir(parents=True)
    lines = [f"GET /v1/users/{quote(user, safe='')}/recommendations?k=12 200" for user in users]
    (home.logs / "api.log").write_text("\n".join(lines), encoding="utf-8")
    with gzip.open(home.logs / "api.log.1.gz", "wt", encoding="utf-8") as old:
        old.write("\n".join(lines))
    cells = "".join(f"<tr><td>&quot;{html.escape(user)}&quot;</td><td>12</td></tr>\n" for user in users)
    page = f"<html><body><table><tr><th>user_id</th><th>rows</th></tr>\n{cells}</table><p>12 rows</p></body></html>"
    (home.reports / "date=2017-01-01" / "increment_report.html").write_text(page, encoding="utf-8")
    (home.reports / "date=2017-01-01" / "increment_report.pdf").write_bytes(b"%PDF-1.4 packed")
    (home.reports / "replays" / "1.json").write_text(
        json.dumps({"users": users, "n": 12}, indent=2), encoding="utf-8"
    )
    home.plan.write_bytes(msgspec.json.encode({"lists": [{"user": user, "items": ["i1"]} for user in users]}))
    home.recalls.write_text(
        "".join(f"{json.dumps({'why': f'user {user} is a bot'})}\n" for user in users), encoding="utf-8"
    )
    golden = [f"[[golden]]\nuser = {json.dumps(user)}\nmust = ['i1']  # as in 12\n" for user in users]
    home.golden_file.write_text("# people's\n" + "\n".join(golden), encoding="utf-8")


def _plant_tables(home: Home, rows: list[dict[str, object]]) -> None:
    pl.DataFrame(rows).write_parquet(home.root / "lists.parquet")
    pl.DataFrame(rows).write_csv(home.root / "lists.csv")
    table = pl.DataFrame(rows).to_arrow()
    with (
        pa.OSFile(str(home.scratch / "run.arrow"), "wb") as file,
        pa.ipc.new_file(file, table.schema) as writer,
    ):
        writer.write_table(table)
