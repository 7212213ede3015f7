"""`recsys store`: the store of a home is shown, and left with all that it has."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from recsys_assets.benchmarks.scale_servers import BUCKET
from recsys_assets.cli import main
from recsys_assets.storage.home import Home
from recsys_assets.storage.store_place import place_of
from recsys_assets_tests.crashes.killed_runs import content, differences, faults

ROOT = "RECSYS_STORAGE__ROOT"
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", ROOT)


@pytest.fixture
def home(machines) -> Home:
    home = machines.home("one")
    machines.land(home, 1, 2)
    return home


def ran(home: Home, *arguments: str, **environ: str) -> Result:
    given = {**dict.fromkeys(KEYS), **environ}
    return CliRunner().invoke(main, [*arguments, "--home", str(home.root)], env=given)


def test_a_home_without_a_store_says_so(tmp_path):
    for command in ("show", "leave"):
        found = ran(Home(tmp_path / "alone"), "store", command)
        assert (found.exit_code, found.output) == (
            0, f"{tmp_path / 'alone'}: has no object store; everything is in this folder.\n",
        )  # fmt: skip


def test_the_store_is_shown_with_what_it_has_and_what_names_it(machines, home):
    other = machines.home("other")
    found = ran(other, "store", "show").output
    assert f"file://{machines.store} answers; push 1 by" in found
    assert f"{other.settings_file}, line 2: [storage] root" in found
    assert "2 days, 0.0 MB; 0 of them are here too" in found
    assert "2 of them are here too" in ran(home, "store", "show").output
    assert "other files" in found


def test_a_variable_that_names_the_store_is_shown_and_keeps_the_home_from_leaving(machines, home):
    home.settings_file.write_text("")
    named = f"file://{machines.store}"
    assert f"named by            {ROOT}" in ran(home, "store", "show", **{ROOT: named}).output
    left = ran(home, "store", "leave", **{ROOT: named})
    assert left.exit_code == 2
    assert f"not left: {ROOT} names the store" in left.output
    assert place_of(home.root) is not None


@pytest.mark.scale
@pytest.mark.timeout(600)
def test_a_machine_that_read_no_day_leaves_and_then_a_build_has_nothing_to_do(
    recsys, built_home, tmp_path, object_server, monkeypatch
):
    for name, value in object_server.environ.items():
        monkeypatch.setenv(name, value)
    first, second = Home(tmp_path / "first"), Home(tmp_path / "second")
    shutil.copytree(built_home, first.root)
    alone = content(first)
    with first.settings_file.open("a") as settings:
        settings.write(f'\n[storage]\nroot = "s3://{BUCKET}/{tmp_path.name}"\nlease_seconds = 3\n')
    _must(recsys, "build", home=first.root)
    _read(recsys, second, tmp_path.name, monkeypatch)
    assert not list(second.root.glob("lake/*/date=*"))

    said = _must(recsys, "store", "leave", home=second.root)
    assert "of them fetched now" in said
    assert f"{second.settings_file}, line " in said
    assert place_of(second.root) is None
    assert 'root = "s3' not in second.settings_file.read_text().replace("took root", "")
    assert "Nothing to do" in _must(recsys, "build", home=second.root)
    assert differences(alone, content(second)) == []
    assert faults(second) == []
    assert "release" in _must(recsys, "recommend", "1", home=second.root)


def _read(recsys, home: Home, prefix: str, monkeypatch) -> None:
    """Have a new home be a copy of the store, named by the environment for this one command."""
    with monkeypatch.context() as named:
        named.setenv(ROOT, f"s3://{BUCKET}/{prefix}")
        named.setenv("RECSYS_STORAGE__LEASE_SECONDS", "3")
        _must(recsys, "recommend", "1", home=home.root)


def _must(recsys, *arguments: str, home: Path) -> str:
    ended = recsys(*arguments, home=home)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr
