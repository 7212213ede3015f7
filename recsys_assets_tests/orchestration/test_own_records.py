"""The records of a home that leaves its store: the ledger on a server, and Dagster's history, are its own then."""

import shutil
from datetime import date, timedelta

import dagster as dg
import pytest

from recsys_assets.orchestration.build import land
from recsys_assets.orchestration.instance import open_instance
from recsys_assets.orchestration.own_records import keep_own_records
from recsys_assets.quality.ledger_place import ledger_place
from recsys_assets.quality.open_ledger import open_ledger
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.database_servers import postgres_server
from recsys_assets_tests.orchestration.homes import SilentWatcher, recorded_days, small_home

FIRST = date(2024, 1, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(3)]
ROOT = "RECSYS_STORAGE__ROOT"


@pytest.fixture
def home(tmp_path) -> Home:
    return small_home(tmp_path / "shop", first=FIRST)[0]


def test_days_that_dagster_does_not_know_are_recorded_once(home):
    land(home, load_settings(home), SilentWatcher(), DAYS)
    shutil.rmtree(home.dagster)  # another machine landed them
    for _ in range(2):
        keep_own_records(home, load_settings(home))
        with open_instance(home) as instance:
            known = instance.get_materialized_partitions(dg.AssetKey("raw_interactions"))
            assert known == {day.isoformat() for day in DAYS}
            assert len(
                instance.fetch_materializations(dg.AssetKey("interactions"), limit=100).records
            ) == len(DAYS)


def test_days_that_dagster_knows_are_not_recorded_again(home):
    land(home, load_settings(home), SilentWatcher(), DAYS)
    with open_instance(home) as instance:
        before = recorded_days(instance)
    keep_own_records(home, load_settings(home))
    with open_instance(home) as instance:
        assert recorded_days(instance) == before


@pytest.mark.scale
def test_a_ledger_in_a_schema_of_the_store_is_taken_along(home, monkeypatch):
    with postgres_server() as server:
        with home.settings_file.open("a") as settings:
            settings.write(f'\n[ledger]\npostgres = "{server.url}"\n')
        monkeypatch.setenv(ROOT, "s3://lake/shop")
        land(home, load_settings(home), SilentWatcher(), DAYS)
        of_store = ledger_place(home)
        with open_ledger(home) as ledger:
            before = ledger.results()
        keep_own_records(home, load_settings(home))
        monkeypatch.delenv(ROOT)
        assert ledger_place(home) != of_store
        with open_ledger(home) as ledger:
            assert ledger.results() == before
        assert before
