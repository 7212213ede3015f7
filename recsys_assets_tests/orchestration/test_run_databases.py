"""The databases of runs: tables are made once, and copied for the runs that follow."""

import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage
from sqlalchemy.engine import Engine

from recsys_assets.orchestration.event_log import BatchedEventLog


@dg.op
def say():
    pass


@dg.job
def greeting():
    say()


@pytest.fixture
def initialised(monkeypatch) -> list[str]:
    """The databases whose tables Dagster made."""
    found = []
    real = BatchedEventLog._initdb

    def counted(self, engine: Engine, *, for_index_shard: bool = False) -> None:
        found.append(str(engine.url.database))
        real(self, engine, for_index_shard=for_index_shard)

    monkeypatch.setattr(BatchedEventLog, "_initdb", counted)
    return found


@pytest.fixture
def log(tmp_path):
    with dg.DagsterInstance.local_temp(
        str(tmp_path),
        overrides={
            "event_log_storage": {
                "module": BatchedEventLog.__module__,
                "class": "BatchedEventLog",
                "config": {"base_dir": str(tmp_path / "runs")},
            }
        },
    ) as instance:
        yield instance


def ran(instance) -> str:
    return greeting.execute_in_process(instance=instance).run_id


def test_only_the_first_run_makes_its_tables(initialised, log):
    runs = [ran(log) for _ in range(3)]
    assert [name for name in initialised if "index" not in name] == [
        log._event_storage.path_for_shard(runs[0])
    ]


def test_later_runs_have_the_tables_of_the_first_and_their_own_events_alone(log):
    runs = [ran(log) for _ in range(3)]
    found = []
    for run in runs:
        with closing(sqlite3.connect(log._event_storage.path_for_shard(run))) as connection:
            found.append(
                (
                    connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall(),
                    connection.execute("SELECT version_num FROM alembic_version").fetchall(),
                    connection.execute("PRAGMA journal_mode").fetchall(),
                )
            )
            assert connection.execute("SELECT DISTINCT run_id FROM event_logs").fetchall() == [(run,)]
    assert found[0] == found[1] == found[2]


def test_dagsters_own_storage_reads_and_writes_them(log, tmp_path):
    ran(log)
    run = ran(log)
    own = SqliteEventLogStorage(str(tmp_path / "runs"))
    types = [record.event_log_entry.dagster_event_type for record in own.get_records_for_run(run).records]

    assert types[-1] == dg.DagsterEventType.RUN_SUCCESS
    own.delete_events(run)
    assert not log._event_storage.get_logs_for_run(run)


def test_a_database_that_another_process_made_first_stays(log, monkeypatch):
    ran(log)
    storage, run = log._event_storage, str(uuid4())
    path = storage.path_for_shard(run)

    def others_link(_staged, target):
        with closing(sqlite3.connect(target)) as connection:
            connection.execute("CREATE TABLE theirs (id)")
        raise FileExistsError

    monkeypatch.setattr("os.link", others_link)
    assert storage.get_logs_for_run(run) == []
    with closing(sqlite3.connect(path)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    assert {"theirs", "event_logs", "alembic_version"} <= tables
    assert not [*Path(path).parent.glob("*.staged"), *Path(path).parent.glob(".*.staged")]
