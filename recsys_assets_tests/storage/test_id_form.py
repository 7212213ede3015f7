"""An id has one form, in a request as in a table's column."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.lake.values.cell_values import ids
from recsys_assets.storage.id_form import BLANKS, NULL_WORDS, normal_id
from recsys_assets.storage.string_table import Vocabulary

WRITTEN = st.one_of(
    st.text(), st.from_regex(r"\A\s*-?[0-9]{0,4}\.?0{0,3}\s*\Z"), st.sampled_from(NULL_WORDS),
    st.text(BLANKS + "0.1\n", max_size=6),
)  # fmt: skip


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("17850", "17850"), ("17850.0", "17850"), (" 17850 ", "17850"), ("17850.00", "17850"), ("007", "007"),
        ("007.0", "007"), ("1.5", "1.5"), ("-3.0", "-3"), ("a.0", "a.0"), ("", None), ("  ", None),
        ("nan", None), ("NULL", None), (r"\N", None), ("<NA>", None), ("none", "none"), ("a b", "a b"),
    ],
)  # fmt: skip
def test_the_form_of_an_id(written, form):
    assert normal_id(written) == form


@given(WRITTEN)
def test_a_column_and_a_request_have_the_same_form(written):
    assert ids(pl.Series([written])).to_list() == [normal_id(written)]


@given(WRITTEN)
def test_the_form_of_a_form_is_itself(written):
    form = normal_id(written)

    assert form is None or normal_id(form) in {form, None} or form.strip(BLANKS) == form


@given(st.integers(-(2**53), 2**53))
def test_a_number_is_the_same_id_as_float_integer_and_text(number):
    columns = (
        pl.Series([number]),
        pl.Series([float(number)]),
        pl.Series([str(number)]),
        pl.Series([f"{number}.0"]),
    )

    assert {ids(column)[0] for column in columns} == {str(number)}


def test_a_request_finds_the_id_as_written_and_else_in_its_form():
    users = Vocabulary.from_strings(["17850", "1.0", "1"])

    found = [users.num_of(text) for text in ("17850.0", " 17850", "17850", "1.0", "1", "2.0", "nan")]
    assert found == [*[users.num("17850")] * 3, users.num("1.0"), users.num("1"), None, None]
