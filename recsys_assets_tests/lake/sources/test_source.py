"""Timestamps of any kind become UTC microseconds."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.lake.values.time_formats import microseconds_per_unit, utc_from_epoch

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(126_230_400_000_000, 95_617_584_000_000_000).map(
    lambda n: EPOCH + timedelta(microseconds=n)
)


@given(moment=MOMENTS, unit=st.sampled_from([1_000_000, 1_000, 1]))
def test_an_epoch_in_any_unit_is_recognised_and_read_exactly(moment, unit):
    microseconds = (moment - EPOCH) // timedelta(microseconds=1)
    epoch = microseconds // unit

    assert microseconds_per_unit(epoch) == unit
    read = utc_from_epoch(pl.Series([epoch]), microseconds=unit)
    assert read.to_physical()[0] == epoch * unit


def test_nanoseconds_are_recognised_and_rounded():
    epoch = 1_500_000_000_123_456_789

    read = utc_from_epoch(pl.Series([epoch]), microseconds=microseconds_per_unit(epoch))

    assert read[0] == datetime(2017, 7, 14, 2, 40, 0, 123456, tzinfo=UTC) + timedelta(microseconds=1)


def test_fractions_of_a_second_are_kept():
    assert utc_from_epoch(pl.Series([1.5e9 + 0.25]), microseconds=1_000_000)[0] == datetime(
        2017, 7, 14, 2, 40, 0, 250_000, tzinfo=UTC
    )


@pytest.mark.parametrize("number", [None, float("nan"), float("inf"), 1e30, -1e30, 1_500_000_000_123.0])
def test_a_number_outside_of_the_calendar_is_null(number):
    assert utc_from_epoch(pl.Series([number], dtype=pl.Float64), microseconds=1_000_000).to_list() == [None]
