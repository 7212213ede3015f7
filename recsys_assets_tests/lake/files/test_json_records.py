"""JSON lines become structs of known fields; a line that does not is left out and counted, with its number."""

import msgspec
import pytest

from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.files.json_records import first_object, json_records
from recsys_assets.lake.files.rows_aside import RowsAside


class Row(msgspec.Struct):
    name: str | None = None
    count: int | None = None


def objects(path, aside=None, **options):
    aside = RowsAside() if aside is None else aside
    return [row for records in json_records(path, Row, aside, **options) for row in records.rows]


def test_only_declared_fields_are_kept(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text('{"name": "a", "other": {"deep": [1, 2]}}\n{"count": "7"}\n')

    assert objects(path) == [Row(name="a"), Row(count=7)]


def test_blank_lines_and_a_missing_last_newline_are_fine(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text('\n{"name": "a"}\r\n\n  \n{"name": "b"}')

    assert objects(path) == [Row(name="a"), Row(name="b")]


@pytest.mark.parametrize("block_bytes", [64, 1 << 20])
def test_a_line_that_is_not_json_is_left_out_with_its_number(tmp_path, block_bytes):
    path, aside = tmp_path / "f.jsonl", RowsAside()
    path.write_text('{"name": "a"}\n' * 500 + "\n{oops\n" + '{"name": "b"}\n' * 500)

    assert len(objects(path, aside, block_bytes=block_bytes)) == 1000
    found = aside.account().reasons["bad_row"]
    assert found.rows == 1
    assert found.example.startswith(f"{path}: line 502 is not a JSON object")
    assert found.example.endswith("starts with '{oops'")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b'{"count": [2]}', "line 2: Expected `int | null`, got `array` - at `$.count`"),
        (b'{"name": "\xff"}', "line 2 is not a JSON object"),
    ],
)
def test_a_line_with_a_wrong_value_is_left_out_with_its_field(tmp_path, line, fault):
    path, aside = tmp_path / "f.jsonl", RowsAside()
    path.write_bytes('{"name": "éé"}\n'.encode() + line + b"\n")

    assert objects(path, aside) == [Row(name="éé")]
    assert fault in aside.account().reasons["bad_row"].example


def test_a_record_knows_its_line_after_blank_ones(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text('{"name": "a"}\n\n\n{"name": "b"}\n')

    (records,) = json_records(path, Row, RowsAside())

    assert records.place(1) == "line 4"


@pytest.mark.parametrize("text", ["[1, 2]\n", "3\n", "name,count\n", "{'name': 1}\n"])
def test_raises_when_the_first_line_is_no_object(tmp_path, text):
    path = tmp_path / "f.jsonl"
    path.write_text(text)

    with pytest.raises(SourceFormatError, match="one object a line"):
        first_object(path)
