"""Users taken out of Dagster's own records: those of a real build, and tables of a real Postgres server."""

import json
from collections.abc import Iterator
from datetime import date

import pytest
import sqlalchemy as db

from recsys_assets.orchestration.forgetting.dagster_step import forget_in_dagster, take_out_of_postgres
from recsys_assets.orchestration.forgetting.wanted_ids import WantedIds
from recsys_assets.storage.home import Home
from recsys_assets_tests.database_servers import running_postgres
from recsys_assets_tests.orchestration.homes import small_home


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture
def table(postgres) -> Iterator[db.Engine]:
    engine = db.create_engine(postgres.replace("postgresql://", "postgresql+psycopg2://"))
    rows = [{"user_id": user, "item_id": "i1"} for user in ("2056", "u1")]
    with engine.begin() as connection:
        connection.execute(
            db.text("CREATE TABLE event_logs (id INTEGER PRIMARY KEY, event TEXT, run_id TEXT)")
        )
        connection.execute(
            db.text("INSERT INTO event_logs VALUES (1, :event, 'r1'), (2, 'price 2056', 'r1')"),
            {"event": json.dumps({"records": [{"data": row} for row in rows]})},
        )
    yield engine
    with engine.begin() as connection:
        connection.execute(db.text("DROP TABLE event_logs"))
    engine.dispose()


def stored(engine: db.Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(db.text("SELECT event FROM event_logs ORDER BY id")).scalars())


def test_records_on_a_server_lose_the_rows_of_the_user(postgres, table):
    assert take_out_of_postgres(postgres, WantedIds(["2056"])) == 1
    event, price = stored(table)
    assert json.loads(event) == {"records": [{"data": {"user_id": "u1", "item_id": "i1"}}]}
    assert price == "price 2056"
    assert take_out_of_postgres(postgres, WantedIds(["2056"])) == 0


def test_a_server_that_is_down_leaves_the_forget_unfinished(tmp_path):
    home, _ = small_home(tmp_path / "shop", first=date(2024, 1, 1))
    with home.settings_file.open("a") as settings:
        settings.write("[dagster]\npostgres = 'postgresql://me:secret@127.0.0.1:9/dagster'\n")
    result = forget_in_dagster(home, frozenset({"u17"}), number=1)
    assert "127.0.0.1:9" in result.unfinished
    assert "secret" not in result.unfinished


def test_output_of_a_run_is_overwritten_in_its_place(tmp_path):
    home = Home(tmp_path)
    output = home.dagster / "storage" / "r1" / "compute_logs" / "a.err"
    output.parent.mkdir(parents=True)
    output.write_text("user 2056 has 2056 rows\n")
    with output.open("a") as process:
        assert forget_in_dagster(home, frozenset({"2056"}), number=1).changed == 1
        process.write("end\n")
    assert output.read_text() == "user **** has 2056 rows\nend\n"
