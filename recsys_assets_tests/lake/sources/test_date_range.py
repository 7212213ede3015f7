"""The days of a log are chosen so that a few broken dates do not widen them."""

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.errors import EmptySourceError, SourceFormatError
from recsys_assets.lake.sources.date_range import RowsByDay, choose_range
from recsys_assets.lake.sources.registry import open_source
from recsys_assets.storage.arrays import EPOCH

TODAY = date(2026, 11, 26)
YEAR = {date(2023, 1, 1) + timedelta(days=n): 50 for n in range(365)}
"""18,250 rows: 18 are few."""


def _counted(rows):
    return RowsByDay.from_frame(
        pl.DataFrame(
            {"day": list(rows), "rows": list(rows.values())}, schema={"day": pl.Date, "rows": pl.UInt32}
        )
    )


def _chosen(rows, **given):
    found = choose_range(_counted(rows), name="log", read_on=TODAY, **given)
    return found.first_day, found.last_day


WHOLE = (date(2023, 1, 1), date(2023, 12, 31))


@pytest.mark.parametrize(
    "broken",
    [
        {date(1970, 1, 1): 1},
        {date(1970, 1, 1): 18},
        {date(2099, 1, 1): 1},
        {date(2099, 1, 1): 9_000},
        {date(1, 1, 1): 1, date(1970, 1, 16): 2, date(2001, 1, 1): 3, date(9999, 12, 31): 1},
        {TODAY + timedelta(days=2): 500},
        {date(2026, 1, 1): 3},
    ],
)
def test_few_rows_far_from_the_others_and_rows_in_the_future_are_left_out(broken):
    assert _chosen(YEAR | broken) == WHOLE


@pytest.mark.parametrize(
    ("early", "first"),
    [
        ({date(1970, 1, 1): 19}, date(1970, 1, 1)),
        ({date(2022, 1, 1): 1}, date(2022, 1, 1)),
        ({date(2021, 12, 1): 20}, date(2021, 12, 1)),
        ({date(2000, 1, 1) + timedelta(days=300 * n): 1 for n in range(28)}, date(2000, 1, 1)),
    ],
)
def test_many_rows_and_sparse_early_years_are_kept(early, first):
    assert _chosen(YEAR | early) == (first, WHOLE[1])


def test_a_day_after_the_reading_is_kept_for_clocks_that_differ():
    rows = {TODAY + timedelta(days=n): 10 for n in range(-20, 5)}

    assert _chosen(rows) == (TODAY - timedelta(days=20), TODAY + timedelta(days=1))


@pytest.mark.parametrize(("rows", "left_out"), [(8, 0), (10, 1), (300, 3)])
def test_of_a_small_log_up_to_three_rows_are_few(rows, left_out):
    log = {date(2023, 1, 1): rows - left_out} | ({date(1970, 1, 1): left_out} if left_out else {})
    one_more = log | {date(1970, 1, 1): left_out + 1}

    assert _chosen(log)[0] == date(2023, 1, 1)
    assert _chosen(one_more)[0] == date(1970, 1, 1)


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ({"first": date(1970, 1, 1)}, (date(1970, 1, 1), WHOLE[1])),
        ({"last": date(2099, 1, 1)}, (WHOLE[0], date(2099, 1, 1))),
        ({"first": date(2023, 3, 1), "last": date(2023, 3, 5)}, (date(2023, 3, 1), date(2023, 3, 5))),
    ],
)
def test_days_that_a_person_chose_stand(given, chosen):
    assert _chosen(YEAR | {date(1970, 1, 1): 1, date(2099, 1, 1): 1}, **given) == chosen


@given(
    offsets=st.lists(st.integers(-3_000_000 // 150, 20_783), min_size=1, max_size=30),
    counts=st.lists(st.integers(1, 5_000), min_size=30, max_size=30),
)
def test_no_more_than_a_few_past_rows_are_left_out_of_any_log(offsets, counts):
    rows = dict(zip([EPOCH + timedelta(days=n) for n in offsets], counts, strict=False))
    first, last = _chosen(rows)
    every = sum(rows.values())

    left_out = [count for day, count in rows.items() if not first <= day <= last]
    assert sum(left_out) <= 2 * max(every // 1000, min(3, every // 10))
    assert {first, last} <= rows.keys()


@pytest.mark.parametrize(
    ("rows", "given", "error", "message"),
    [
        ({}, {}, EmptySourceError, "log: holds no event"),
        (
            {date(2099, 1, 1): 7},
            {},
            SourceFormatError,
            "every event is in the future: 7 on 2099-01-01; .*--from",
        ),
        (YEAR, {"first": date(2024, 1, 1)}, EmptySourceError, "no event from 2024-01-01"),
        (YEAR | {date(1, 1, 1): 900}, {}, SourceFormatError, "daily partitions"),
    ],
)
def test_raises_when_there_is_no_range(rows, given, error, message):
    with pytest.raises(error, match=message):
        _chosen(rows, **given)


def test_days_outside_are_named_up_to_three_and_summed_beyond():
    assert (
        str(_counted({date(1970, 1, 1): 1_000, date(1970, 1, 3): 1}))
        == "1,000 on 1970-01-01, 1 on 1970-01-03"
    )
    assert str(_counted(YEAR)) == "18,250 on 365 days from 2023-01-01 to 2023-12-31"


@pytest.mark.parametrize(
    ("spec", "first", "last", "left_out"),
    [
        ("amazon:{}/amazon_2014_Musical_Instruments_5.json.gz", date(2004, 9, 18), date(2014, 7, 22), 0),
        ("amazon:{}/amazon_2018_Gift_Cards_5.json.gz", date(2012, 1, 31), date(2018, 8, 22), 0),
        ("amazon:{}/amazon_2023_Subscription_Boxes.jsonl.gz", date(2017, 1, 24), date(2023, 8, 30), 0),
        (
            "amazon:{}/amazon_2018_Magazine_Subscriptions_ratings.csv.gz",
            date(2001, 10, 26),
            date(2018, 9, 19),
            0,
        ),
        ("tabular:{}/groceries_pairs_time.parquet", date(2000, 8, 9), date(2014, 7, 22), 0),
        ("tabular:{}/movielens_ratings_time.parquet", date(1996, 2, 29), date(2023, 7, 20), 1),
    ],
)
def test_of_real_logs_only_the_broken_date_is_left_out(real_file, spec, first, last, left_out):
    source = open_source(spec.format(real_file("")))
    counted, found = source.survey().rows, source.date_range()

    assert (found.first_day, found.last_day, counted.total - found.rows) == (first, last, left_out)
