"""Runs that `[launcher] kind = "ray"` sends to a cluster, or keeps in this process, where no cluster answers."""

from datetime import date, timedelta

import pytest

from recsys_assets.errors import BuildInterruptedError, LauncherError
from recsys_assets.launching.ray_jobs import error_of
from recsys_assets.orchestration.build import build, land
from recsys_assets.orchestration.planning.applying import apply_plan, make_plan, read_plan
from recsys_assets.orchestration.planning.build_plan import ProposedChange
from recsys_assets.orchestration.replay import replay
from recsys_assets.settings import load_settings
from recsys_assets.storage.locks import build_lock, require_build
from recsys_assets_tests.orchestration.homes import SilentWatcher, small_home

NOBODY = "http://127.0.0.1:19299"
FIRST = date(2024, 1, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(6)]


@pytest.fixture
def home(tmp_path):
    found, _ = small_home(tmp_path / "shop", first=FIRST)
    with found.settings_file.open("a") as settings:
        settings.write(f'\n[launcher]\nkind = "ray"\naddress = "{NOBODY}"\nstretch_days = 3\n')
        settings.write("\n[report]\ndays = 0\n")
    return found


def builds(home):
    build(home, load_settings(home), SilentWatcher())


def lands(home):
    land(home, load_settings(home), SilentWatcher(), DAYS)


def replays(home):
    replay(home, load_settings(home), SilentWatcher(), DAYS)


@pytest.mark.parametrize("work", [builds, lands, replays])
def test_a_cluster_that_does_not_answer_is_named_in_a_line_before_anything_is_done(home, work):
    with pytest.raises(LauncherError, match=f"^{NOBODY}: no Ray cluster answers; start one [^\n]*$"):
        work(home)
    assert not list(home.raw.glob("*/*.parquet"))
    assert not home.catalogue.exists()
    assert not home.dagster.exists()
    assert not list(home.root.glob("reports/replays/*"))


def test_a_plan_is_not_begun_where_the_cluster_does_not_answer(home):
    make_plan(home, ProposedChange(), seconds=0)
    with pytest.raises(LauncherError, match="no Ray cluster answers"):
        apply_plan(home, SilentWatcher())
    assert read_plan(home).begun is None


def test_a_run_of_one_stretch_stays_in_this_process(home):
    outcome = land(home, load_settings(home), SilentWatcher(), DAYS[:3])
    assert not outcome.failed
    assert len(list(home.raw.glob("*/*.parquet"))) == 3


def test_work_for_a_build_ends_with_the_build(home):
    with build_lock(home):
        require_build(home)
    with pytest.raises(BuildInterruptedError, match="has ended"):
        require_build(home)


def test_an_error_of_a_driver_is_the_same_for_the_step():
    assert isinstance(error_of("BuildInterruptedError", "stop"), BuildInterruptedError)
    assert str(error_of("KeyError", "'a'")) == "KeyError: 'a'"
    assert isinstance(error_of("EventConflictError", "two"), LauncherError)
