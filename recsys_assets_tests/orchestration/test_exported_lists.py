"""The asset `exported_lists`: there where it is configured, run after a build, with answers on its lists."""

from datetime import date

import dagster as dg
import polars as pl
import pytest

from recsys_assets.errors import SettingsError
from recsys_assets.orchestration.build import build
from recsys_assets.orchestration.instance import build_definitions, open_instance
from recsys_assets.release.current import read_current
from recsys_assets.settings import load_settings
from recsys_assets_tests.orchestration.homes import SilentWatcher, small_home

KEY = dg.AssetKey("exported_lists")
ONE_MODEL = '\n[training]\nmodel = "ials"\n\n[report]\ndays = 0\n'


def configure(home, text: str) -> None:
    with home.settings_file.open("a") as settings:
        settings.write(text)


def test_a_home_without_a_target_has_no_such_asset(tmp_path):
    home, _ = small_home(tmp_path / "shop", first=date(2024, 1, 1))
    found = build_definitions(home)
    assert KEY not in found.resolve_asset_graph().get_all_asset_keys()
    assert "export_lists" not in {job.name for job in found.resolve_all_job_defs()}


def test_a_build_exports_after_its_release_once_and_the_job_does_it_again(tmp_path):
    home, _ = small_home(tmp_path / "shop", first=date(2024, 1, 1))
    configure(
        home, ONE_MODEL + '\n[export]\nto = "out/lists.parquet"\nk = 5\nafter_build = true\ndelta = false\n'
    )
    outcome = build(home, load_settings(home), SilentWatcher())
    assert not outcome.failed, outcome.rows
    file = home.root / "out" / "lists.parquet"
    rows = pl.read_parquet(file)
    assert rows["release"].unique().to_list() == [read_current(home.releases)]
    assert rows["user_id"].n_unique() == 20
    assert not build(home, load_settings(home), SilentWatcher()).built
    file.unlink()
    with open_instance(home) as instance:
        record = instance.get_latest_materialization_event(KEY).asset_materialization
        assert record.metadata["rows"].value == rows.height
        assert record.metadata["changed_users"].value == 20
        job = build_definitions(home).resolve_job_def("export_lists")
        done = job.execute_in_process(instance=instance)
    assert done.success
    assert file.exists()
    answers = {check.check_name: check.passed for check in done.get_asset_check_evaluations()}
    assert answers == {
        "are_there_lists": True,
        "has_every_user_a_list": True,
        "is_nothing_seen_in_them": True,
    }


def test_the_schedule_is_the_one_of_the_settings(tmp_path):
    home, _ = small_home(tmp_path / "shop", first=date(2024, 1, 1))
    configure(home, '\n[export]\nto = "lists.csv"\nschedule = "15 5 * * 1"\n')
    schedule = build_definitions(home).resolve_schedule_def("export_on_schedule")
    assert schedule.cron_schedule == "15 5 * * 1"
    assert schedule.job_name == "export_lists"


def test_a_schedule_that_is_none_is_one_line(tmp_path):
    home, _ = small_home(tmp_path / "shop", first=date(2024, 1, 1))
    configure(home, '\n[export]\nto = "lists.csv"\nschedule = "75 5 * * 1"\n')
    with pytest.raises(SettingsError, match="75 5"):
        build_definitions(home)
