"""Delimited text and JSON lines become typed rows, and the message about a bad row names its line."""

import csv
import io

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.sources.rows_aside import RowsAside
from recsys_assets.lake.sources.text_records import Dialect, first_object, header, json_records, tables

TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00\r\ufeff"), max_size=12)

PLAIN = Dialect()


def rows(path, dialect=PLAIN, **options):
    return [row for table in tables(path, dialect, **options) for row in table.frame.rows()]


@given(table=st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=20), block_bytes=st.integers(1, 100))
def test_what_the_csv_module_writes_is_read_back(tmp_path_factory, table, block_bytes):
    path = tmp_path_factory.mktemp("csv") / "f.csv"
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("a", "b", "c"), *table])
    path.write_text(text.getvalue(), newline="")

    assert rows(path, block_bytes=block_bytes) == table


def test_windows_line_ends_and_a_byte_order_mark_are_fine(tmp_path):
    path = tmp_path / "f.csv"
    path.write_bytes(b"\xef\xbb\xbfa,b\r\n1,2\r\n")

    assert header(path, Dialect()) == ["a", "b"]
    assert rows(path) == [("1", "2")]


def test_a_short_row_has_nulls_and_a_blank_one_is_none(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("a,b\n1\n\n2,3\n")

    assert rows(path) == [("1", None), ("2", "3")]


def test_a_block_may_start_with_a_short_row(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("a,b\n1\n\n2,3\n")

    assert rows(path, block_bytes=4) == [("1", None), ("2", "3")]


def test_a_separator_may_have_two_characters(tmp_path):
    path = tmp_path / "f.dat"
    path.write_text('1::"x::3\n')

    assert rows(path, Dialect(separator="::", names=("a", "b", "c"), quoted=False)) == [("1", '"x', "3")]


def test_text_may_be_latin_1(tmp_path):
    path = tmp_path / "f.dat"
    path.write_bytes("1,Misérables\n".encode("latin-1"))

    assert rows(path, Dialect(names=("a", "b"), encoding="latin-1")) == [("1", "Misérables")]


def test_raises_with_the_line_when_a_row_has_too_many_fields(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("a,b\n" + "1,2\n" * 2000 + "1,2,3\n" + "1,2\n" * 2000)

    with pytest.raises(SourceFormatError, match=r"f.csv: line 2002 has more than the 2 fields of a, b"):
        rows(path)


def test_raises_with_the_line_when_text_is_not_utf8(tmp_path):
    path = tmp_path / "f.csv"
    path.write_bytes(b"a,b\n1,2\n\xe9,2\n")

    with pytest.raises(SourceFormatError, match=r"line 3 .*utf-8"):
        rows(path)


def test_raises_with_the_line_when_a_quote_is_not_closed(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text('a,b\n1,2\n"1,2\n1,2\n')

    with pytest.raises(SourceFormatError, match="line 3 "):
        rows(path)


def test_a_row_with_a_value_of_another_type_is_left_out_with_its_line_and_column(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text('a,b\n"one\nline",2\n\nx,many\n')
    (table,), aside = tables(path, Dialect()), RowsAside()

    events = table.finish(pl.DataFrame([table.typed("b", pl.Int64)]), aside)

    assert events["b"].to_list() == [2]
    found = aside.account().reasons["bad_row"]
    assert found.rows == 1
    assert found.example == f"{path}: line 5, column 'b': 'many' is not a number"


def test_raises_when_two_columns_have_one_name(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("a,b,a\n")

    with pytest.raises(SourceFormatError, match="'a' twice"):
        header(path, Dialect())


class Row(msgspec.Struct):
    name: str | None = None
    count: int | None = None


def objects(path, **options):
    return [row for records in json_records(path, Row, **options) for row in records.rows]


def test_only_declared_fields_are_kept(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text('{"name": "a", "other": {"deep": [1, 2]}}\n{"count": "7"}\n')

    assert objects(path) == [Row(name="a"), Row(count=7)]


def test_blank_lines_and_a_missing_last_newline_are_fine(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text('\n{"name": "a"}\r\n\n  \n{"name": "b"}')

    assert objects(path) == [Row(name="a"), Row(name="b")]


def test_raises_with_the_line_when_one_is_not_json(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text('{"name": "a"}\n' * 500 + "\n{oops\n" + '{"name": "b"}\n' * 500)

    with pytest.raises(
        SourceFormatError, match=r"f.jsonl: line 502 is not a JSON object .* starts with '{oops'"
    ):
        objects(path, block_bytes=64)


def test_raises_with_line_and_field_when_a_value_has_another_type(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text('{"count": 1}\n{"count": [2]}\n')

    with pytest.raises(
        SourceFormatError, match=r"line 2: Expected `int \| null`, got `array` - at `\$.count`"
    ):
        objects(path)


def test_raises_with_the_line_when_json_is_not_utf8(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_bytes(b'{"name": "a"}\n{"name": "\xff"}\n')

    with pytest.raises(SourceFormatError, match="line 2 "):
        objects(path)


def test_a_record_knows_its_line_after_blank_ones(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text('{"name": "a"}\n\n\n{"name": "b"}\n')

    (records,) = json_records(path, Row)

    assert records.place(1) == "line 4"


@pytest.mark.parametrize("text", ["[1, 2]\n", "3\n", "name,count\n", "{'name': 1}\n"])
def test_raises_when_the_first_line_is_no_object(tmp_path, text):
    path = tmp_path / "f.jsonl"
    path.write_text(text)

    with pytest.raises(SourceFormatError, match="one object a line"):
        first_object(path)
