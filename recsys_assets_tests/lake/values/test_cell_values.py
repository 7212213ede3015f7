"""Numbers and texts of a column have one form, decided by the column as a whole."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.lake.values.cell_values import decimal_mark, numbers, text_of


@pytest.mark.parametrize(
    ("values", "mark", "first"),
    [
        (["4,5"], ",", 4.5),
        (["1.234,50"], ",", 1234.5),
        (["1,234.50"], ".", 1234.5),
        (["1 234,50"], ",", 1234.5),
        (["1\u202f234,50 €"], ",", 1234.5),
        (["€4,50"], ",", 4.5),
        (["$4.50"], ".", 4.5),
        (["CHF 1'234.50"], ".", 1234.5),
        (["1.234.567"], ",", 1234567),
        (["12,345", "4,50"], ",", 12.345),
        (["0,125"], ",", 0.125),
        (["(4.50)"], None, -4.5),
        (["4.50-", "3.25"], ".", -4.5),
        (["3"], None, 3),
        (["1.234"], None, 1.234),
        (["1e3"], None, 1000),
    ],
)
def test_the_column_shows_the_decimal_mark(values, mark, first):
    found, _ = decimal_mark(pl.Series(values))

    assert found == mark
    assert numbers(pl.Series(values), pl.Float64, mark=found or ".")[0] == first


def test_a_value_of_three_digits_behind_a_comma_shows_no_mark():
    assert decimal_mark(pl.Series(["3", "1,234"])) == (None, "1,234")


@pytest.mark.parametrize(
    ("value", "mark"), [("4.5", ","), ("4,5", "."), ("x", "."), ("1,23,456", "."), ("--3", ",")]
)
def test_a_value_of_the_other_mark_is_no_number(value, mark):
    assert numbers(pl.Series([value]), pl.Float64, mark=mark).to_list() == [None]


@given(st.floats(-1e9, 1e9).map(lambda number: round(number, 2)))
def test_a_number_is_read_with_either_mark_and_thousands(number):
    plain, grouped = f"{number:.2f}", f"{number:,.2f}"
    swapped = [text.translate(str.maketrans(",.", ".,")) for text in (plain, grouped)]

    assert numbers(pl.Series([plain, grouped]), pl.Float64, mark=".").to_list() == [number, number]
    assert numbers(pl.Series(swapped), pl.Float64, mark=",").to_list() == [number, number]


def test_a_list_is_one_text():
    assert text_of(pl.Series([["a", "b"], ["c"]])).to_list() == ["a | b", "c"]


def test_a_whole_float_has_no_fraction_whatever_else_the_column_holds():
    assert text_of(pl.Series([1.0, 1.5, None, float("nan")])).to_list() == ["1", "1.5", None, None]
