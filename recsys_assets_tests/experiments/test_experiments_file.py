"""Reading `experiments.toml`: what it says, and where a mistake is."""

from datetime import date
from pathlib import Path

import pytest

from recsys_assets.errors import ExperimentsError
from recsys_assets.experiments.experiments_file import find_experiment, missing_parts, read_experiments
from recsys_assets.storage.home import Home
from recsys_assets_tests.experiments.writing import TWO_ARMS, one_experiment, write_experiments

GUARD = '[[experiments.taste.guards]]\nmetric = "conversion"\nworse_than = 0.1\n'
SECOND = TWO_ARMS.replace("experiments.taste", "experiments.other")


def test_a_home_without_the_file_has_no_experiment(tmp_path: Path) -> None:
    assert read_experiments(Home(tmp_path)) == ()


def test_the_first_arm_is_the_control(tmp_path: Path) -> None:
    assert one_experiment(tmp_path).control.name == "now"


def test_an_experiment_runs_from_its_first_through_its_last_day(tmp_path: Path) -> None:
    found = one_experiment(tmp_path)
    days = [date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 30), date(2026, 12, 1)]
    assert [found.runs_on(day) for day in days] == [False, True, True, False]


def test_guard_rails_are_read(tmp_path: Path) -> None:
    (found,) = read_experiments(write_experiments(tmp_path, TWO_ARMS + GUARD))
    assert [(guard.metric, guard.worse_than) for guard in found.guards] == [("conversion", 0.1)]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("end = 2026-11-30", "end = 2026-10-30", 3, "before the start"),
        ('metric = "ctr"', 'metric = "clicks"', 4, "`conversion` or `ctr` or `value_per_answer`"),
        ("start = 2026-11-01", "begin = 2026-11-01", 2, "nearest known name"),
        ("start = 2026-11-01\n", "", 1, "missing"),
        ('"ctr"', '"ctr"\nalpha = 0.9', 5, "0.0001 to 0.5"),
        ('"popular"\nshare = 0.5', '"popular"\nshare = 0.6', 6, "1.1 together"),
        ('"popular"\nshare = 0.5', '"popular"\nshare = 0', 12, "more than 0"),
        ('name = "popular"', 'name = "now"', 11, "two arms are called 'now'"),
        ('name = "popular"', 'name = "interleaved"', 11, "cannot be an arm's name"),
        ('model = "popular"', 'model = "popular"\nrules = "a.toml"', 13, "write one of"),
        ('model = "popular"', 'rules = "../a.toml"', 13, "outside of the home"),
        ('model = "popular"', "colour = 1", 13, "unknown"),
        ('"ctr"', '"conversion"\nkind = "interleave"', 4, "has no team in an interleaved list"),
        ("[experiments.taste]", "[experiments.Taste]", 1, "no name"),
        ("[experiments.taste]", "[trials]\n[experiments.taste]", 1, "unknown"),
        ("start = 2026-11-01", "start = = 1", 2, "not valid TOML"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, line: int, words: str) -> None:
    home = write_experiments(tmp_path, TWO_ARMS, (old, new))
    with pytest.raises(ExperimentsError) as raised:
        read_experiments(home)
    assert f"experiments.toml:{line}: " in str(raised.value)
    assert words in str(raised.value)


def test_two_experiments_on_the_same_requests_cannot_run_together(tmp_path: Path) -> None:
    with pytest.raises(ExperimentsError, match="runs together with taste"):
        read_experiments(write_experiments(tmp_path, TWO_ARMS + SECOND))


def test_two_experiments_on_other_scenarios_run_together(tmp_path: Path) -> None:
    other = SECOND.replace('metric = "ctr"', 'metric = "ctr"\nscenario = "home"')
    assert len(read_experiments(write_experiments(tmp_path, TWO_ARMS + other))) == 2


def test_an_unknown_experiment_is_an_error_that_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ExperimentsError, match=r"'x'; there are: taste"):
        find_experiment(write_experiments(tmp_path), "x")


@pytest.mark.parametrize("named", ['rules = "gone.toml"', 'release = "20260101-0123456789"'])
def test_a_rules_file_or_release_that_is_not_there_is_named(tmp_path: Path, named: str) -> None:
    found = one_experiment(tmp_path, ('model = "popular"', named))
    missing = missing_parts(Home(tmp_path), found)
    assert missing is not None
    assert named.split('"')[1] in missing


def test_nothing_is_missing_where_the_rules_file_is_there(tmp_path: Path) -> None:
    found = one_experiment(tmp_path, ('model = "popular"', 'rules = "mine.toml"'))
    (tmp_path / "mine.toml").write_text("")
    assert missing_parts(Home(tmp_path), found) is None
