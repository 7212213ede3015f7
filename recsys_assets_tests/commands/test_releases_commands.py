"""`recsys releases`: each release, and why one cannot be served."""

import shutil

import pytest
from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets_tests.release.building import build_world
from recsys_assets_tests.release.world import LAST_DAY, LINEAGE


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return build_world(tmp_path_factory.mktemp("world") / "artifacts")


@pytest.fixture
def three(world, tmp_path):
    """The home of three releases, and their ids in the order of publication."""
    ids = [world.publish(tmp_path, lineage=LINEAGE | {LAST_DAY: letter * 64}).release_id for letter in "abc"]
    return tmp_path, ids


def run(home, *arguments):
    return CliRunner().invoke(main, ["releases", *arguments, "--home", str(home)])


def test_the_list_says_what_cannot_be_served_and_why(three):
    home, (first, second, third) = three
    (home / "releases" / second / "items.hash.npy").unlink()
    old = home / "releases" / first / "manifest.json"
    old.write_bytes(old.read_bytes().replace(b'"format": 2', b'"format": 1'))
    lines = run(home, "list").output.splitlines()

    assert [line[:21] for line in lines[:2]] == [f"* {third}", f"  {second}"]
    assert lines[2].startswith("  ! ")
    assert "items.hash.npy: missing" in lines[2]
    assert lines[3].startswith(f"! {first}  ")
    assert "format 1, this version reads 2" in lines[3]


def test_the_list_is_there_without_a_current_release_that_can_be_read(three):
    home, ids = three
    (home / "releases" / "current").write_bytes(b"\xff")
    listed = run(home, "list")
    assert listed.exit_code == 0
    assert "current: " in listed.output.splitlines()[0]
    assert all(release_id in listed.output for release_id in ids)

    assert run(home, "promote", ids[0]).exit_code == 0
    shutil.rmtree(home / "releases" / ids[0])
    assert run(home, "list").output.splitlines()[-1].startswith(f"! {ids[0]}  current, and not there")
    assert run(home, "rollback").output == f"Current: {ids[2]}\n"


def test_a_recalled_release_is_listed_as_such(three):
    home, (_, _, third) = three
    assert run(home, "recall", str(LAST_DAY), "--why", "twice").exit_code == 1  # all were built on the day
    listed = run(home, "list").output
    assert listed.count(f"built on {LAST_DAY}, recalled") == 3
    assert ReleaseStore(home / "releases").current_id() == third


def test_a_damaged_release_is_not_promoted_and_the_file_is_named(three):
    home, (first, _, third) = three
    (home / "releases" / first / "items.hash.npy").write_bytes(b"rot")
    done = run(home, "promote", first)
    assert done.exit_code == 1
    assert f"{first}/items.hash.npy: 3 bytes" in done.output
    assert ReleaseStore(home / "releases").current_id() == third


def test_an_empty_home_has_no_releases_to_list(tmp_path):
    assert run(tmp_path, "list").output == "There are no releases: run `recsys build`.\n"
