"""The event log in batches: the same answers as Dagster's own, no planned leftovers, homes that exist, Postgres."""

import shutil
import sqlite3
import threading
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent, StepMaterializationData
from dagster._core.storage.event_log import SqliteEventLogStorage

from recsys_assets.orchestration.build import build, land
from recsys_assets.orchestration.dagster_yaml import configure_dagster, event_log_in_use
from recsys_assets.orchestration.event_log import BatchedEventLog
from recsys_assets.orchestration.instance import open_instance
from recsys_assets.settings import DagsterSettings, load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.orchestration.homes import SilentWatcher, recorded_days, small_home

FIRST = date(2024, 1, 1)
RAW = dg.AssetKey("raw_interactions")
OLD_YAML = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"
POSTGRES_BIN = (
    sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:] if Path("/usr/lib/postgresql").is_dir() else []
)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Home:
    home, settings = small_home(tmp_path_factory.mktemp("log") / "shop", first=FIRST)
    assert not build(home, settings, SilentWatcher()).failed
    return home


def rows(home: Home, query: str) -> list[tuple]:
    with closing(sqlite3.connect(home.dagster / "history" / "runs" / "index.db")) as index:
        return index.execute(query).fetchall()


def test_a_build_leaves_nothing_planned(built):
    assert rows(built, "SELECT count(*) FROM asset_check_executions WHERE execution_status = 'PLANNED'") == [
        (0,)
    ]
    planned = "SELECT count(*) FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION_PLANNED'"
    assert rows(built, planned + " AND partition IS NOT NULL") == [(0,)]


def test_a_run_of_one_day_leaves_nothing_planned_either(built, tmp_path):
    shutil.copytree(built.root, tmp_path / "copy")
    home = Home(tmp_path / "copy")
    assert not land(home, load_settings(home), SilentWatcher(), [FIRST]).failed
    assert rows(home, "SELECT count(*) FROM asset_check_executions WHERE execution_status = 'PLANNED'") == [
        (0,)
    ]
    with open_instance(home) as instance:
        assert str(FIRST) in status(instance, "whose_is_it")["SUCCEEDED"]


def test_a_days_event_is_small_and_of_that_day(built):
    found = rows(
        built,
        "SELECT asset_key, partition, length(event) FROM event_logs"
        " WHERE dagster_event_type = 'ASSET_MATERIALIZATION' AND partition IS NOT NULL",
    )
    daily = [size for asset, _, size in found if "report" not in asset]
    assert len(daily) == 12
    assert max(daily) < 2_100  # a day with rows left out says how many, too


def test_dagsters_own_storage_reads_the_same(built, tmp_path):
    with open_instance(built) as instance:
        ours = recorded_days(instance)
    assert len(ours["days"]) == 6
    assert ours["last run"]
    assert not ours["unfinished"]
    plain = tmp_path / "plain"
    shutil.copytree(built.dagster, plain)
    (plain / "dagster.yaml").write_text(OLD_YAML)
    with dg.DagsterInstance.from_config(str(plain)) as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
        assert recorded_days(instance) == ours


def test_a_home_that_has_dagsters_own_log_gets_the_batched_one_and_keeps_its_days(tmp_path):
    home, settings = small_home(tmp_path / "shop", first=FIRST)
    home.dagster.mkdir(parents=True)
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization(RAW, partition="2024-01-02"))
    home.dagster_yaml.write_text("# mine\n" + OLD_YAML)
    assert event_log_in_use(home) == "SQLite, event by event"
    with open_instance(home) as instance:
        assert isinstance(instance.event_log_storage, BatchedEventLog)
        assert instance.get_materialized_partitions(RAW) == {"2024-01-02"}
    assert home.dagster_yaml.read_text().startswith("# mine\n" + OLD_YAML)
    assert event_log_in_use(home) == "SQLite, in batches"
    before = home.dagster_yaml.read_bytes()
    configure_dagster(home, settings.dagster)
    assert home.dagster_yaml.read_bytes() == before


def test_a_home_that_was_moved_logs_where_it_is_now(built, tmp_path):
    moved = Home(tmp_path / "elsewhere")
    shutil.copytree(built.root, moved.root)
    with open_instance(moved) as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization("note"))
        assert str(moved.dagster) in instance.event_log_storage.path_for_shard("index")
    with open_instance(built) as instance:
        assert not instance.has_asset_key(dg.AssetKey("note"))


