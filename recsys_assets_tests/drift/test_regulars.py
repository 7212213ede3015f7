"""Regular users and bestsellers are those of the four weeks up to the last Sunday."""

from datetime import date, timedelta

import numpy as np
import pytest

from recsys_assets.drift.distinct_keys import DistinctKeys
from recsys_assets.drift.regulars import Regulars, Visitors

MONDAY = date(2020, 1, 6)


def keys(rows):
    """Distinct keys with their rows, given as key -> rows."""
    found = sorted(rows)
    return DistinctKeys(
        keys=np.array(found, dtype=np.uint64),
        first=np.arange(len(found)),
        rows=np.array([rows[key] for key in found], dtype=np.int64),
        codes_in_chunk=np.arange(len(found)),
        begin=0,
    )


def four_weeks():
    """User 7 comes daily, 200 others once each; item 5 sells most, twenty others less."""
    regulars = Regulars()
    for n in range(28):
        others = range(1000 + 8 * n, 1008 + 8 * n)
        users = keys({7: 1, **dict.fromkeys(others, 1)})
        items = keys({5: 9, **dict.fromkeys(range(100, 120), 1)})
        regulars.add(Visitors.of(users, items), day=MONDAY + timedelta(days=n))
    return regulars


@pytest.fixture
def regulars():
    """Four weeks."""
    return four_weeks()


def test_who_comes_daily_is_regular_and_what_sells_most_a_bestseller(regulars):
    day = MONDAY + timedelta(days=28)
    assert 7 in regulars.users(day)
    assert len(regulars.users(day)) == 100
    assert 5 in regulars.items(day)
    assert len(regulars.items(day)) == 10
    assert regulars.count(keys({7: 3, 9: 1}), keys({5: 3, 6: 1}), day=day) == {
        "regular_users": (1, 2),
        "bestseller_rows": (3, 4),
    }


def test_the_days_of_this_week_count_from_the_next_one(regulars):
    day = MONDAY + timedelta(days=28)
    regulars.add(Visitors.of(keys({1: 1}), keys({6: 10_000})), day=day)
    assert np.array_equal(regulars.items(day + timedelta(days=6)), four_weeks().items(day))
    assert 6 in regulars.items(day + timedelta(days=7))


def test_nobody_is_regular_in_the_first_weeks():
    regulars = Regulars()
    regulars.add(Visitors.of(keys({1: 1}), keys({2: 1})), day=MONDAY)
    counted = regulars.count(keys({1: 1}), keys({2: 1}), day=MONDAY + timedelta(days=7))
    assert counted == {"regular_users": (0, 0), "bestseller_rows": (0, 0)}
