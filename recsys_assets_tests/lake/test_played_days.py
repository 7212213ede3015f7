"""Rows of a source as events by HTTP: the same ids each time, and every row its own."""

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.played_days import events_of_rows
from recsys_assets_tests.lake.sent_events import ARRIVED, on

SCHEMA = RAW_INTERACTIONS.polars_schema()


def rows(*given_rows: dict[str, object]) -> pl.DataFrame:
    usual = {"user_id": "u", "item_id": "i", "timestamp": on(1)}
    return pl.DataFrame([{**usual, **row} for row in given_rows], schema=SCHEMA)


@given(st.lists(st.tuples(st.sampled_from("uv"), st.sampled_from("ij"), st.integers(0, 3)), max_size=20))
def test_a_day_played_twice_has_the_same_ids_and_each_row_its_own(drawn):
    frame = rows(*({"user_id": user, "item_id": item, "quantity": pieces} for user, item, pieces in drawn))
    first = events_of_rows(frame, received_at=ARRIVED)
    again = events_of_rows(frame, received_at=datetime(2030, 1, 1, tzinfo=UTC))
    assert [one.event_id for one in first] == [one.event_id for one in again]
    assert len({one.event_id for one in first}) == len(drawn)


@pytest.mark.parametrize(
    ("row", "kind"),
    [({}, "purchase"), ({"rating": 4.0}, "rating"), ({"kind": " View "}, "view"), ({"kind": "like"}, "like")],
)
def test_a_row_without_a_kind_is_a_rating_where_it_has_one_else_a_purchase(row, kind):
    (event,) = events_of_rows(rows(row), received_at=ARRIVED)
    assert event.kind == kind


def test_rows_without_a_user_or_an_item_are_no_events():
    frame = rows({"user_id": None}, {"item_id": None}, {})
    assert len(events_of_rows(frame, received_at=ARRIVED)) == 1


def test_an_event_says_all_that_the_row_says():
    frame = rows({"quantity": 2, "value": 3.5, "timestamp": on(1, 10, 7, 31)})
    (event,) = events_of_rows(frame, received_at=ARRIVED)
    assert (event.quantity, event.value, event.rating) == (2.0, 3.5, None)
    assert event.timestamp == int(on(1, 10, 7, 31).timestamp()) * 1_000_000
