"""Timestamps of any kind become UTC microseconds."""

from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.lake.sources.source import microseconds_per_unit, utc_from_epoch, utc_from_text

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


@given(
    moment=MOMENTS.map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)),
    separator=st.sampled_from("T "),
    offset=st.none() | st.integers(-14 * 60, 14 * 60),
)
def test_iso_text_is_read_as_python_reads_it(moment, separator, offset):
    zone = UTC if offset is None else timezone(timedelta(minutes=offset))
    here = moment.replace(tzinfo=zone)
    text = here.replace(tzinfo=None if offset is None else zone).isoformat(separator)

    assert utc_from_text(pl.Series("t", [text]))[0] == here


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2017-01-02", (2017, 1, 2)),
        (" 2017-01-02 03:04 ", (2017, 1, 2, 3, 4)),
        ("2017-01-02T03:04:05Z", (2017, 1, 2, 3, 4, 5)),
        ("2017-01-02t03:04:05z", (2017, 1, 2, 3, 4, 5)),
        ("2017-01-02 03:04:05 -0730", (2017, 1, 2, 10, 34, 5)),
        ("2017-01-02 03:04:05.123456789", (2017, 1, 2, 3, 4, 5, 123456)),
        ("2017-01-02 03:04:05+01", (2017, 1, 2, 2, 4, 5)),
    ],
)
def test_other_iso_text_is_read_too(text, moment):
    assert utc_from_text(pl.Series("t", [text]))[0] == datetime(*moment, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2017-13-01", "2017-02-30", "02/28/2014", "2017-01-02 25:00:00", None]
)
def test_what_is_no_iso_text_is_null(text):
    assert utc_from_text(pl.Series("t", [text], dtype=pl.String)).to_list() == [None]
