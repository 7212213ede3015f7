"""`recsys online`: days, one day, and groups compared; what is wrong in one line."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets.experiments.measure_online import measure_online
from recsys_assets.experiments.online_results import KEPT_DAYS
from recsys_assets.storage.home import Home
from recsys_assets_tests.experiments.shown_home import FIRST_DAY, RELEASE, day_of_visits, land_all

SECOND_DAY = FIRST_DAY + timedelta(days=1)


def show(home, *arguments):
    done = CliRunner().invoke(main, ["online", *arguments, "--home", str(home.root)], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.output


def measure(home):
    return measure_online(
        home,
        home.artifact("online_metrics"),
        provenance=lambda day: {"recsys.inputs": str(day)},
        attribution_days=7,
        catalogue_items=50,
        now=datetime(2026, 2, 1, tzinfo=UTC),
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    found = Home(tmp_path_factory.mktemp("online"))
    for day in (FIRST_DAY, SECOND_DAY):
        day_of_visits(found, day, arms=("a", "b", None))
    land_all(found)
    measure(found)
    return found


def test_without_a_day_each_day_has_a_line_with_its_intervals(home):
    title, columns, *days = show(home).splitlines()
    assert title == (
        "Answers shown 2026-01-01 to 2026-01-02; a click counts for 7 days, no day is final yet."
    )
    assert columns.split()[:3] == ["day", "answers", "users"]
    assert [line.split()[0] for line in days] == ["2026-01-01", "2026-01-02"]
    assert all(line.count("[") == 3 and "%" in line for line in days)


def test_arms_releases_and_lists_are_compared_over_the_weeks_or_on_a_day(home):
    arms = show(home, "--by", "arm").splitlines()[2:]
    assert [line.split()[:2] for line in arms] == [["prices/a", "28"], ["prices/b", "26"]]
    assert show(home, "--by", "release").splitlines()[2].split()[:2] == [RELEASE, "80"]
    assert show(home, "2026-01-01", "--by", "list").splitlines()[2].split()[:2] == ["plain", "40"]


def test_a_day_has_its_coverage_and_the_curve_of_its_positions(home):
    shown = show(home, "2026-01-02").splitlines()
    assert shown[2].startswith("2026-01-02")
    assert "100.0%" in shown[2]
    assert shown[3] == "Clicked at position:"
    assert [line.split()[0] for line in shown[4:]] == [str(place) for place in range(1, 11)]


def test_json_has_what_is_shown(home):
    found = json.loads(show(home, "--by", "arm", "--json"))
    assert {(one["group"], one["group_kind"]) for one in found["days"]} == {
        ("prices/a", "arm"),
        ("prices/b", "arm"),
    }
    assert found["attribution_days"] == 7


def test_a_day_without_answers_is_one_line_that_names_those_that_have_some(home):
    done = CliRunner().invoke(main, ["online", "2025-01-01", "--home", str(home.root)])
    assert done.exit_code == 2
    assert done.output == (
        "recsys: 2025-01-01: no answer was measured that was shown on this day; answers were shown on 2026-01-01 to"
        " 2026-01-02\n"
    )


def test_a_home_that_measured_nothing_says_what_to_do(tmp_path):
    assert "post what is shown to /v1/impressions" in show(Home(tmp_path))
    assert show(Home(tmp_path), "--json") == "null\n"


def test_a_damaged_file_is_one_line(tmp_path):
    folder = Home(tmp_path).artifact("online_metrics")
    folder.mkdir(parents=True)
    (folder / "online_metrics.json").write_text("[]")
    done = CliRunner().invoke(main, ["online", "--home", str(tmp_path)])
    assert done.exit_code == 1
    assert "`recsys build` makes them again" in done.output
    assert len(done.output.splitlines()) == 1


def test_a_day_that_is_too_old_for_the_json_is_read_from_the_lake(tmp_path):
    home = Home(tmp_path)
    for number in range(0, 2 * KEPT_DAYS, KEPT_DAYS):
        day_of_visits(home, date(2026, 1, 1) + timedelta(days=number), users=2)
    for number in range(1, KEPT_DAYS):
        day_of_visits(home, date(2026, 1, 1) + timedelta(days=number), users=1)
    land_all(home)
    assert len(measure(home).results.days_shown()) == KEPT_DAYS
    assert show(home, "2026-01-01").splitlines()[2].split()[:2] == ["2026-01-01", "2"]