def test_a_storage_of_the_users_own_stays(tmp_path):
    home = Home(tmp_path)
    home.dagster.mkdir()
    own = f"storage:\n  sqlite:\n    base_dir: {tmp_path / 'own'}\n"
    home.dagster_yaml.write_text(own)
    configure_dagster(home, DagsterSettings())
    assert home.dagster_yaml.read_text() == own
    assert "dagster.yaml" in event_log_in_use(home)


def test_the_log_of_a_run_that_another_process_removed_is_made_again(tmp_path):
    with open_instance(Home(tmp_path)) as instance:
        log = instance.event_log_storage
        event = dg.AssetMaterialization("note")
        instance.report_runless_asset_event(event)
        shard = Path(log.path_for_shard(""))
        for file in shard.parent.glob(f"{shard.name}*"):
            file.unlink()
        instance.report_runless_asset_event(event)
        assert shard.is_file()
        assert len(instance.fetch_materializations(dg.AssetKey("note"), limit=5).records) == 2


def test_threads_share_the_log(tmp_path):
    def note(number: int) -> None:
        for _ in range(20):
            instance.report_runless_asset_event(dg.AssetMaterialization(f"note{number}"))

    with open_instance(Home(tmp_path)) as instance:
        threads = [threading.Thread(target=note, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        counts = [
            len(instance.fetch_materializations(dg.AssetKey(f"note{n}"), limit=50).records) for n in range(4)
        ]
    assert counts == [20] * 4


def test_a_rejected_day_alone_stays_planned(tmp_path):
    home, _settings = small_home(tmp_path / "shop", first=FIRST)
    with open_instance(home) as instance:
        for day, done in (("2024-01-01", True), ("2024-01-02", False)):
            run = str(uuid4())
            planned = AssetMaterializationPlannedData(RAW, partition=day)
            event = DagsterEvent.build_asset_materialization_planned_event("job", "step", planned)
            instance.report_dagster_event(event, run_id=run)
            if done:
                data = StepMaterializationData(dg.AssetMaterialization(RAW, partition=day), [])
                made = DagsterEvent("ASSET_MATERIALIZATION", "job", event_specific_data=data)
                instance.report_dagster_event(made, run_id=run)
    planned = "SELECT partition FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION_PLANNED'"
    assert rows(home, planned) == [("2024-01-02",)]


def status(instance: dg.DagsterInstance, question: str) -> dict[str, set[str]]:
    """Days by the status that the check's Partitions tab shows."""
    key = dg.AssetCheckKey(RAW, question)
    days = dg.DailyPartitionsDefinition(str(FIRST), end_date=str(FIRST + timedelta(days=6)))
    state = instance.event_log_storage.get_asset_check_state([(key, days)])[key]
    return {
        name.value: set(subset.value.get_partition_keys())
        for name, subset in state.subsets.items()
        if not subset.is_empty
    }


def test_a_runs_answer_covers_its_days_unless_they_have_one_of_their_own(built, tmp_path):
    shutil.copytree(built.root, tmp_path / "copy")
    home = Home(tmp_path / "copy")
    every = {str(FIRST + timedelta(days=n)) for n in range(6)}

    def answer(day: str, *, passed: bool) -> None:
        found = dg.AssetCheckEvaluation(RAW, "whose_is_it", passed, {}, partition=day)
        instance.report_dagster_event(
            DagsterEvent(dg.DagsterEventType.ASSET_CHECK_EVALUATION.value, "job", event_specific_data=found),
            run_id=str(uuid4()),
        )

    with open_instance(home) as instance:
        assert status(instance, "whose_is_it") == {"SUCCEEDED": every}
        answer("2024-01-03", passed=False)
        assert status(instance, "whose_is_it") == {
            "SUCCEEDED": every - {"2024-01-03"},
            "FAILED": {"2024-01-03"},
        }
        answer("2024-01-03", passed=True)
        assert status(instance, "whose_is_it") == {"SUCCEEDED": every}
        answer("2024-01-04", passed=False)
        instance.report_runless_asset_event(dg.AssetMaterialization(RAW, partition="2024-01-04"))
        assert status(instance, "whose_is_it") == {"SUCCEEDED": every - {"2024-01-04"}}
