"""A day's profile depends on the days added before it, and only on them."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.drift.day_events import read_days
from recsys_assets.drift.distinct_keys import KnownKeys
from recsys_assets.drift.seen_before import SeenBefore, shape_of
from recsys_assets.lake.contract import RAW_INTERACTIONS

DAY = date(2017, 3, 5)
NEXT = DAY + timedelta(days=1)


def raw(*rows, day=DAY):
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    plain = {
        "user_id": "u1",
        "item_id": "i1",
        "timestamp": noon,
        "rating": 4.0,
        "quantity": 1.0,
        "value": 2.0,
    }
    return pl.DataFrame([plain | row for row in rows], schema=RAW_INTERACTIONS.polars_schema())


def events(frame, day=NEXT):
    """Return the events of one day."""
    (found,) = read_days([(day, frame)])
    return found


@pytest.fixture
def seen():
    """One day: users u1 and u2, item i1."""
    seen = SeenBefore()
    _, first_seen = seen.profile_day(events(raw({}, {"user_id": "u2"}), DAY), day=DAY)
    seen.add(first_seen, day=DAY)
    return seen


@pytest.mark.parametrize(
    ("row", "share"),
    [
        ({"user_id": "u3"}, "new_users"),
        ({"item_id": "i2"}, "new_items"),
        ({"user_id": "U-3"}, "odd_user_ids"),
        ({"item_id": "i1 "}, "odd_item_ids"),
        ({"rating": 9.0}, "unseen_ratings"),
        ({}, "repeated_pairs"),
        ({}, "redelivered_rows"),
    ],
)
def test_one_row_counts_for_its_share(seen, row, share):
    profile, _ = seen.profile_day(events(raw(row, day=NEXT)), day=NEXT)
    assert profile.shares[share] == (1, 1)


@pytest.mark.parametrize(
    ("row", "share"),
    [
        ({"user_id": "u3"}, "new_users"),
        ({"item_id": "i1 "}, "odd_item_ids"),
        ({"rating": 9.0}, "unseen_ratings"),
    ],
)
def test_the_rows_of_a_share_are_marked(seen, row, share):
    assert seen.mask_of(share, events(raw({}, row, day=NEXT)), day=NEXT).tolist() == [False, True]


def test_profiling_adds_nothing(seen):
    of_next = events(raw({"user_id": "u3", "item_id": "i2"}, day=NEXT))
    assert seen.profile_day(of_next, day=NEXT)[0] == seen.profile_day(of_next, day=NEXT)[0]


def test_days_loaded_at_once_are_as_if_added_one_by_one(seen):
    loaded = SeenBefore()
    first = raw({}, {"user_id": "u2"})
    profile, _ = loaded.profile_day(events(first, DAY), day=DAY)
    ids = first.select("user_id", "item_id", "rating").lazy()
    loaded.load(ids, [(DAY, profile.sketch_keys())], [(DAY, first)])
    of_next = events(raw({}, {"user_id": "u3"}, {"rating": 1.0}, day=NEXT))
    assert loaded.profile_day(of_next, day=NEXT)[0] == seen.profile_day(of_next, day=NEXT)[0]


def test_ids_of_the_same_length_and_characters_have_one_shape():
    assert shape_of("B00A7") == shape_of("B0XX3")
    assert len({shape_of("B00A7"), shape_of("B00A7 "), shape_of("b00a7")}) == 3


@settings(max_examples=60, deadline=None)
@given(batches=st.lists(st.sets(st.integers(0, 200), max_size=40), max_size=12))
def test_known_keys_are_a_set(batches):
    known, plain = KnownKeys(), set()
    for batch in batches:
        new = np.array(sorted(batch - plain), dtype=np.uint64)
        known.add(new)
        plain |= batch
    everything = np.arange(201, dtype=np.uint64)
    assert set(everything[known.contains(everything)].tolist()) == plain
    assert len(known) == len(plain)
