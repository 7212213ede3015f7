"""Rows of SQLite tables written and read in bulk."""

import sqlite3
from contextlib import closing

import adbc_driver_manager
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from recsys_assets.features.table_rows import append_rows, read_rows

SCHEMA = pl.Schema({"id": pl.String, "count": pl.Int64, "share": pl.Float64, "name": pl.String})
ROWS = st.lists(
    st.tuples(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1),
        st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(allow_nan=False),
        st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    ),
    unique_by=lambda row: row[0],
)


def made(path, ddl='id TEXT PRIMARY KEY, "count" INTEGER NOT NULL, share REAL CHECK (share <= 1), name TEXT'):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE things ({ddl})")
    return path


@given(rows=ROWS)
def test_what_is_written_is_read(rows, tmp_path_factory):
    path = made(
        tmp_path_factory.mktemp("rows") / "a?b#c.sqlite", 'id TEXT, "count" INTEGER, share REAL, name TEXT'
    )
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    append_rows(path, "things", frame)

    assert_frame_equal(read_rows(path, "things", SCHEMA), frame, check_exact=True)


def test_a_type_that_comes_late_in_a_long_table_is_read(tmp_path):
    path = made(tmp_path / "a.sqlite")
    ids = [f"i{n}" for n in range(3_000)]
    frame = pl.DataFrame(
        [ids, range(3_000), [None] * 2_999 + [0.5], [None] * 2_999 + ["late"]], schema=SCHEMA
    )
    append_rows(path, "things", frame)

    assert_frame_equal(read_rows(path, "things", SCHEMA), frame)


def test_nothing_is_written_where_a_row_breaks_a_rule(tmp_path):
    path = made(tmp_path / "a.sqlite")
    frame = pl.DataFrame([["a", "b"], [1, 2], [0.5, 1.5], ["x", "y"]], schema=SCHEMA)
    with pytest.raises(adbc_driver_manager.Error, match="CHECK"):
        append_rows(path, "things", frame)

    assert read_rows(path, "things", SCHEMA).is_empty()


def test_a_value_of_another_type_is_null(tmp_path):
    path = made(tmp_path / "a.sqlite", 'id TEXT, "count", share REAL, name TEXT')
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO things VALUES ('a', 1, 0.5, 'x'), ('b', 'no number', 0.5, 'x')")

    assert read_rows(path, "things", SCHEMA)["count"].to_list() == [1, None]


def test_raises_when_there_is_no_table(tmp_path):
    with pytest.raises(sqlite3.Error, match="things"):
        read_rows(made(tmp_path / "a.sqlite", "id TEXT").rename(tmp_path / "b.sqlite"), "things_2", SCHEMA)


def test_raises_when_there_is_no_file_and_makes_none(tmp_path):
    with pytest.raises(sqlite3.Error):
        read_rows(tmp_path / "a.sqlite", "things", SCHEMA)

    assert list(tmp_path.iterdir()) == []
