"""JSON in any layout becomes the same table of text; a record that is none is left out and counted."""

import json
import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.files.json_documents import cut_elements, strict_json
from recsys_assets.lake.files.rows_aside import RowsAside
from recsys_assets.lake.files.tabular_files import open_tabular
from recsys_assets.lake.values.cell_values import text_of
from recsys_assets.source_settings import ReadingSettings


def read(path, *columns):
    file, aside = open_tabular(path, ReadingSettings()), RowsAside()
    chunks = list(file.chunks(columns or list(file.column_names()), aside))
    rows = [row for chunk in chunks for row in pl.DataFrame(map(text_of, chunk.frame)).rows()]
    return rows, aside.account().reasons.get("bad_row")


def written(tmp_path, text):
    path = tmp_path / "f.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


TEXTS = st.text(alphabet='a"\\[]{},:\n é', max_size=6)
RECORDS = st.lists(
    st.fixed_dictionaries(
        {"u": TEXTS, "n": st.integers() | st.none(), "p": st.fixed_dictionaries({"x": TEXTS})}
    ),
    min_size=1,
    max_size=12,
)
LAYOUTS = {
    "lines": lambda rows: "\n".join(json.dumps(row) for row in rows),
    "array": json.dumps,
    "pretty array": lambda rows: json.dumps(rows, indent=2, ensure_ascii=False),
    "object": lambda rows: json.dumps({"meta": {"n": [1]}, "data": rows}),
    "pretty object": lambda rows: json.dumps({"took": 1, "data": rows, "more": {"a": 1}}, indent=1),
    "one after the other": lambda rows: "".join(json.dumps(row, indent=1) for row in [*rows, rows[0]]),
    "literals": lambda rows: "\n".join(map(repr, rows)),
}


@given(rows=RECORDS, layout=st.sampled_from(sorted(LAYOUTS)))
def test_every_layout_gives_the_same_rows(tmp_path_factory, rows, layout):
    path = written(tmp_path_factory.mktemp("json"), LAYOUTS[layout](rows) + "\n")
    rows = [*rows, rows[0]] if layout == "one after the other" else rows

    found, bad = read(path, "u", "n", "p.x")

    assert found == [(row["u"], None if row["n"] is None else str(row["n"]), row["p"]["x"]) for row in rows]
    assert bad is None


