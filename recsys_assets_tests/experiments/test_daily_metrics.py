"""Metrics of days: worked by hand for a small day, and true to what was planted for a large one."""

from datetime import timedelta

import polars as pl
import pytest

from recsys_assets.experiments.attribution import GROUPS, answers_shown, attribute, items_shown
from recsys_assets.experiments.daily_metrics import GROUP_KINDS, ONLINE_METRICS, metrics_of_days
from recsys_assets.experiments.impression_days import impression_store
from recsys_assets.experiments.shown_days import shown_days
from recsys_assets.quality.contract import validate
from recsys_assets.storage.home import Home
from recsys_assets_tests.experiments.shown_home import FIRST_DAY, RELEASE, day_of_visits, land_all
from recsys_assets_tests.experiments.test_attribution import done, shown


def metrics(impressions, events, *, catalogue_items=0):
    attributed = attribute(impressions, events, window=timedelta(days=1))
    answers = answers_shown(impressions, attributed)
    items = items_shown(impressions, attributed, answers, columns=GROUPS)
    return validate(ONLINE_METRICS, metrics_of_days(answers, items, catalogue_items=catalogue_items))


def values(frame, group_kind="all", group="all"):
    rows = frame.filter(pl.col("group_kind") == group_kind, pl.col("group") == group)
    return {row["metric"]: (row["value"], row["shown"], row["events"]) for row in rows.iter_rows(named=True)}


def test_a_day_worked_by_hand():
    impressions = shown(
        ("a1", "x", "u", 0),
        ("a1", "y", "u", 0),
        ("a2", "x", "u", 0.5),
        ("a2", "z", "u", 0.5),
        ("a3", "x", "v", 1),
    )
    events = done(
        ("u", "y", "view", 1, None, None),
        ("u", "y", "purchase", 1.5, 6.0, None),
        ("v", "x", "view", 1.5, None, None),
    )
    found = values(metrics(impressions, events, catalogue_items=4))
    assert found == {
        "ctr": (pytest.approx(2 / 3), 3, 2),
        "conversion": (0.5, 2, 1),
        "value_per_answer": (2.0, 3, 1),
        "coverage": (0.75, 4, 3),
        "ctr_at_1": (pytest.approx(1 / 3), 3, 1),
        "ctr_at_2": (0.5, 2, 1),
    }


def test_answers_are_split_by_release_list_and_arm_and_those_of_no_experiment_are_in_no_arm():
    impressions = shown(("a1", "x", "u", 0), ("a2", "x", "v", 0), ("a3", "x", "w", 0)).with_columns(
        pl.Series("release", ["r", "r", "s"]),
        pl.Series("list", ["plain", None, "scenario:home"]),
        pl.Series("experiment", ["prices", "prices", None]),
        pl.Series("arm", ["a", "b", None]),
    )
    found = metrics(impressions, done()).filter(pl.col("metric") == "ctr")
    groups = {kind: found.filter(pl.col("group_kind") == kind)["group"].to_list() for kind in GROUP_KINDS}
    assert groups == {
        "all": ["all"],
        "release": ["r", "s"],
        "list": ["plain", "scenario:home"],
        "arm": ["prices/a", "prices/b"],
    }


def test_no_answers_have_no_metrics():
    assert metrics(shown(), done(), catalogue_items=9).is_empty()


def test_without_a_catalogue_there_is_no_coverage():
    assert "coverage" not in values(metrics(shown(("a1", "x", "u", 0)), done()))


def test_positions_behind_the_twentieth_are_left_out():
    found = values(metrics(shown(*(("a1", f"i{number}", "u", 0) for number in range(30))), done()))
    assert {name for name in found if name.startswith("ctr_at_")} == {
        f"ctr_at_{place}" for place in range(1, 21)
    }


def test_a_better_arm_that_was_planted_has_the_higher_rate_and_the_curve_falls(tmp_path):
    home = Home(tmp_path / "home")
    home.root.mkdir()
    day_of_visits(home, FIRST_DAY, users=600, arms=("good",), liked=0.5)
    day_of_visits(home, FIRST_DAY, users=600, arms=("poor",), liked=0.1, seed=1)
    land_all(home)
    (found,) = shown_days(home, impression_store(home).days(), attribution_days=7)
    frame = metrics_of_days(found.answers, found.items, catalogue_items=50)
    good, poor = values(frame, "arm", "prices/good"), values(frame, "arm", "prices/poor")
    assert good["ctr"][0] > 1.5 * poor["ctr"][0]
    intervals = frame.filter(pl.col("group_kind") == "arm", pl.col("metric") == "ctr").sort("group")
    assert intervals["low"][0] > intervals["high"][1]
    assert good["ctr_at_1"][0] > good["ctr_at_10"][0]
    assert values(frame, "release", RELEASE)["ctr"][1] == 1_200
