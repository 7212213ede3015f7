"""Sources that are queries: a real SQLite file and a real Postgres server, in their own types, never written."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import adbc_driver_postgresql.dbapi as pg
import polars as pl
import pytest
from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets.errors import InputError, SourceFormatError, SourceNotFoundError
from recsys_assets.lake.files.query_tables import open_query
from recsys_assets.lake.files.rows_aside import RowsAside
from recsys_assets.lake.sources.tabular import Tabular
from recsys_assets.source_settings import ReadingSettings
from recsys_assets.storage.database_urls import is_query, settings_spec
from recsys_assets_tests.database_servers import running_postgres

READING = ReadingSettings()
ORDERS = [("007", "tea", 1_700_000_000, 2, 3.5), ("8", "jam", 1_700_090_000, 1, None)]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_postgres() as url:
        execute(
            url,
            "CREATE TYPE kind AS ENUM ('view', 'purchase')",
            "CREATE TABLE orders (customer uuid, sku text, at timestamptz, local timestamp, day date, pieces int,"
            " price numeric(10, 2), kind kind, paid boolean)",
            "INSERT INTO orders VALUES ('6a2f41a3-c54c-fce8-32d2-0324e1c32e22', 'tea', '2023-11-14 23:13:20+01',"
            " '2023-11-14 10:00:00', '2023-11-14', 2, 3.50, 'purchase', true), (NULL, 'jam', NULL, NULL, NULL,"
            " NULL, NULL, 'view', false)",
        )
        yield url


def execute(url: str, *statements: str) -> None:
    with closing(pg.connect(url)) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        connection.commit()


@pytest.fixture
def shop(tmp_path) -> Path:
    file = tmp_path / "the shop.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE orders (customer, sku TEXT, at INTEGER, pieces INTEGER, price REAL)")
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", ORDERS)
        connection.commit()
    return file


def read(spec: str) -> pl.DataFrame:
    table = open_query(spec, READING)
    return pl.concat([chunk.frame for chunk in table.chunks(table.column_names(), RowsAside())])


def test_a_sqlite_table_and_a_query_have_its_rows_and_types(shop):
    whole = read(f"sqlite:{shop}?table=orders")
    assert whole.rows() == ORDERS
    assert whole.dtypes == [pl.String, pl.String, pl.Int64, pl.Int64, pl.Float64]
    some = read(
        f"sqlite:{shop}?query=SELECT sku, pieces + 1 AS more FROM orders WHERE sku LIKE 't%' ORDER BY at;"
    )
    assert some.rows() == [("tea", 3)]
    assert read(f"sqlite:{shop}?query=SELECT+sku+FROM+orders+LIMIT%201").rows() == [("tea",)]


def test_a_query_is_a_source_of_events(shop):
    table = open_query(f"sqlite:{shop}?table=orders", READING)
    source = Tabular(
        [table],
        columns={
            "user_id": "customer",
            "item_id": "sku",
            "timestamp": "at",
            "quantity": "pieces",
            "value": "price",
        },
        reading=READING,
    )
    events = pl.concat(source.batches())
    assert events["user_id"].to_list() == ["007", "8"]
    assert events["timestamp"].to_list() == [datetime.fromtimestamp(order[2], UTC) for order in ORDERS]
    assert events["quantity"].to_list() == [2.0, 1.0]


def test_a_sqlite_file_that_is_written_has_another_fingerprint(shop):
    before = open_query(f"sqlite:{shop}?table=orders", READING).fingerprint()
    assert open_query(f"sqlite:{shop}?table=orders", READING).fingerprint() == before
    with closing(sqlite3.connect(shop)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("DELETE FROM orders")
        connection.commit()
        assert open_query(f"sqlite:{shop}?table=orders", READING).fingerprint() != before


def test_a_postgres_query_comes_in_the_servers_types(server):
    found = read(f"{server}?table=orders")
    assert found["at"].to_list() == [datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), None]
    assert found["local"][0] == datetime(2023, 11, 14, 10)  # noqa: DTZ001  the column has no zone
    assert found["day"][0] == date(2023, 11, 14)
    assert found["pieces"].dtype.is_integer()
    assert found["price"].cast(pl.Float64)[0] == 3.5
    assert found["kind"].cast(pl.String).to_list() == ["purchase", "view"]
    assert found["customer"].cast(pl.String).to_list() == ["6a2f41a3-c54c-fce8-32d2-0324e1c32e22", None]
    assert read(f"{server}?query=SELECT sku FROM orders WHERE price > 3 AND sku LIKE 't%'").rows() == [
        ("tea",)
    ]


def test_a_postgres_source_changes_when_its_own_tables_do(server):
    execute(server, "CREATE TABLE others (n int)", "CREATE VIEW bought AS SELECT * FROM orders")
    of_orders = open_query(f"{server}?query=SELECT * FROM bought WHERE paid", READING)
    before = of_orders.fingerprint()
    execute(server, "INSERT INTO others VALUES (1)")
    assert of_orders.fingerprint() == before
    execute(server, "INSERT INTO orders (sku) VALUES ('new')", "DELETE FROM orders WHERE sku = 'new'")
    assert of_orders.fingerprint() != before


def test_nothing_is_ever_written(server, shop):
    with pytest.raises(SourceFormatError):
        read(f"sqlite:{shop}?query=DELETE FROM orders")
    with pytest.raises(SourceFormatError):
        read(f"{server}?query=DELETE FROM orders RETURNING *")
    assert read(f"sqlite:{shop}?table=orders").height == 2
    assert read(f"{server}?table=orders").height == 2


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        ("sqlite:nowhere.db?table=x", SourceNotFoundError, "nowhere.db: no such file"),
        ("sqlite:shop.db", InputError, r"\?table=NAME or \?query=SELECT"),
        ("sqlite:shop.db?tabel=x", InputError, "tabel"),
        ("sqlite:SHOP?table=order", SourceFormatError, "no such table: order"),
        ("sqlite:SHOP?query=SELECT sku, sku FROM orders", SourceFormatError, "two columns are called 'sku'"),
        (
            "postgres://ada:secret@127.0.0.1:1/shop?table=x",
            SourceFormatError,
            "postgres:ada@127.0.0.1:1/shop",
        ),
        ("postgres://ada:secret@[::1/shop?table=x", SourceFormatError, "invalid|cannot be read"),
    ],
)
def test_what_cannot_be_read_is_one_line_without_the_password(shop, spec, error, said):
    with pytest.raises(error, match=said) as raised:
        read(spec.replace("SHOP", str(shop)))
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)


def test_settings_keep_an_absolute_path_and_no_password(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PGPASSWORD", "another")
    assert settings_spec("sqlite:shop.db?query=SELECT 1") == f"sqlite:{tmp_path}/shop.db?query=SELECT 1"
    given = "postgres://ada:se%40cret@db.example:5432/shop?sslmode=require&query=SELECT a@b FROM t"
    assert settings_spec(given) == given.replace(":se%40cret", "")
    assert os.environ["PGPASSWORD"] == "se@cret"  # this process reads the source by the spec without it
    assert all(map(is_query, (given, "sqlite:x", "https://x/y.csv", "s3://b/k.parquet")))
    assert not any(map(is_query, ("tabular:x.csv", "events.csv", "movielens:ml")))


@pytest.mark.parametrize(("table", "ends"), [("orders", 0), ("nowhere", 2)])
def test_init_keeps_and_shows_no_password_and_says_where_it_belongs(
    server, tmp_path, monkeypatch, table, ends
):
    monkeypatch.setenv("PGPASSWORD", "another")
    spec = f"{server.replace('//recsys@', '//recsys:s3cret@')}?query=SELECT sku AS item_id, sku AS user_id, day FROM"
    given = ["init", "--home", str(tmp_path), "--yes", "--column", "timestamp=day", "--bad-rows", "1"]
    monkeypatch.setattr("sys.argv", ["recsys", *given, "--source", f"{spec} {table}"])

    done = CliRunner().invoke(main, [*given, "--source", f"{spec} {table}"])

    assert done.exit_code == ends, done.output
    assert ("later commands take it from PGPASSWORD or ~/.pgpass" in done.output) == (not ends)
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert "s3cret" not in done.output
    assert b"s3cret" not in kept


def test_a_missing_password_and_a_server_that_does_not_run_have_their_own_advice(server):
    with pytest.raises(SourceFormatError, match="check the address, and that the server runs"):
        read("postgres://ada@127.0.0.1:1/shop?table=x")
    with pytest.raises(SourceFormatError, match="mend the query"):
        read(f"{server}?table=nowhere")
