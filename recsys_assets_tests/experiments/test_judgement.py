"""The daily judgement: looks that are kept, verdicts in words, and guard rails that end an arm."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from recsys_assets.errors import ExperimentsError
from recsys_assets.experiments.experiments_file import Experiment
from recsys_assets.experiments.judgement import Judged, judge
from recsys_assets.experiments.results import read_result
from recsys_assets.experiments.standing import read_ends, standing_of, stop
from recsys_assets.notices.outbox import Outbox
from recsys_assets.notify_settings import NotifySettings
from recsys_assets.storage.home import Home
from recsys_assets_tests.experiments.simulated_users import user_days
from recsys_assets_tests.experiments.writing import TWO_ARMS, write_experiments

GUARD = '\n[[experiments.taste.guards]]\nmetric = "conversion"\nworse_than = 0.1\n'


def at(day: int) -> datetime:
    """A moment after the end of the experiment's n-th day."""
    return datetime(2026, 11, 1, 3, tzinfo=UTC) + timedelta(days=day)


def judged(home: Home, frame: pl.DataFrame, day: int, settings: NotifySettings | None = None) -> list[Judged]:
    def days_of(_: Experiment, through: date) -> pl.DataFrame:
        return frame.filter(pl.col("day") <= through)

    return judge(home, at(day), days_of=days_of, settings=settings)


def test_each_day_adds_a_look(tmp_path: Path) -> None:
    home, frame = write_experiments(tmp_path), user_days(seed=1)
    for day in range(1, 5):
        judged(home, frame, day)
    result = read_result(home, "taste")
    assert result is not None
    assert [look.day for look in result.days] == [date(2026, 11, day) for day in range(1, 5)]


def test_a_second_look_on_a_day_replaces_the_first(tmp_path: Path) -> None:
    home, frame = write_experiments(tmp_path), user_days(seed=1)
    first = judged(home, frame.head(100), 1)[0].result.days
    assert len(judged(home, frame, 1)[0].result.days) == len(first) == 1


def test_nothing_is_judged_before_its_first_day_is_over(tmp_path: Path) -> None:
    assert judged(write_experiments(tmp_path), user_days(seed=1), 0) == []


def test_a_better_arm_is_called_better_in_words(tmp_path: Path) -> None:
    (found,) = judged(write_experiments(tmp_path), user_days(seed=2, users=2000, lift=0.5), 10)
    assert found.result.days[-1].arms[1].verdict == "better"
    assert found.result.words[0].startswith("popular is better than now, decided on 2026-11-")


def test_a_worse_arm_is_called_worse(tmp_path: Path) -> None:
    (found,) = judged(write_experiments(tmp_path), user_days(seed=2, users=2000, lift=-0.5), 10)
    assert found.result.days[-1].arms[1].verdict == "worse"


def test_an_open_comparison_says_users_days_and_a_forecast(tmp_path: Path) -> None:
    (found,) = judged(write_experiments(tmp_path), user_days(seed=3, users=600), 10)
    (words,) = found.result.words
    assert words.startswith("popular: not decided after 10 days, ")
    assert " users: ctr " in words
    assert "at this rate" in words


def test_few_users_are_too_few(tmp_path: Path) -> None:
    (found,) = judged(write_experiments(tmp_path), user_days(seed=3, users=50), 10)
    assert found.result.days[-1].arms[1].verdict == "too few users"


def test_without_any_row_nothing_was_shown(tmp_path: Path) -> None:
    (found,) = judged(write_experiments(tmp_path), user_days(seed=3).clear(), 2)
    assert "nothing was shown" in found.result.words[0]


def test_a_decision_stays_whatever_comes_later(tmp_path: Path) -> None:
    home = write_experiments(tmp_path)
    judged(home, user_days(seed=2, users=2000, lift=0.5), 5)
    (found,) = judged(home, user_days(seed=3, users=2000), 10)
    assert found.result.days[-1].arms[1].verdict == "better"


def test_a_guard_rail_ends_a_harmful_arm_once_with_figures_and_a_notice(tmp_path: Path) -> None:
    home = write_experiments(tmp_path, TWO_ARMS + GUARD)
    harmful = user_days(seed=4, users=3000, conversion_lift=-0.9)
    first, second = (judged(home, harmful, day, NotifySettings())[0] for day in (9, 10))
    (end,) = read_ends(home)
    assert [len(first.ended), len(second.ended)] == [1, 0]
    assert (end.arm, end.figures["users"] > 100) == ("popular", True)
    assert "surely worse than that of now by more than 10%" in end.why
    with Outbox(home.notices_db) as outbox:
        (notice,) = outbox.notices()
    assert notice.kind == "ended_arm"
    assert [arm.name for arm in standing_of(home)[0].arms_left()] == ["now"]


def test_a_guard_rail_spares_an_arm_that_does_no_harm(tmp_path: Path) -> None:
    home = write_experiments(tmp_path, TWO_ARMS + GUARD)
    assert judged(home, user_days(seed=5, users=3000), 10)[0].ended == []


def test_a_stopped_experiment_is_not_judged_and_cannot_be_stopped_twice(tmp_path: Path) -> None:
    home = write_experiments(tmp_path)
    stop(home, "taste", why="enough", who="me", now=at(2))
    assert judged(home, user_days(seed=1), 5) == []
    with pytest.raises(ExperimentsError, match="stopped already"):
        stop(home, "taste", why="again", who="me", now=at(3))


def test_an_end_needs_a_reason(tmp_path: Path) -> None:
    with pytest.raises(ExperimentsError, match="give a reason"):
        stop(write_experiments(tmp_path), "taste", why=" ", who="me", now=at(2))


def test_three_arms_share_alpha(tmp_path: Path) -> None:
    third = '\n[[experiments.taste.arms]]\nname = "third"\nshare = 0.2\n'
    halves = TWO_ARMS.replace("share = 0.5", "share = 0.4")
    (two,) = judged(write_experiments(tmp_path / "two"), user_days(seed=6), 10)
    (three,) = judged(write_experiments(tmp_path / "three", halves + third), user_days(seed=6), 10)
    narrow, wide = two.result.days[-1].arms[1], three.result.days[-1].arms[1]
    assert narrow.difference == wide.difference
    assert wide.high is not None
    assert narrow.high is not None
    assert wide.high > narrow.high
