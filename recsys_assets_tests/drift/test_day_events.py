"""Days that are read together have the figures that each has by itself."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.drift.day_events import read_days
from recsys_assets.lake.contract import RAW_INTERACTIONS

START = date(2020, 1, 6)
SCHEMA = RAW_INTERACTIONS.polars_schema()
PARTS = ("users", "items", "pairs", "visits", "content", "ratings")
FIGURES = ("counts", "shares", "means", "histograms")
ROW = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(["u1", " u2", "", None]),
        "item_id": st.sampled_from(["i1", "i2 ", None]),
        "second": st.integers(-100_000, 100_000) | st.just(0),
        "rating": st.sampled_from([None, 1.0, -0.0, float("nan")]),
        "quantity": st.sampled_from([None, 1.0, -2.0, float("inf")]),
        "value": st.sampled_from([None, 2.5, -1.0]),
        "kind": st.sampled_from([None, "view", "purchase"]),
    }
)


def frame_of(day, rows):
    """Return a day's rows; the seconds count from its start."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    timed = [row | {"timestamp": start + timedelta(seconds=row["second"])} for row in rows]
    return pl.DataFrame(timed, schema=SCHEMA) if timed else SCHEMA.to_frame()


def assert_read_alike(days):
    for (day, frame), found in zip(days, read_days(days), strict=True):
        (alone,) = read_days([(day, frame)])
        assert all(getattr(found, figure) == getattr(alone, figure) for figure in FIGURES)
        for part in PARTS:
            ours, expected = getattr(found, part), getattr(alone, part)
            for name in ("keys", "first", "rows", "codes"):
                assert np.array_equal(getattr(ours, name), getattr(expected, name))


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.lists(ROW, max_size=5), min_size=1, max_size=6))
def test_a_day_has_the_same_figures_whatever_is_read_with_it(rows):
    days = [START + timedelta(days=n) for n in range(len(rows))]
    assert_read_alike([(day, frame_of(day, found)) for day, found in zip(days, rows, strict=True)])


def test_large_days_are_read_as_small_ones():
    rng = np.random.default_rng(1)
    rows = [
        {
            "user_id": f"u{rng.integers(40)}",
            "item_id": f"i{rng.integers(40)}",
            "second": int(rng.integers(86_400)),
            "rating": float(rng.integers(5)),
            "quantity": 1.0,
            "value": 2.0,
        }
        for _ in range(900)
    ]
    days = [START + timedelta(days=n) for n in range(4)]
    large = [(days[0], frame_of(days[0], rows)), (days[1], frame_of(days[1], rows[:800]))]
    assert_read_alike(large)
    assert_read_alike([*large, (days[2], frame_of(days[2], [])), (days[3], frame_of(days[3], rows[:2]))])


def test_a_visit_is_a_users_hour_and_without_a_user_a_moment():
    at = [("u1", 0), ("u1", 3_599), ("u1", 3_600), ("u2", 0), (None, 10), (None, 10), (None, 11)]
    plain = {"item_id": "i1", "rating": None, "quantity": 1.0, "value": 2.0}
    rows = [{"user_id": user, "second": second} | plain for user, second in at]
    (events,) = read_days([(START, frame_of(START, rows))])
    assert len(events.visits.keys) == 5
    assert events.histograms["hour"] == {0: 4, 1: 1}
    assert events.shares["top_user_visits"] == (2, 3)
    assert events.shares["repeat_visits"] == (1, 3)
    assert events.shares["duplicate_rows"] == (1, 7)
    assert events.shares["visits_with_duplicates"] == (1, 5)


def test_rows_that_differ_by_kind_are_no_duplicates():
    plain = {"user_id": "u1", "item_id": "i1", "second": 0, "rating": None, "quantity": None, "value": None}
    rows = [plain | {"kind": kind} for kind in ("view", "purchase", "view", None, None)]
    (events,) = read_days([(START, frame_of(START, rows))])
    assert events.shares["duplicate_rows"] == (2, 5)
