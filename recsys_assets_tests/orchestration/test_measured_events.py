"""The benchmark of events on a server stores them as a build does, finds all of them again, and leaves none."""

import dagster as dg

from recsys_assets.orchestration.instance import open_instance
from recsys_assets.orchestration.measured_events import postgres_ms_per_event
from recsys_assets.storage.home import Home
from recsys_assets_tests.database_servers import running_postgres


def test_events_are_stored_found_and_removed(tmp_path, monkeypatch):
    with running_postgres() as url:
        found = postgres_ms_per_event(url, events=20)
        assert found.events == 20
        assert found.ms_per_event > 0
        monkeypatch.setenv("RECSYS_DAGSTER__POSTGRES", url)
        with open_instance(Home(tmp_path)) as instance:
            assert instance.get_materialized_partitions(dg.AssetKey("benchmark_of_events")) == set()
