"""The code location of a home is that home's, whatever this process's variables say."""

from datetime import date, timedelta

import pytest

from recsys_assets.orchestration.build import build, land
from recsys_assets.orchestration.instance import build_definitions
from recsys_assets.release.current import read_current
from recsys_assets.storage.day_folders import days_under
from recsys_assets.storage.home import HOME_VARIABLE, Home
from recsys_assets_tests.orchestration.homes import SilentWatcher, small_home

DAYS = 3


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A home that the variables name and nobody works for."""
    other = tmp_path / "elsewhere"
    monkeypatch.setenv(HOME_VARIABLE, str(other))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("RECSYS_REPORT__DAYS", "0")  # a report takes seconds
    return other


def test_two_homes_are_landed_one_after_the_other_though_the_variable_names_a_third(tmp_path, elsewhere):
    for name, first in (("one", date(2020, 5, 1)), ("two", date(2021, 8, 1))):
        home, settings = small_home(tmp_path / name, first=first, days=DAYS)
        outcome = land(home, settings, SilentWatcher(), settings.source.days()[:2])
        assert not outcome.failed, outcome.rows
        assert days_under(home.interactions) == [first, first + timedelta(days=1)]
        assert (home.dagster / "dagster.yaml").is_file()
    assert not elsewhere.exists()


def test_a_home_is_built_to_its_release_though_the_variable_names_another(tmp_path, elsewhere):
    home, settings = small_home(tmp_path / "one", first=date(2020, 5, 1))
    outcome = build(home, settings, SilentWatcher())
    assert not outcome.failed, outcome.rows
    assert read_current(home.releases)
    assert not elsewhere.exists()


def test_a_code_location_has_the_days_of_its_home(tmp_path):
    home, settings = small_home(tmp_path / "one", first=date(2020, 5, 1), days=DAYS)
    graph = build_definitions(home).resolve_asset_graph()
    (days,) = {graph.get(key).partitions_def for key in graph.get_all_asset_keys()} - {None}
    assert days.get_partition_keys() == [day.isoformat() for day in settings.source.days()]


def test_a_home_without_settings_has_the_days_of_the_default(tmp_path):
    build_definitions(Home(tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()
