"""Logs of a line a record: what was appended is read, and half a line loses no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.storage.line_log import append_record, read_records


def test_records_are_read_in_the_order_in_which_they_were_appended(tmp_path):
    log = tmp_path / "new" / "log.jsonl"
    for record in ({"n": 1}, {"n": 2}):
        append_record(log, record)
    assert read_records(log, dict[str, int]) == [{"n": 1}, {"n": 2}]


def test_a_log_that_was_never_written_has_no_records(tmp_path):
    assert read_records(tmp_path / "log.jsonl", dict[str, int]) == []


@given(cut=st.integers(0, 30))
def test_a_line_that_was_cut_off_loses_neither_those_before_nor_the_next(tmp_path_factory, cut):
    log = tmp_path_factory.mktemp("log") / "log.jsonl"
    append_record(log, {"n": 1})
    whole = log.stat().st_size
    append_record(log, {"text": "a longer record"})
    with log.open("rb+") as file:
        file.truncate(whole + min(cut, log.stat().st_size - whole - 2))
    append_record(log, {"n": 3})
    assert read_records(log, dict[str, int]) == [{"n": 1}, {"n": 3}]


def test_a_log_that_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(OSError, match="directory"):
        read_records(tmp_path / "log.jsonl", dict[str, int])
