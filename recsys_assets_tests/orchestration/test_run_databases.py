"""A run's new database: made at once, like the first of the process, and the same as one that Dagster makes."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from dagster._core.storage.event_log import SqliteEventLogStorage

from recsys_assets.orchestration.event_log import BatchedEventLog
from recsys_assets.orchestration.instance import open_instance
from recsys_assets.storage.home import Home


def schema(file: Path) -> dict[str, object]:
    with closing(sqlite3.connect(file)) as database:
        return {
            "tables": sorted(database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")),
            "version": database.execute("SELECT version_num FROM alembic_version").fetchall(),
            "journal": database.execute("PRAGMA journal_mode").fetchone(),
        }


def made(log: SqliteEventLogStorage, run: str) -> Path:
    with log.run_connection(run):
        return Path(log.path_for_shard(run))


def test_every_runs_database_is_the_one_that_dagster_makes(tmp_path):
    stock = schema(made(SqliteEventLogStorage(str(tmp_path / "stock")), "a"))
    ours = BatchedEventLog(str(tmp_path / "ours"))
    assert [schema(made(ours, run)) for run in "abc"] == [stock] * 3
    ours.dispose()


def test_a_database_of_another_home_is_the_same_and_the_index_keeps_all_tables(tmp_path):
    first, second = (BatchedEventLog(str(tmp_path / name)) for name in ("first", "second"))
    assert schema(made(first, "a")) == schema(made(second, "a"))
    assert schema(Path(first.path_for_shard("index"))) == schema(Path(second.path_for_shard("index")))
    for log in (first, second):
        log.dispose()


def test_threads_that_open_a_new_run_at_once_make_it_once(tmp_path):
    logs = [BatchedEventLog(str(tmp_path / "runs")) for _ in range(4)]
    made(logs[0], "first")
    start = threading.Barrier(len(logs))

    def work(log: BatchedEventLog) -> Path:
        start.wait(20)
        return made(log, "second")

    with ThreadPoolExecutor(len(logs)) as pool:
        assert len(set(pool.map(work, logs))) == 1
    assert schema(tmp_path / "runs" / "first.db") == schema(tmp_path / "runs" / "second.db")
    for log in logs:
        log.dispose()


def test_a_database_that_is_there_keeps_its_content(tmp_path):
    one, other = (BatchedEventLog(str(tmp_path / "runs")) for _ in range(2))
    made(one, "a")
    with closing(sqlite3.connect(tmp_path / "runs" / "a.db")) as database, database:
        database.execute("INSERT INTO event_logs (run_id, event, timestamp) VALUES ('a', '{}', '2024-01-01')")
    with other.run_connection("a") as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM event_logs").scalar() == 1
    for log in (one, other):
        log.dispose()


def test_a_second_home_has_the_same_databases_as_the_first(tmp_path):
    homes = [Home(tmp_path / name) for name in ("one", "other")]
    for home in homes:
        open_instance(home).dispose()
    one, other = (
        {file.relative_to(home.dagster): schema(file) for file in sorted(home.dagster.rglob("*.db"))}
        for home in homes
    )
    assert len(one) == 3
    assert one == other
