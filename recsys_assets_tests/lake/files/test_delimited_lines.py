"""Records of delimited text are cut, counted and mended as Python's csv module reads them."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.lake.files.delimited_lines import Shape, filtered_lines, good_lines, last_record_end

FIELD = st.text(alphabet='a",\n;é ', max_size=8)


def written(table, quoting=csv.QUOTE_MINIMAL):
    text = io.StringIO(newline="")
    csv.writer(text, quoting=quoting, lineterminator="\n").writerows(table)
    return text.getvalue().encode()


def read(data):
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


TABLES = st.lists(st.tuples(st.just("k"), FIELD, FIELD), min_size=1, max_size=20)


@given(table=TABLES, cut=st.integers(0, 400))
def test_a_quoted_newline_never_parts_two_blocks(table, cut):
    data = written(table)

    end = last_record_end(data[:cut], Shape(fields=3, separator=b","))

    assert read(data[:end]) + read(data[end:]) == [list(row) for row in table]


@given(
    table=st.lists(st.lists(FIELD, min_size=2, max_size=4).map(lambda row: ["k", *row]), max_size=20),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_records_of_the_right_length_are_kept_and_the_others_are_named(table, quoting):
    shape = Shape(fields=4, separator=b",")
    lines = filtered_lines(good_lines(written(table, quoting), shape), shape)

    assert read(lines.data) == [row for row in table if len(row) == 4]
    assert len(lines.bad) == sum(len(row) != 4 for row in table)


@given(table=TABLES)
def test_each_record_knows_its_line(table):
    shape = Shape(fields=3, separator=b",")
    data = written(table)

    lines = good_lines(data, shape)

    starts = [written(table[:row]).count(b"\n") for row in range(len(table))]
    assert [lines.place(row, shape) for row in range(len(table))] == starts


@given(st.text(alphabet='a",\n', max_size=60))
def test_any_text_becomes_records_of_the_right_length_and_named_faults(text):
    data = text.encode() + b"\n"
    shape = Shape(fields=2, separator=b",")

    lines = filtered_lines(good_lines(data, shape), shape)

    assert all(len(row) == 2 for row in read(lines.data))
    assert len(lines.bad) + len(read(lines.data)) <= data.count(b"\n")
    assert last_record_end(data, shape) <= len(data)


def test_a_record_after_an_unclosed_quote_is_cut_whole():
    data = b'1,2\n"1,2\n1,"2"\n"x\ny",3\n"x\n'

    end = last_record_end(data, Shape(fields=2, separator=b","))

    assert data[end:].startswith((b'1,"2"', b'"x\ny"', b'"1,2')) or end == 0
