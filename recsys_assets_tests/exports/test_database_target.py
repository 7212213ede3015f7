"""Exports to tables of a real SQLite file and a real Postgres server."""

import json
import sqlite3
import sys
from contextlib import closing

import adbc_driver_postgresql.dbapi as pg
import adbc_driver_sqlite.dbapi as lite
import polars as pl
import pytest

from recsys_assets.errors import ExportError, InputError
from recsys_assets.exports.export_lists import ExportRequest, export_lists
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets_tests.exports.half_done import half_done_export

LISTS = ["user_id", "rank", "item_id", "title", "score", "reason", "release", "rules", "scenario"]


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'shop.db'}"
    url = request.getfixturevalue("postgres")
    with closing(pg.connect(url)) as connection, connection.cursor() as cursor:
        for table in ("recommendations", "recommendations_exports", "lists", "lists_exports"):
            cursor.execute(f"DROP TABLE IF EXISTS {table}")
        connection.commit()
    return url


def rows(database: str, query: str) -> pl.DataFrame:
    driver, url = (lite, database[7:]) if database.startswith("sqlite:") else (pg, database)
    with closing(driver.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return pl.from_arrow(cursor.fetch_arrow_table())


def export(home, to, **given):
    return export_lists(home, ExportRequest(to=to, **given))


def test_a_table_has_the_rows_of_a_file_and_a_manifest(home, tmp_path, database):
    export(home, database + "?table=lists", scenario="home", k=4)
    outcome = export(home, database + "?table=lists", scenario="home")
    export(home, str(tmp_path / "lists.parquet"), scenario="home")
    found = rows(database, "SELECT * FROM lists ORDER BY user_id, rank")
    expected = pl.read_parquet(tmp_path / "lists.parquet").sort("user_id", "rank")
    assert found.columns == expected.columns
    assert found.select(LISTS).cast(expected.select(LISTS).schema).equals(expected.select(LISTS))
    manifests = rows(database, "SELECT manifest FROM lists_exports ORDER BY export_id")["manifest"]
    assert len(manifests) == 2
    assert json.loads(manifests[1])["export_id"] == outcome.manifest.export_id
    assert json.loads(manifests[1])["rows"] == found.height


def test_a_delta_makes_the_table_what_a_whole_export_makes_it(growing, database):
    store = ReleaseStore(growing.releases)
    other = next(one.release_id for one in store.list() if one.release_id != store.current_id())
    some = growing.root / "some.txt"
    some.write_text("\n".join([f"u{n}" for n in range(40)] + ["old"]))
    export(growing, database, users=str(some))
    assert not export(growing, database, users=str(some), delta=True).written
    store.promote(other)
    outcome = export(growing, database, delta=True)
    assert outcome.manifest.delta
    assert outcome.manifest.gone == 1
    query = "SELECT user_id, rank, item_id FROM recommendations ORDER BY user_id, rank"
    found = rows(database, query)
    export(growing, database)
    assert found.equals(rows(database, query))
    assert not export(growing, database, delta=True).written


def test_a_table_that_was_dropped_is_exported_whole(home, database):
    export(home, database)
    with closing(sqlite3.connect(database[7:]) if database[:6] == "sqlite" else pg.connect(database)) as one:
        one.cursor().execute("DROP TABLE recommendations")
        one.commit()
    assert not export(home, database, delta=True).manifest.delta
    assert rows(database, "SELECT count(*) AS n FROM recommendations")["n"][0] == 400


def test_a_killed_export_leaves_the_table_before(home, database):
    export(home, database, k=3)
    with half_done_export(home, database):
        pass
    assert rows(database, "SELECT count(*) AS n FROM recommendations")["n"][0] == 120
    assert export(home, database, delta=True).manifest.rows == 400
    assert rows(database, "SELECT count(*) AS n FROM recommendations")["n"][0] == 400


@pytest.mark.parametrize(
    "to",
    [
        "postgres://ada:secret@127.0.0.1:1/shop",
        "postgres://ada:secret@[::1/shop",
        "sqlite:/proc/nowhere/shop.db",
        "sqlite:shop.db?tabel=x",
    ],
)
def test_a_database_that_cannot_be_used_is_one_line_without_the_password(home, monkeypatch, to):
    monkeypatch.chdir(home.root)
    with pytest.raises(InputError) as raised:
        export(home, to)
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_missing_driver_names_the_extra(home, monkeypatch):
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql.dbapi", None)
    with pytest.raises(InputError, match=r"pip install 'recsys-assets\[postgres\]'"):
        export(home, "postgres://shop@127.0.0.1/shop")


def test_rights_that_are_missing_are_said(home, postgres):
    with closing(pg.connect(postgres)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE ROLE reader LOGIN")
        connection.commit()
    with pytest.raises(ExportError, match="permission denied"):
        export(home, postgres.replace("recsys@", "reader@"))
