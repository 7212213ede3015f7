"""JSON lines become objects, and a bad line is named."""

import msgspec
import pytest

from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.sources.text_records import first_object, json_records


class Row(msgspec.Struct):
    name: str | None = None
    count: int | None = None


def rows(path, **options):
    return [row for records in json_records(path, Row, **options) for row in records.rows]


def test_only_declared_fields_are_kept(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text('{"name": "a", "other": {"deep": [1, 2]}}\n{"count": "7"}\n')

    assert rows(path) == [Row(name="a"), Row(count=7)]


def test_blank_lines_and_a_missing_last_newline_are_fine(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text('\n{"name": "a"}\r\n\n  \n{"name": "b"}')

    assert rows(path) == [Row(name="a"), Row(name="b")]


def test_raises_with_the_line_when_one_is_not_json(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text('{"name": "a"}\n' * 500 + "\n{oops\n" + '{"name": "b"}\n' * 500)

    with pytest.raises(
        SourceFormatError, match=r"f.jsonl: line 502 is not a JSON object .* starts with '{oops'"
    ):
        rows(path, block_bytes=64)


def test_raises_with_line_and_field_when_a_value_has_another_type(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text('{"count": 1}\n{"count": [2]}\n')

    with pytest.raises(
        SourceFormatError, match=r"line 2: Expected `int \| null`, got `array` - at `\$.count`"
    ):
        rows(path)


def test_raises_with_the_line_when_text_is_not_utf8(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_bytes(b'{"name": "a"}\n{"name": "\xff"}\n')

    with pytest.raises(SourceFormatError, match="line 2 "):
        rows(path)


def test_a_record_tells_its_line_past_blank_ones(tmp_path):
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
