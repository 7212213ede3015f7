"""An alarm is explained by the value found, the expected one, and the rows behind it."""

from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from recsys_assets.drift.day_events import read_days
from recsys_assets.drift.day_profile import Profile
from recsys_assets.drift.day_scores import DayScores
from recsys_assets.drift.explain import describe, rows_behind
from recsys_assets.drift.scores import Score
from recsys_assets.drift.seen_before import SeenBefore
from recsys_assets.drift.statistics import Thresholds
from recsys_assets.lake.contract import RAW_INTERACTIONS

DAY = date(2017, 3, 5)


def scored(**scores):
    profile = Profile(
        counts={"rows": 100},
        shares={},
        means={},
        histograms={},
        sketch=b"",
    )
    return DayScores(
        scores=scores,
        thresholds=dict.fromkeys(scores, Thresholds(warn=5, block=9)),
        profile=profile,
        residuals={},
        usual_shares=np.zeros(0),
    )


@pytest.mark.parametrize(
    ("name", "score", "sentence"),
    [
        ("rows", {"found": 1200, "expected": 600.4}, "rows: 1,200, about 600 expected"),
        ("null_users", {"found": 0.25, "expected": 0.01}, "null users: 25.00%, about 1.00% expected"),
        ("mean_rating", {"found": 2.0, "expected": 4.5}, "mean rating: 2, about 4.5 expected"),
        ("mean_log_value", {"found": 0.0, "expected": 0.0}, "typical value: 1, about 1 expected"),
        (
            "hour_shape",
            {"found": 0.5, "expected": 0.1, "affected": 0.4, "where": 7},
            "hour shape: 40% of the visits lie elsewhere than usual; hour 07 has 50.00% instead of 10.00%",
        ),
        (
            "missing_hours",
            {"found": 0.0, "expected": 0.38, "where": 14, "until": 23},
            "missing hours: hours 14 to 23 have 0.00% of the visits, about 38.00% expected",
        ),
        ("repeat_visits", {"found": 0.2, "expected": 0.05}, "repeat visits: 20.00%, about 5.00% expected"),
        (
            "category_mix",
            {"found": 0.5, "expected": 0.1, "affected": 0.4, "where": 1},
            "category mix: 40% of the rows lie elsewhere than usual; category tea has 50.00% instead of 10.00%",
        ),
    ],
)
def test_a_sentence_has_the_value_found_and_the_expected_one(name, score, sentence):
    day = scored(**{name: Score(**{"score": 10.0, "affected": 0.0} | score)})
    assert describe(name, day, categories={"category": ["milk", "tea"]}) == sentence


@pytest.fixture
def frame():
    rows = [("u1", "i1", 8, 1.0), ("u1", None, 9, 2.0), ("u2", "i2 ", 9, -1.0)]
    times = [datetime(2017, 3, 5, hour, tzinfo=UTC) for _, _, hour, _ in rows]
    return pl.DataFrame(
        {
            "user_id": [user for user, *_ in rows],
            "item_id": [item for _, item, *_ in rows],
            "timestamp": times,
            "rating": None,
            "quantity": 1.0,
            "value": [value for *_, value in rows],
            "kind": None,
        },
        schema=RAW_INTERACTIONS.polars_schema(),
    )


@pytest.mark.parametrize(
    ("name", "score", "rows"),
    [
        ("null_items", {}, [1]),
        ("negative_values", {}, [2]),
        ("top_user_rows", {}, [0, 1]),
        ("top_items_rows", {}, [0, 2]),
        ("top_user_visits", {}, [0, 1]),
        ("repeat_visits", {}, [0, 1]),
        ("untrimmed_item_ids", {}, [2]),
        ("duplicate_rows", {}, []),
        ("missing_hours", {"where": 10, "until": 12}, []),
        ("hour_shape", {"where": 8, "surplus": 9}, [1, 2]),
        ("hour_shape", {"where": 8}, []),
        ("new_users", {}, [0, 1, 2]),
        ("null_items", {"found": 0.0, "expected": 0.5}, []),
    ],
)
def test_the_rows_behind_an_alarm_are_found(frame, name, score, rows):
    given = Score(**{"score": 10.0, "found": 0.5, "expected": 0.0, "affected": 0.5} | score)
    (events,) = read_days([(DAY, frame)])
    found = rows_behind(name, given, events, day=DAY, seen=SeenBefore())
    assert found.equals(frame[rows])
