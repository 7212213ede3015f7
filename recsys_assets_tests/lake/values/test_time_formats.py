"""A column's times are read by one format, in all spellings of it."""

from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.errors import SettingsError
from recsys_assets.lake.values.time_formats import TimeFormat


def read(name, *values, zone="UTC"):
    return TimeFormat(name).utc(pl.Series("t", list(values), strict=False), zone=zone).to_list()


EARLIEST, LATEST = (datetime(year, 1, 1) for year in (1990, 2100))  # noqa: DTZ001  hypothesis wants them so
MOMENT = datetime(2021, 1, 31, 14, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iso", "2021-01-31T14:05:00Z"),
        ("iso", "2021-01-31 14:05:00 UTC"),
        ("iso", "2021-01-31 14:05 GMT"),
        ("iso", "2021-01-31T16:05:00.000+02:00"),
        ("iso", "2021-01-31T08:35:00-0530"),
        ("iso", " 2021-01-31 14:05:00,0 "),
        ("iso", "2021-01-31t14:05:00z"),
        ("iso", "2021-01-31 06:35:00 -0730"),
        ("iso", "2021-01-31 15:05:00+01"),
        ("iso", "2021-01-31 14:05:00.000000789"),
        ("%Y%m%d%H%M%S", "20210131140500"),
        ("%Y%m%d%H%M", 202101311405),
        ("%Y%m%dT%H%M%S", "20210131T140500Z"),
        ("%m/%d/%Y %H:%M", "1/31/2021 14:05"),
        ("%m/%d/%Y %H:%M", "1/31/2021 2:05:00 PM"),
        ("%d.%m.%Y", "31.1.2021 14:05"),
        ("%d-%B-%y %H:%M", "31-Jan-21 14:05"),
        ("%B %d, %Y", "January 31, 2021 2:05 p.m."),
        ("%a %b %d %H:%M:%S %z %Y", "Sun Jan 31 14:05:00 +0000 2021"),
        ("%a, %d %b %Y %H:%M:%S", "Sun, 31 Jan 2021 15:05:00 +0100"),
        ("seconds", "1612101900.0"),
        ("milliseconds", 1612101900000),
        ("microseconds", "1612101900000000"),
        ("nanoseconds", 1612101900000000000),
        ("excel", 44227.586805555556),
    ],
)
def test_a_spelling_of_the_format_is_that_moment(name, value):
    assert read(name, value) == [MOMENT]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iso", "31.1.2021"), ("iso", "2021-02-30"), ("iso", "soon"), ("iso", ""),
        ("iso", "2021-01-31 25:00:00"), ("%d/%m/%Y", "1/31/2021"), ("%d/%m/%Y", "1/2/21"),
        ("%Y%m%d", "20210231"), ("seconds", "x"), ("excel", ""),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_null(name, value):
    assert read(name, value) == [None]


@given(times=st.lists(st.datetimes(EARLIEST, LATEST), min_size=1, max_size=5))
@pytest.mark.parametrize("pattern", ["%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%B %d, %Y %I:%M:%S %p"])
def test_what_a_pattern_writes_it_reads(pattern, times):
    name = "iso" if pattern.startswith("%Y") else pattern

    found = read(name, *(when.strftime(pattern) for when in times))

    assert found == [when.replace(microsecond=0, tzinfo=UTC) for when in times]


@given(
    moment=st.datetimes(EARLIEST, LATEST),
    separator=st.sampled_from("T "),
    offset=st.none() | st.integers(-14 * 60, 14 * 60),
)
def test_iso_text_is_read_as_python_reads_it(moment, separator, offset):
    zone = UTC if offset is None else timezone(timedelta(minutes=offset))
    text = moment.replace(tzinfo=None if offset is None else zone).isoformat(separator)

    assert read("iso", text) == [moment.replace(tzinfo=zone)]


@pytest.mark.parametrize(
    ("local", "hour"), [("2021-03-28 02:30", 1), ("2021-10-31 02:30", 0), ("2021-10-31 03:30", 2)]
)
def test_a_skipped_hour_is_read_on_and_of_a_repeated_one_the_first_is_taken(local, hour):
    (found,) = read("iso", local, zone="Europe/Berlin")

    assert (found.hour, found.minute) == (hour, 30)


@pytest.mark.parametrize(("name", "day"), [("iso", "2021-06-01"), ("%d.%m.%Y", "1.6.2021"), ("excel", 44348)])
def test_a_date_alone_is_its_utc_midnight_in_every_zone(name, day):
    assert read(name, day, zone="Asia/Tokyo") == [datetime(2021, 6, 1, tzinfo=UTC)]


@pytest.mark.parametrize("name", ["isoo", "%d/%m", "%Y", "DD.MM.YYYY", ""])
def test_raises_when_a_person_names_no_format(name):
    with pytest.raises(SettingsError, match="no format; give iso, seconds"):
        TimeFormat.named(name)


def test_raises_when_a_pattern_cannot_be_used():
    with pytest.raises(SettingsError, match=r"'%Y-%m-%d %H': is no pattern \(.*\); mend it"):
        read(TimeFormat.named("%Y-%m-%d %H").name, "2021-01-31")


@pytest.mark.parametrize(
    ("name", "text"),
    [("iso", "2024-02-28 24:00:00"), ("iso", "2024-02-28T24:00Z"), ("%d.%m.%Y %H:%M", "28.02.2024 24:00")],
)
def test_the_end_of_a_day_is_the_start_of_the_next(name, text):
    assert TimeFormat(name).utc(pl.Series([text]))[0] == datetime(2024, 2, 29, tzinfo=UTC)
