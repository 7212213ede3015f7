"""Rows of forgotten users do not land again, those of everybody else do, in their order."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.lake.forgotten_rows import ForgottenRows, LeftOutRows
from recsys_assets.storage.forgotten import Forgotten, hash_of

SALT = "00"
AT = datetime(2026, 5, 3, 12, tzinfo=UTC)
DAY = date(2026, 5, 3)


def forgotten(**numbers: int) -> Forgotten:
    return Forgotten(SALT, {hash_of(SALT, user): (AT, number) for user, number in numbers.items()})


def rows(*events: tuple[str | None, float]) -> pl.DataFrame:
    """Events by user and hours after the forget."""
    return pl.DataFrame(
        {
            "user_id": [user for user, _ in events],
            "timestamp": [AT + timedelta(hours=hours) for _, hours in events],
            "row": range(len(events)),
        },
        schema_overrides={"user_id": pl.String, "timestamp": pl.Datetime("us", "UTC")},
    )


def landed(frame: pl.DataFrame, without: Forgotten) -> pl.DataFrame:
    ((_, kept),) = ForgottenRows(without).without([(DAY, frame)])
    return kept


def test_rows_of_before_are_left_out_and_later_ones_are_not():
    found = landed(rows(("u1", -1), ("u2", -1), ("u1", 0), ("u1", 5)), forgotten(u1=1))
    assert found["row"].to_list() == [1, 2, 3]


def test_blanks_around_an_id_do_not_hide_a_user():
    assert landed(rows((" u1", -1), ("u1\t", -2)), forgotten(u1=1)).is_empty()


def test_a_day_says_how_many_rows_it_lacks_and_since_which_forget():
    landing = ForgottenRows(forgotten(u1=1, u2=4, u3=5))
    frame = rows(("u1", -1), ("u2", -1), ("u2", -2), ("u3", 1), (None, -1))
    ((_, kept),) = landing.without([(DAY, frame)])
    assert kept["user_id"].to_list() == ["u3", None]
    assert landing.provenance(DAY) == {"recsys.forgotten": "3 #1 #4"}


def test_a_day_without_such_rows_says_nothing():
    landing = ForgottenRows(forgotten(u1=1))
    assert list(landing.without([(DAY, rows(("u2", -1)))]))
    assert landing.provenance(DAY) == {}


def test_rows_of_two_forgets_add_up():
    first = LeftOutRows().plus(3, [1])
    both = LeftOutRows.of(first.provenance).plus(2, [2])
    assert (both.rows, str(both)) == (5, "5 #1 #2")


@given(st.lists(st.tuples(st.sampled_from(["u1", "u2", "u10", None]), st.floats(-50, 50)), max_size=30))
def test_nobody_elses_row_is_touched(events):
    frame = rows(*events)
    kept = landed(frame, forgotten(u1=1))
    others = frame.filter((pl.col("user_id") != "u1").fill_null(value=True))
    assert kept.filter((pl.col("user_id") != "u1").fill_null(value=True)).equals(others)
    assert kept.filter((pl.col("user_id") == "u1") & (pl.col("timestamp") < AT)).is_empty()
