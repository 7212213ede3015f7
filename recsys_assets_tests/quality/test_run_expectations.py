"""Many days judged at once have the results of each judged alone."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets import columns
from recsys_assets.quality.expectations import expect
from recsys_assets.quality.run_expectations import evaluate, evaluate_days

FIRST = date(2017, 3, 1)
SCHEMA = pl.Schema({"id": pl.String, "number": pl.Float64, "timestamp": pl.Datetime("us", "UTC")})
EXPECTATIONS = [
    expect("id").not_null(mostly=0.9, block_below=0.5),
    expect("id").matches("^a", mostly=0.8, from_rows=3),
    expect("id", "number").unique(mostly=0.9),
    expect("number").between(0, 5, mostly=0.7, block_below=0.3),
    expect("number").that(pl.col("number") >= pl.col("number").mean(), name="high", mostly=0.4),
    expect("timestamp").that(
        pl.col("timestamp").dt.date() == pl.col(columns.PARTITION), name="of_day", mostly=0.9, block_below=0.2
    ),
    expect("number").mean_within(1, 4, block_high=5),
    expect("absent").not_null(),
    expect().row_count(least=1),
]
ROW = st.fixed_dictionaries(
    {
        "id": st.none() | st.sampled_from(["a", "ab", "b"]),
        "number": st.none() | st.sampled_from([0.1, 0.7, 3.0, 9.0, float("nan")]),
        "timestamp": st.none()
        | st.sampled_from([datetime(2017, 3, 1, 12, tzinfo=UTC) + timedelta(days=n) for n in range(3)]),
    }
)


def frame_of(rows: list[dict], *, extra: bool) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=SCHEMA)
    return frame.with_columns(absent=pl.lit(1)) if extra else frame


@settings(max_examples=80, deadline=None)
@given(days=st.lists(st.tuples(st.lists(ROW, max_size=5), st.booleans()), max_size=6))
def test_many_days_have_the_results_of_one_by_one(days):
    frames = [
        (FIRST + timedelta(days=n), frame_of(rows, extra=extra)) for n, (rows, extra) in enumerate(days)
    ]
    together = evaluate_days(EXPECTATIONS, frames, table="t")
    alone = [evaluate(EXPECTATIONS, frame, table="t", day=day) for day, frame in frames]
    assert repr(together) == repr(alone)  # NaN does not equal itself


def test_the_failing_rows_of_a_day_are_of_that_day_and_unchanged():
    frames = [
        (FIRST, frame_of([{"id": "a", "number": 1.0, "timestamp": None}], extra=False)),
        (FIRST + timedelta(days=1), frame_of([{"id": "b", "number": 9.0, "timestamp": None}], extra=False)),
    ]
    good, bad = evaluate_days([expect("number").between(0, 5)], frames, table="t")
    assert (good[0].verdict, good[0].sample) == ("ok", [])
    assert bad[0].sample == [{"id": "b", "number": 9.0, "timestamp": None}]
    assert bad[0].day == FIRST + timedelta(days=1)