@given(rows=RECORDS, at=st.integers(0, 200))
def test_elements_are_cut_wherever_a_block_ends(rows, at):
    data = json.dumps(rows).encode()[1:]

    first, end, _ = cut_elements(data[:at])
    second, _, _ = cut_elements(data[max(end, 0) :] if end >= 0 else b"")

    if end >= 0:
        assert [json.loads(line) for line in (first + second).splitlines()] == rows


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
))  # fmt: skip
def test_a_python_literal_becomes_the_same_json(value):
    def plain(found):
        if isinstance(found, float) and not math.isfinite(found):
            return None
        if isinstance(found, list):
            return [plain(one) for one in found]
        return {key: plain(one) for key, one in found.items()} if isinstance(found, dict) else found

    assert json.loads(strict_json(repr(value).encode("utf-8", "surrogatepass"))) == plain(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("17850.0", "17850"), ("17850", "17850"), ("1e3", "1000"), ("4.5", "4.5"), ("true", "true"),
        ("null", None), ("123456789012345678901234567890", "123456789012345678901234567890"), ('"007"', "007"),
        ('["a", "b"]', "a | b"), ("NaN", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("beside", ["", '{"v": {"odd": 1}}\n', '{"v": "text"}\n'])
def test_a_value_has_one_text_whatever_is_beside_it(tmp_path, value, text, beside):
    rows, bad = read(written(tmp_path, f'{{"v": {value}}}\n{beside}'), "v")

    assert rows[0] == (text,)
    assert bad is None


def test_ids_are_the_same_in_every_block(tmp_path):
    lines = [f'{{"u": 17850.0, "pad": "{"x" * 900}"}}' for _ in range(10_000)]
    path = written(tmp_path, "\n".join([*lines, '{"u": "guest"}']))

    assert set(read(path, "u")[0]) == {("17850",), ("guest",)}


@pytest.mark.parametrize("layout", ["lines", "literals"])
def test_a_line_that_is_no_record_is_left_out_with_its_number(tmp_path, layout):
    text = LAYOUTS[layout]([{"u": "a"}] * 3) + "\n\n{oops\n[1, 2]\n" + LAYOUTS[layout]([{"u": "b"}])

    rows, bad = read(path := written(tmp_path, text), "u")

    assert rows == [("a",)] * 3 + [("b",)]
    assert bad.rows == 2
    assert bad.example.startswith(f"{path}: line 5 is not a JSON object")


def test_a_value_among_the_records_of_an_array_is_left_out(tmp_path):
    rows, bad = read(written(tmp_path, '[{"u": 1}, 7, {"u": 2}, [3], {"u": 4}]'), "u")

    assert rows == [("1",), ("2",), ("4",)]
    assert bad.rows == 2


def test_an_array_that_ends_within_a_record_has_one_bad_row(tmp_path):
    rows, bad = read(written(tmp_path, '[{"u": 1},\n {"u": 2},\n {"u": '), "u")

    assert rows == [("1",), ("2",)]
    assert (bad.rows, "record 3 has no end" in bad.example) == (1, True)


def test_raises_with_the_record_when_the_rest_of_an_array_cannot_be_parted(tmp_path):
    with pytest.raises(SourceFormatError, match="record 2 has no end"):
        read(written(tmp_path, '[{"u": 1}, {"u": {"a": 2}, {"u": 3}, {"u": 4}]'), "u")


ORDER = {
    "id": 7,
    "customer": {"email": "a@b.c"},
    "items": [{"sku": "x", "n": 2}, {"sku": "y", "n": 1}],
    "tags": ["new", "red"],
    "params": [
        {"key": "page", "value": {"string_value": "/home", "int_value": None}},
        {"key": "ms", "value": {"string_value": None, "int_value": 12}},
    ],
}


def test_nested_fields_have_names_and_values(tmp_path):
    path = written(tmp_path, json.dumps(ORDER) + "\n" + json.dumps({"id": 8, "items": [], "tags": []}))
    names = list(open_tabular(path, ReadingSettings()).column_names())

    assert {"id", "customer.email", "items[].sku", "tags", "tags[]"} <= set(names)
    assert "params[key=page].value.string_value" in names
    assert "customer" not in names
    rows, _ = read(
        path, "id", "items[].sku", "items[].n", "customer.email", "tags",
        "params[key=page].value.string_value", "params[key=ms].value.int_value",
    )  # fmt: skip
    assert rows == [
        ("7", "x", "2", "a@b.c", "new | red", "/home", "12"),
        ("7", "y", "1", "a@b.c", "new | red", "/home", "12"),
        ("8", None, None, None, "" if rows[2][4] == "" else None, None, None),
    ]


def test_a_field_that_is_once_a_value_reads_as_elsewhere(tmp_path):
    path = written(tmp_path, json.dumps(ORDER) + "\n" + '{"id": 8, "customer": "x", "items": {"sku": "z"}}\n')

    rows, bad = read(path, "id", "items[].sku", "customer.email")

    assert rows == [("7", "x", "a@b.c"), ("7", "y", "a@b.c"), ("8", "z", None)]
    assert bad is None


def test_raises_when_two_lists_should_be_rows(tmp_path):
    with pytest.raises(SourceFormatError, match="items and tags"):
        read(written(tmp_path, json.dumps(ORDER)), "items[].sku", "tags[]")


@pytest.mark.parametrize("text", ["[1, 2]\n", "{oops\n", "[]"])
def test_raises_when_the_file_holds_no_record(tmp_path, text):
    with pytest.raises(SourceFormatError, match="one object a line"):
        read(written(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        '{"user": ["u", "v"], "item": ["i", "j"]}',
        '{"user": {"0": "u", "1": "v"}, "item": {"0": "i", "1": "j"}}',
    ],
)
def test_a_document_of_columns_is_rejected_with_a_way_out(tmp_path, text):
    with pytest.raises(SourceFormatError, match=r"a list for each column \(user, item.*orient=\"records\""):
        open_tabular(written(tmp_path, text), ReadingSettings())


def test_fields_of_two_lists_are_rejected_with_the_name_of_the_file(tmp_path):
    path = written(tmp_path, '{"a": [{"x": 1}], "b": [{"y": 2}]}\n')

    with pytest.raises(SourceFormatError, match=r"f\.json: columns of two lists, a and b"):
        read(path, "a[].x", "b[].y")
