"""The format of a column's times is recognised from the column as a whole."""

from datetime import date, datetime, timedelta

import polars as pl
import pytest

from recsys_assets.lake.values.time_formats import TimeFormat
from recsys_assets.lake.values.time_recognition import recognise, settle

DAY_FIRST, MONTH_FIRST = TimeFormat("%d/%m/%Y"), TimeFormat("%m/%d/%Y")


def series(*values):
    return pl.Series("t", list(values), strict=False)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (["2019-10-01 00:00:00 UTC"], "iso"),
        (["2017-31-12"], "%Y-%d-%m"),
        (["2020/12/31 1:05"], "%Y/%m/%d %H:%M"),
        (["12/1/2010 8:26", "12/13/2010 9:02"], "%m/%d/%Y %H:%M"),
        (["11/15/2019 9:00:00 AM"], "%m/%d/%Y %I:%M:%S %p"),
        (["31.12.2020 14:05"], "%d.%m.%Y %H:%M"),
        (["1.2.2020"], "%d.%m.%Y"),
        (["31/12/20"], "%d/%m/%y"),
        (["Dec 31, 2020"], "%B %d, %Y"),
        (["31-Dec-20"], "%d-%B-%y"),
        (["09 13, 2014"], "%m %d, %Y"),
        (["Sat Mar 16 17:12:45 +0000 2013"], "%a %b %d %H:%M:%S %z %Y"),
        (["Sat, 16 Mar 2013 17:12:45 +0000"], "%a, %d %B %Y %H:%M:%S"),
        (["Thursday, 31 December 2020"], "%A, %d %B %Y"),
        ([20210131, 20210201], "%Y%m%d"),
        (["20210131123000"], "%Y%m%d%H%M%S"),
        ([44197.5, 44198.25], "excel"),
        (["881250949"], "seconds"),
        ([1.5e9], "seconds"),
        (["1433221332117"], "milliseconds"),
        ([1500000000000000], "microseconds"),
        ([1500000000000000000], "nanoseconds"),
        (["0", "1500000000000", "1500000000001"], "milliseconds"),
        ([date(2020, 1, 1)], "iso"),
        ([datetime(2020, 1, 1)], "iso"),  # noqa: DTZ001
        ([None, "", "2020-01-01"], "iso"),
    ],
)
def test_most_values_show_the_format(values, name):
    assert recognise(series(*values)).format == TimeFormat(name)


@pytest.mark.parametrize("values", [[], [None], ["soon"], ["x", "y", "2020-01-01"]])
def test_values_that_are_no_times_have_no_format(values):
    assert recognise(series(*values)).format is None


@pytest.mark.parametrize(
    ("values", "when"), [(["12345678"], "1970-05-23 21:21:18"), (["2099-01-01"], "2099-01-01 00:00:00")]
)
def test_an_implausible_result_is_no_format(values, when):
    found = recognise(series(*values))

    assert found.format is None
    assert found.implausible[1] == when


def test_dates_that_both_orders_read_alike_are_no_question():
    assert recognise(series("1/1/2020", "2/2/2020")).format is not None


def test_one_odd_value_does_not_turn_day_and_month():
    days = [(date(2020, 1, 1) + timedelta(days=n)).strftime("%m/%d/%Y") for n in range(300)]

    assert recognise(series("31/12/2020", *days)).format == MONTH_FIRST


def test_both_orders_stay_a_question_and_the_sorted_one_is_likely():
    found = recognise(series(*(f"1/{day}/2020" for day in range(2, 13))))

    assert found.format is None
    assert found.rivals == (DAY_FIRST, MONTH_FIRST)
    assert found.likely == MONTH_FIRST


def test_nothing_is_likely_where_neither_order_is_sorted():
    assert recognise(series("5/1/2020", "1/2/2020", "3/9/2020", "2/1/2020")).likely is None


def test_a_value_anywhere_in_the_column_settles_the_order():
    assert settle((DAY_FIRST, MONTH_FIRST), [series("1/2/2020"), series("31/1/2020")]) == DAY_FIRST
    assert settle((DAY_FIRST, MONTH_FIRST), [series("1/2/2020")]) is None
    assert settle((DAY_FIRST, MONTH_FIRST), [series("1/31/2020", "31/1/2020")]) is None
