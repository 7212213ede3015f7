"""Files, rows and columns that a table cannot have: an error, or a row left out and counted."""

from datetime import date

import polars as pl
import pytest

from recsys_assets.errors import EmptySourceError, SourceFormatError, SourceNotFoundError
from recsys_assets.lake.files.rows_aside import RowsAside
from recsys_assets.lake.sources.tabular import Tabular
from recsys_assets_tests.lake.sources.test_tabular import MAPPING, MOMENT, written


def test_raises_when_no_file_matches(tmp_path):
    with pytest.raises(SourceNotFoundError, match="no file matches"):
        Tabular(tmp_path / "*.csv")


@pytest.mark.parametrize("name", ["none.csv", "."])
def test_raises_when_there_is_no_file(tmp_path, name):
    with pytest.raises(
        SourceNotFoundError, match="no such file" if name == "none.csv" else "holds no data file"
    ):
        Tabular(tmp_path / name)


@pytest.mark.parametrize("name", ["f.csv", "f.parquet"])
def test_raises_when_the_file_is_empty(tmp_path, name):
    (tmp_path / name).write_bytes(b"")

    with pytest.raises(EmptySourceError):
        Tabular(tmp_path / name)


def test_raises_when_there_is_no_row(tmp_path):
    path = tmp_path / "f.parquet"
    pl.DataFrame(schema={"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Int64}).write_parquet(
        path
    )

    with pytest.raises(EmptySourceError, match="no event"):
        Tabular(path).date_range()


@pytest.mark.parametrize("kept", [30, -30])
def test_raises_when_the_parquet_is_truncated(tmp_path, kept):
    path = written(tmp_path, "f.parquet")
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(SourceFormatError, match="truncated or damaged"):
        Tabular(path, columns=MAPPING)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("u,i,soon,1", "line 3, column 'timestamp': 'soon' is no time in the format iso"),
        ("u,i,,1", "line 3, column 'timestamp': None is no timestamp"),
        ("u,i,2017-07-14,many", "line 3, column 'rating': 'many' is not a number"),
        ("u,i,2017-07-14,1,2", "line 3 has 5 fields instead of 4"),
    ],
)
def test_raises_with_the_line_when_a_row_is_wrong(tmp_path, row, message):
    path = tmp_path / "f.csv"
    path.write_text(f"user_id,item_id,timestamp,rating\nu,i,2017-07-14,1\n{row}\n")

    with pytest.raises(SourceFormatError, match=message) as raised:
        Tabular(path).date_range()
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_placeholder_in_the_first_row_does_not_decide_the_unit(tmp_path):
    path = tmp_path / "events.csv"
    moments = [0, *range(1_500_000_000_000, 1_500_000_000_003)]
    path.write_text("".join(["user_id,item_id,timestamp\n", *(f"u,i,{moment}\n" for moment in moments)]))

    days = [when.date() for when in pl.concat(Tabular(path).batches())["timestamp"]]

    assert days == [date(1970, 1, 1), *[date(2017, 7, 14)] * 3]


def test_raises_with_the_line_when_a_number_is_in_another_unit(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("user_id,item_id,timestamp\nu,i,1500000000\nu,i,1500000000123\n")

    with pytest.raises(
        SourceFormatError,
        match="line 3, column 'timestamp': '1500000000123' is no time in the format seconds",
    ):
        Tabular(path).date_range()


def test_raises_with_the_row_when_a_parquet_value_is_missing(tmp_path):
    path = tmp_path / "f.parquet"
    pl.DataFrame({"user_id": ["u", "u"], "item_id": ["i", "i"], "timestamp": [MOMENT, None]}).write_parquet(
        path
    )

    with pytest.raises(SourceFormatError, match="row 2, column 'timestamp': None is no timestamp"):
        Tabular(path).date_range()


def test_raises_with_the_inner_names_when_a_json_value_is_nested(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text('{"user_id": {"id": "u"}, "item_id": "i", "timestamp": 1500000000}\n')

    with pytest.raises(SourceFormatError, match=r"no column 'user_id'.*user_id\.id"):
        Tabular(path)


def test_totals_and_a_header_again_are_counted_as_no_event(tmp_path):
    (tmp_path / "f.csv").write_text(
        "user,item,day,paid\nu,i,2024-01-01,2\nuser,item,day,paid\nu,i,2024-01-02,3\nTotal,,,5\n,,,5\n"
    )
    source = Tabular(
        tmp_path / "f.csv",
        columns={"user_id": "user", "item_id": "item", "timestamp": "day", "value": "paid"},
    )
    aside = RowsAside(allowed=1.0)

    events = pl.concat(source.read(aside))

    assert events["value"].to_list() == [2, 3]
    reasons = aside.account().reasons
    assert (reasons["no_event"].rows, reasons["bad_row"].rows) == (2, 1)
    assert reasons["no_event"].example.endswith("f.csv: line 3 is the header again")


def test_empty_files_among_others_are_left_out(tmp_path):
    for name, text in {"a": "", "b": "user_id,item_id,timestamp\nu,i,2024-01-01\n", "c": "\n"}.items():
        (tmp_path / f"{name}.csv").write_text(text)

    assert [path.name for path in Tabular(tmp_path / "*.csv").files()] == ["b.csv"]
    with pytest.raises(EmptySourceError, match=r"a\.csv: the file is empty"):
        Tabular(tmp_path / "[ac].csv")


def test_a_file_without_the_columns_of_the_others_can_be_left_out_by_a_glob(tmp_path):
    (tmp_path / "a.csv").write_text("user_id,item_id,timestamp\nu,i,2024-01-01\n")
    (tmp_path / "notes.txt").write_text("Exported on Monday\n")

    with pytest.raises(
        SourceFormatError, match=r"notes\.txt: .*or leave the file out by a glob, such as .*\*\.csv"
    ):
        Tabular(tmp_path)
