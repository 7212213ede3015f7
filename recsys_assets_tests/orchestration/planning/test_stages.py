"""The record of what was made, on a machine whose Dagster has made nothing."""

from datetime import timedelta

import pytest

from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.planning.stages import RAW, history_of
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets.storage.store_binding import bind
from recsys_assets_tests.orchestration.homes import small_home
from recsys_assets_tests.orchestration.planning.shops import FIRST
from recsys_assets_tests.storage.machines import Machines

DAYS = [FIRST + timedelta(days=n) for n in range(2)]


@pytest.fixture
def home(tmp_path) -> Home:
    return small_home(tmp_path / "shop", first=FIRST, days=len(DAYS))[0]


def test_nothing_was_made_in_a_home_alone(home):
    assert history_of(Inputs(home, load_settings(home)), None) is None


def test_what_a_store_has_was_made_whichever_machine_made_it(home, tmp_path):
    machines = Machines(tmp_path)
    machines.land(machines.home("one"), 1, 2)
    bind(home, {"RECSYS_STORAGE__ROOT": f"file://{machines.store}"})
    history = history_of(Inputs(home, load_settings(home)), None)
    assert history is not None
    assert history.has("release")
    assert len(history.days(RAW)) == len(DAYS)
