"""`recsys releases`: each release, and why one cannot be served."""

import shutil

import pytest
from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets.commands.shared import login
from recsys_assets.release.gate_report import GateReport, GateResult, write_gate
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets_tests.release.building import build_world
from recsys_assets_tests.release.world import LAST_DAY, LINEAGE, NOW


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return build_world(tmp_path_factory.mktemp("world") / "artifacts")


@pytest.fixture
def three(world, tmp_path):
    """The home of three releases, and their ids in the order of publication."""
    ids = [world.publish(tmp_path, lineage=LINEAGE | {LAST_DAY: letter * 64}).release_id for letter in "abc"]
    return tmp_path, ids


@pytest.fixture
def candidate(three, world):
    """The same home with a fourth release that the gate kept back, and its id."""
    home, _ = three
    found = world.publish(home, lineage=LINEAGE | {LAST_DAY: "d" * 64}, promote=False).release_id
    results = [
        GateResult(name="held_out", passed=False, value=-0.1, bound=-0.02, detail="NDCG@10 0.1 against 0.2"),
        GateResult(name="lists", passed=True, detail="none blocks"),
        GateResult(name="smoke_test", passed=False, detail="no server started"),
    ]
    report = GateReport(release=found, against=None, at=NOW, passed=False, results=results)
    write_gate(home / "releases", report)
    return home, found


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


def test_the_list_shows_a_candidate_with_its_reasons(candidate):
    home, release_id = candidate
    listed = run(home, "list")

    assert listed.exit_code == 0
    assert listed.output.splitlines()[1:3] == [
        "  ! candidate, held out: NDCG@10 0.1 against 0.2",
        "  ! candidate, smoke test: no server started",
    ]
    assert listed.output.splitlines()[0].startswith(f"  {release_id}")


def test_a_candidate_is_promoted_only_by_force_and_with_a_reason_on_record(candidate):
    home, release_id = candidate
    store = ReleaseStore(home / "releases")
    rejected = run(home, "promote", release_id)
    assert rejected.exit_code == 1
    assert "held out: NDCG@10 0.1 against 0.2" in rejected.output
    assert "--force --why" in rejected.output
    assert run(home, "promote", release_id, "--force").exit_code == 1
    assert store.current_id() != release_id

    assert run(home, "promote", release_id, "--force", "--why", "a new range").exit_code == 0
    assert store.current_id() == release_id
    assert store.promotions()[-1].why == "a new range"
    assert store.promotions()[-1].who == login()
    assert "candidate" not in run(home, "list").output


def test_a_rollback_is_recorded_with_who_and_why(three):
    home, _ = three
    assert run(home, "rollback", "--why", "complaints").exit_code == 0
    move = ReleaseStore(home / "releases").promotions()[-1]
    assert (move.move, move.who, move.why) == ("rollback", login(), "complaints")


def test_an_empty_home_has_no_releases_to_list(tmp_path):
    assert run(tmp_path, "list").output == "There are no releases: run `recsys build`.\n"
