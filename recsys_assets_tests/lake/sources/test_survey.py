"""One reading counts days, ratings and kinds; the scale of ratings has a middle that strays do not move."""

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.sources.survey import RatingScale, Survey

NOON = datetime(2024, 1, 5, 12, tzinfo=UTC)


def batch(*rows: dict) -> pl.DataFrame:
    plain = {"user_id": "u", "item_id": "i", "timestamp": NOON, "rating": None, "kind": None}
    return pl.DataFrame([plain | row for row in rows], schema=RAW_INTERACTIONS.polars_schema())


def scale(*ratings: float | None) -> RatingScale:
    return Survey.of([batch(*({"rating": rating} for rating in ratings))]).ratings


def test_batches_are_added_up():
    one = batch({"rating": 4.0, "kind": "View"}, {"rating": None, "kind": " view "}, {"kind": "  "})
    found = Survey.of(
        [one, batch({"rating": 4.0, "kind": "buy"}), batch({"rating": 2.0}), batch({"rating": float("nan")})]
    )
    assert (found.ratings.values, found.ratings.events) == ((2.0, 4.0), (1, 2))
    assert found.kinds == {"view": 2, "buy": 1}
    assert found.rows.total == 6


@pytest.mark.parametrize(
    ("ratings", "positive"),
    [
        ((1, 2, 3, 4, 5), 4.0),
        ((0.5, 3.0, 2.5, 5.0), 3.0),
        ((0, 1), 1.0),
        ((-1, 1), 1.0),
        ((0.1, 0.7, 1.0), 0.7),
        ((5, 5, 5), None),
        ((), None),
        ((None, float("inf")), None),
    ],
)
def test_the_least_rating_above_the_middle_is_positive(ratings, positive):
    assert scale(*ratings).positive() == positive


def test_a_stray_rating_does_not_widen_the_scale():
    found = RatingScale(values=(-7.0, 1.0, 2.0, 3.0, 4.0, 5.0, 99.0), events=(1, 900, 900, 900, 900, 900, 2))
    assert (found.ends(), found.positive()) == ((1.0, 5.0), 4.0)


@given(
    counted=st.dictionaries(st.floats(-100, 100, width=32), st.integers(1, 5_000), min_size=1, max_size=12)
)
def test_positive_ratings_are_some_and_not_all(counted):
    found = RatingScale(values=tuple(sorted(counted)), events=tuple(counted[key] for key in sorted(counted)))
    low, high = found.ends()
    positive = found.positive()
    assert low in found.values
    assert high in found.values
    assert (positive is None) == (low == high)
    if positive is not None:
        assert positive in found.values
        assert low < positive <= high
        assert 0 < found.events_from(positive) < found.total


def test_of_very_many_ratings_three_digits_are_kept():
    found = scale(*(100 + n / 997 for n in range(20_000)))
    assert len(found.values) < 10_000
    assert found.total == 20_000
    assert found.positive() == pytest.approx(110, abs=1)
