"""Delimited text and JSON lines become typed rows, and the message about a bad row names its line."""

import csv
import io

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.files.rows_aside import RowsAside
from recsys_assets.lake.files.text_form import TextForm
from recsys_assets.lake.files.text_records import Dialect, header, tables

TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00\r\ufeff"), max_size=12)

PLAIN = Dialect()


def rows(path, dialect=PLAIN, aside=None, **options):
    found = tables(path, dialect, RowsAside() if aside is None else aside, **options)
    return [row for table in found for row in table.frame.rows()]


def bad(aside):
    found = aside.account().reasons["bad_row"]
    return found.rows, found.example


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


@pytest.mark.parametrize("block_bytes", [4, 1000])
def test_a_short_row_is_left_out_and_a_blank_one_is_none(tmp_path, block_bytes):
    path, aside = tmp_path / "f.csv", RowsAside()
    path.write_text("a,b\n1\n\n2,3\n,\n")

    assert rows(path, aside=aside, block_bytes=block_bytes) == [("2", "3")]
    assert bad(aside) == (1, f"{path}: line 2 has 1 field instead of 2, it starts with '1'")


@pytest.mark.parametrize("block_bytes", [4, 1000])
def test_a_short_row_has_nulls_where_that_is_the_files_habit(tmp_path, block_bytes):
    path = tmp_path / "f.csv"
    path.write_text("a,b\n1\n\n2,3\n")

    dialect = Dialect(names=("a", "b"), start=4, short=True)
    assert rows(path, dialect, block_bytes=block_bytes) == [("1", None), ("2", "3")]


def test_a_separator_may_have_two_characters(tmp_path):
    path = tmp_path / "f.dat"
    path.write_text('1::"x::3\n')

    assert rows(path, Dialect(separator="::", names=("a", "b", "c"), quoted=False)) == [("1", '"x', "3")]


def test_text_may_be_latin_1(tmp_path):
    path = tmp_path / "f.dat"
    path.write_bytes("1,Misérables\n".encode("latin-1"))

    assert rows(path, Dialect(names=("a", "b"))) == [("1", "Misérables")]


def test_a_row_with_too_many_fields_is_left_out_with_its_line(tmp_path):
    path, aside = tmp_path / "f.csv", RowsAside()
    path.write_text("a,b\n" + "1,2\n" * 2000 + "1,2,3\n" + "1,2\n" * 2000)

    assert len(rows(path, aside=aside)) == 4000
    assert bad(aside) == (1, f"{path}: line 2002 has 3 fields instead of 2, it starts with '1,2,3'")


def test_one_row_too_long_and_one_too_short_are_both_left_out(tmp_path):
    path, aside = tmp_path / "f.csv", RowsAside()
    path.write_text("a,b\n1,2\n1,2,3\n1\n3,4\n")

    assert rows(path, aside=aside) == [("1", "2"), ("3", "4")]
    assert bad(aside)[0] == 2


def test_a_line_that_is_not_utf8_in_a_file_that_is_is_left_out(tmp_path):
    path, aside = tmp_path / "f.csv", RowsAside()
    path.write_bytes("é,ü\n".encode() * 20 + b"1,2\n\xe9,2\n3,4\n")

    assert rows(path, Dialect(names=("a", "b")), aside)[-2:] == [("1", "2"), ("3", "4")]
    assert bad(aside) == (1, f"{path}: line 22 is not UTF-8 at b'\\xe9', it starts with '\ufffd,2'")


def test_a_line_with_a_nul_is_left_out(tmp_path):
    path, aside = tmp_path / "f.csv", RowsAside()
    path.write_bytes(b"a,b\n1,2\n\0,2\n3,4\n")

    assert rows(path, aside=aside) == [("1", "2"), ("3", "4")]
    assert bad(aside) == (1, f"{path}: line 3 holds a NUL byte")


@pytest.mark.parametrize("block_bytes", [5, 1000])
def test_a_quote_that_is_not_closed_costs_one_row(tmp_path, block_bytes):
    path, aside = tmp_path / "f.csv", RowsAside()
    path.write_text('a,b\n1,2\n"1,2\n1,"2"\n"x\ny",3\n')

    assert rows(path, aside=aside, block_bytes=block_bytes) == [("1", "2"), ("1", "2"), ("x\ny", "3")]
    assert bad(aside) == (1, f"{path}: line 3 has a quote that is not closed, it starts with '\"1,2'")


def test_a_quote_within_a_field_is_text(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text('a,b\n5" pipe,"the "old" one"\n"x", "y" \n')

    assert rows(path) == [('5" pipe', 'the "old" one'), ("x", "y")]


def test_quotes_may_be_escaped_by_a_backslash(tmp_path):
    path = tmp_path / "f.csv"
    path.write_bytes(b'"a \\"b\\" c",2\n"C:\\\\",3\n')

    dialect = Dialect(names=("a", "b"), form=TextForm(escaped=True))
    assert rows(path, dialect) == [('a "b" c', "2"), ("C:\\", "3")]


def test_a_row_with_a_value_of_another_type_is_left_out_with_its_line_and_column(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text('a,b\n"one\nline",2\n\nx,many\n')
    aside = RowsAside()
    (table,) = tables(path, Dialect(), aside)

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
