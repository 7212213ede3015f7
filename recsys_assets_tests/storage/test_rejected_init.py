"""After a first `recsys init` that failed, nothing fills the home with another source."""

import importlib
import os
import sys
from datetime import UTC, date, datetime

import pytest
from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets.errors import InputError, SettingsError
from recsys_assets.orchestration.instance import build_definitions
from recsys_assets.settings import load_or_default_settings
from recsys_assets.storage.day_folders import day_folder
from recsys_assets.storage.home import Home
from recsys_assets.storage.rejected_init import initialising, require_no_rejected_init

STARTED = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def bad(tmp_path) -> str:
    path = tmp_path / "events.csv"
    path.write_text("user_id,item_id,timestamp\nu1,i1,yesterday\n")
    return f"tabular:{path}"


def run(home: Home, *arguments: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["recsys", *arguments])
    return CliRunner().invoke(main, [*arguments, "--home", str(home.root)])


def test_a_block_that_ends_well_leaves_no_marker(home):
    with initialising(home, command="recsys init", started=STARTED):
        assert home.init_marker.exists()

    assert not home.init_marker.exists()


def test_a_failure_is_kept_with_its_command_until_an_init_succeeds(home):
    with (
        pytest.raises(InputError, match="line 2"),
        initialising(home, command="recsys init --source x", started=STARTED),
    ):
        raise InputError("x: line 2\nis bad")

    with pytest.raises(
        SettingsError,
        match=r"`recsys init --source x` failed at 2024-05-06 07:08 UTC: x: line 2 is bad; mend",
    ):
        require_no_rejected_init(home)
    with initialising(home, command="recsys init", started=STARTED):
        pass
    require_no_rejected_init(home)


def test_an_interrupted_block_is_kept_too(home):
    with pytest.raises(KeyboardInterrupt), initialising(home, command="recsys init", started=STARTED):
        raise KeyboardInterrupt

    with pytest.raises(SettingsError, match="it was interrupted"):
        load_or_default_settings(home)


def test_settings_that_are_there_stay_in_force(home):
    home.root.mkdir()
    home.settings_file.write_text("")
    with pytest.raises(InputError), initialising(home, command="recsys init --force", started=STARTED):
        raise InputError("bad")

    require_no_rejected_init(home)
    assert not home.init_marker.exists()


@pytest.mark.parametrize(
    "command", [["build"], ["build", "--landed"], ["land", "--next", "1"], ["up"], ["tune"]]
)
@pytest.mark.parametrize("first", [["init"], ["build"]])
def test_after_a_rejected_source_every_command_repeats_why(home, bad, monkeypatch, first, command):
    rejected = run(home, *first, "--source", bad, monkeypatch=monkeypatch)
    assert rejected.exit_code == 2
    assert "yesterday" in rejected.stderr

    again = run(home, *command, monkeypatch=monkeypatch)

    assert again.exit_code == 2
    assert f"`recsys {' '.join(first)} --source {bad}` failed" in again.stderr
    assert "yesterday" in again.stderr
    assert len(again.stderr.strip().splitlines()) == 1
    assert [path.name for path in home.root.glob("[!.]*")] == ["init.json"]


def test_a_source_that_can_be_read_ends_it(home, bad, tmp_path, monkeypatch):
    run(home, "init", "--source", bad, monkeypatch=monkeypatch)
    (tmp_path / "events.csv").write_text("user_id,item_id,timestamp\nu1,i1,2024-01-01\n")

    assert run(home, "init", "--source", bad, monkeypatch=monkeypatch).exit_code == 0
    assert not home.init_marker.exists()


def test_the_code_location_says_it_instead_of_offering_the_default(home, bad, monkeypatch):
    run(home, "init", "--source", bad, monkeypatch=monkeypatch)

    with pytest.raises(SettingsError, match="yesterday"):
        build_definitions(home)
    monkeypatch.setitem(os.environ, "RECSYS_HOME", str(home.root))
    sys.modules.pop("recsys_assets.definitions", None)
    with pytest.raises(SettingsError, match="yesterday"):
        importlib.import_module("recsys_assets.definitions")


def test_the_doctor_names_the_command(home, bad, monkeypatch):
    run(home, "init", "--source", bad, monkeypatch=monkeypatch)

    assert f"recsys init --source {bad}" in run(home, "doctor", monkeypatch=monkeypatch).stdout.replace(
        "\n", ""
    )


def test_landed_days_without_settings_get_no_other_source(home, monkeypatch):
    day_folder(home.raw, date(2024, 1, 1)).mkdir(parents=True)
    done = run(home, "build", monkeypatch=monkeypatch)

    assert done.exit_code == 2
    assert "no settings here, but landed days" in done.stderr
