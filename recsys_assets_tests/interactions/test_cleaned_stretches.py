"""Days cleaned in stretches by workers are those cleaned at once."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from recsys_assets.errors import LauncherError
from recsys_assets.interactions.cleaned_stretches import (
    DaysToClean,
    clean_stretch,
    cleaned_by,
    cleaned_here,
)
from recsys_assets.interactions.returns import TakenOff
from recsys_assets.interactions.row_rule import RowRule
from recsys_assets.interactions.wish_rule import WishRule
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.raw_returns import raw_store
from recsys_assets.launching.launcher import in_order
from recsys_assets.storage.home import Home
from recsys_assets_tests.lake.test_landed_days import Shuffled

FIRST, DAYS, MISSING = date(2024, 1, 1), 20, date(2024, 1, 5)


@pytest.fixture
def wanted(tmp_path) -> DaysToClean:
    home = Home(tmp_path)
    store = raw_store(home)
    days = [FIRST + timedelta(days=n) for n in range(DAYS)]
    for number, day in enumerate(day for day in days if day != MISSING):
        rows = [
            {
                "user_id": f"u{n % 5}",
                "item_id": f"i{(n + number) % 7}",
                "timestamp": datetime(day.year, day.month, day.day, 8, n, tzinfo=UTC),
                "quantity": float(n % 3),
            }
            for n in range(30)
        ]
        store.write(day, pl.DataFrame(rows, schema=RAW_INTERACTIONS.polars_schema()))
    store.settle()
    return DaysToClean(
        home=home, days=tuple(days), rule=WishRule(), rows=RowRule(), taken_off=TakenOff.none()
    )


@pytest.mark.parametrize("stretch_days", [1, 6, DAYS])
def test_stretches_are_the_days_cleaned_at_once(wanted, stretch_days):
    at_once = [one for chunk in cleaned_here(wanted, raw_store(wanted.home)) for one in chunk]
    stretches = [one for chunk in cleaned_by(Shuffled(), wanted, stretch_days=stretch_days) for one in chunk]
    assert [one.day for one in stretches] == [day for day in wanted.days if day != MISSING]
    for one, other in zip(at_once, stretches, strict=True):
        assert one.frame.equals(other.frame, null_equal=True)
        assert (one.account, one.wishes, repr(one.results)) == (
            other.account,
            other.wishes,
            repr(other.results),
        )


def test_a_worker_that_does_not_see_the_home_says_so(wanted, tmp_path):
    elsewhere = DaysToClean(
        home=Home(tmp_path / "missing"), days=wanted.days, rule=wanted.rule, rows=wanted.rows,
        taken_off=wanted.taken_off,
    )  # fmt: skip
    with pytest.raises(LauncherError, match="no home at"):
        clean_stretch(elsewhere)


def test_results_that_come_early_wait_for_their_turn():
    assert list(in_order([(2, "c"), (0, "a"), (1, "b"), (3, "d")])) == ["a", "b", "c", "d"]
