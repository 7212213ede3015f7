"""`recsys releases diff` and `recsys releases history`."""

import json
from datetime import date

import pytest
from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets.commands.diff_command import spans
from recsys_assets_tests.release.building import build_world
from recsys_assets_tests.release.world import LAST_DAY, LINEAGE


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return build_world(tmp_path_factory.mktemp("world") / "artifacts")


@pytest.fixture
def two(world, tmp_path):
    """The home of two releases, and their ids in the order of publication."""
    ids = [world.publish(tmp_path, lineage=LINEAGE | {LAST_DAY: letter * 64}).release_id for letter in "ab"]
    return tmp_path, ids


def run(home, *arguments):
    return CliRunner().invoke(main, ["releases", *arguments, "--home", str(home)])


def test_a_terminal_shows_both_releases_and_each_part(two):
    home, (one, other) = two
    lines = run(home, "diff", one, other).output.splitlines()
    assert lines[0].startswith(f"A  {one}  2024-01-01 to 2024-01-31  40 users, ")
    assert lines[1].startswith(f"B  {other}  ")
    assert f"  {one} was not measured on held-out days." in lines
    assert (
        "  0.0% of 40 users get other items in their first 10, 0.0% the same in another order;"
        " on average 100% of a list stays." in lines
    )
    assert "Rules: nothing changed" in lines
    assert "  rebuilt: 2024-01-31 (1)" in lines
    assert lines[-1] == "Golden users: none are named"


def test_current_and_previous_stand_for_ids(two):
    home, (one, other) = two
    found = json.loads(run(home, "diff", "previous", "current", "--json").output)["difference"]
    assert (found["before"]["release"], found["after"]["release"]) == (one, other)
    assert found["days"]["rebuilt"] == [str(LAST_DAY)]


def test_golden_users_have_both_lists_by_name(two):
    home, (one, other) = two
    (home / "golden.toml").write_text('[[golden]]\nuser = "u3"\nk = 3\nmust = ["nothing"]\n')
    lines = run(home, "diff", one, other).output.splitlines()
    place = lines.index("  user u3, home: not as expected, 100% in common")
    assert "nothing (not in the release)" in lines[place + 1]
    before, after = lines[place + 2 : place + 4]
    assert (before[:6], after[:6]) == ("    A ", "    B ")
    assert before[6:] == after[6:]
    assert before[6:].count("Thing ") == 3


def test_an_unknown_release_is_one_line_and_exit_code_1(two):
    home, (one, other) = two
    done = run(home, "diff", one, "20200101-0000000000")
    assert done.exit_code == 1
    assert f"no release '20200101-0000000000'; there are: {other}, {one}" in done.output
    assert run(home, "diff", "previous", "previous").exit_code == 0
    (home / "releases" / "promotions.jsonl").unlink()
    assert "no release 'previous'" in run(home, "diff", "previous", one).output


def test_history_shows_who_moved_the_current_release_and_why(two, monkeypatch):
    home, (one, other) = two
    monkeypatch.setenv("LOGNAME", "ada")
    run(home, "rollback", "--why", "odd lists")
    lines = run(home, "history").output.splitlines()
    assert lines[0].endswith(f"  rollback  {other} → {one}  ada: odd lists")
    assert lines[1].endswith(f"  promote   {one} → {other}  –")
    assert len(lines) == 3


def test_a_home_without_releases_has_no_history(tmp_path):
    assert "No release was promoted yet" in run(tmp_path, "history").output


def test_days_in_a_row_are_one_span():
    days = [date(2024, 3, day) for day in (1, 2, 3, 7)]
    assert spans(days) == "2024-03-01 to 2024-03-03, 2024-03-07 (4)"
    assert spans(days[3:]) == "2024-03-07 (1)"
