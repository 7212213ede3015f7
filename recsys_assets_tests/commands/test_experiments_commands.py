"""`recsys experiments` from the command line: its words, its JSON and its exit codes."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

from click.testing import CliRunner, Result

from recsys_assets.cli import main
from recsys_assets.experiments.experiments_file import read_experiments
from recsys_assets.experiments.results import ArmLook, DayLook, add_look
from recsys_assets.experiments.standing import read_ends
from recsys_assets.storage.home import Home
from recsys_assets_tests.experiments.writing import write_experiments

LOOK = DayLook(
    day=date(2026, 11, 2),
    arms=[
        ArmLook(arm="now", users=1200, shown=5000, value=0.1),
        ArmLook(
            arm="popular",
            users=1300,
            shown=5100,
            value=0.12,
            difference=0.02,
            low=0.01,
            high=0.03,
            verdict="better",
        ),
    ],
    words=["popular is better than now."],
)


def judged(root: Path) -> Home:
    home = write_experiments(root)
    add_look(home, read_experiments(home)[0], LOOK, now=datetime(2026, 11, 3, tzinfo=UTC))
    return home


def run(home: Home, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["experiments", *arguments, "--home", str(home.root)])


def test_the_list_says_the_verdict(tmp_path: Path) -> None:
    output = run(judged(tmp_path), "list").output
    assert "taste" in output
    assert "  popular is better than now." in output


def test_a_home_without_experiments_says_where_to_write_them(tmp_path: Path) -> None:
    assert "experiments.toml" in run(Home(tmp_path), "list").output


def test_show_has_the_arms_and_a_line_an_arm_and_day(tmp_path: Path) -> None:
    output = run(judged(tmp_path), "show", "taste").output
    assert "popular: popular, 50% of users" in output
    assert "0.12  +0.02 (+0.01 to +0.03)  better" in output


def test_json_is_one_object(tmp_path: Path) -> None:
    home = judged(tmp_path)
    assert json.loads(run(home, "show", "taste", "--json").output)["result"]["days"][0]["day"] == "2026-11-02"
    assert len(json.loads(run(home, "list", "--json").output)["experiments"]) == 1


def test_stop_records_who_and_why(tmp_path: Path) -> None:
    home = judged(tmp_path)
    assert run(home, "stop", "taste", "--why", "complaints").exit_code == 0
    (end,) = read_ends(home)
    assert (end.experiment, end.arm, end.why) == ("taste", None, "complaints")
    assert "Stopped on" in run(home, "show", "taste").output


def test_an_unknown_name_is_the_callers_mistake(tmp_path: Path) -> None:
    done = run(judged(tmp_path), "show", "nothing")
    assert done.exit_code == 2


def test_a_broken_file_is_named_with_its_line(tmp_path: Path) -> None:
    home = write_experiments(tmp_path, "[experiments.taste]\nstart = 1\n")
    done = CliRunner().invoke(main, ["experiments", "list", "--home", str(home.root)])
    assert done.exit_code == 2
    assert "experiments.toml:2" in done.output
