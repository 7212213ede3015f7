"""Strings in mapped arrays, found by position and by id."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.storage.string_table import StringTable, Vocabulary


@given(st.sets(st.text(max_size=12)), st.text(max_size=12))
def test_every_id_has_its_number_and_no_other_id_has_one(ids, other):
    vocabulary = Vocabulary.from_strings(ids)
    assert [vocabulary.num(vocabulary.id(num)) for num in range(len(ids))] == list(range(len(ids)))
    assert (vocabulary.num(other) is None) == (other not in ids)


@given(st.sets(st.text(max_size=12)))
def test_ids_are_sorted_by_their_utf8_bytes(ids):
    assert list(Vocabulary.from_strings(ids)) == sorted(ids, key=str.encode)


def test_a_saved_vocabulary_is_memory_mapped_and_equal(tmp_path):
    Vocabulary.from_strings(["b", "ä", "a", "b"]).save(tmp_path, "users")
    loaded = Vocabulary.load(tmp_path, "users")
    assert isinstance(loaded.offsets.base, np.memmap)
    assert list(loaded) == ["a", "b", "ä"]
    assert loaded.nums(["ä", "none", "a"]).tolist() == [2, -1, 0]


def test_an_empty_vocabulary_survives_saving(tmp_path):
    Vocabulary.from_strings([]).save(tmp_path, "none")
    assert Vocabulary.load(tmp_path, "none").num("a") is None


def test_raises_when_a_number_is_outside_the_vocabulary():
    with pytest.raises(IndexError):
        Vocabulary.from_strings(["a"]).id(-1)


def test_a_string_table_keeps_the_order_and_reads_none_as_empty(tmp_path):
    StringTable.from_strings(["b", None, "a"]).save(tmp_path, "titles")
    assert list(StringTable.load(tmp_path, "titles")) == ["b", "", "a"]


def test_an_id_is_in_its_one_form_unless_the_vocabulary_holds_it_as_it_is() -> None:
    known = Vocabulary.from_strings(["5.0", "7"])
    assert [known.form_of(text) for text in ("5.0", "7.0", " 7", "new", "NaN")] == [
        "5.0",
        "7",
        "7",
        "new",
        None,
    ]
