"""Files come as blocks of whole lines for any compression and block size; reading ahead changes nothing else."""

import gzip
import re
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.errors import EmptySourceError, SourceFormatError, SourceNotFoundError
from recsys_assets.lake.files.compressed_files import check_gzip
from recsys_assets.lake.files.text_blocks import each_ahead, first_line, line_blocks, read_ahead

LINES = st.lists(
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\n\r\x00\ufeff"), max_size=40),
    min_size=1,
)


def joined(path: Path, **options: object) -> bytes:
    return b"".join(bytes(block.data) for block in line_blocks(path, **options))


@given(lines=LINES, zipped=st.booleans(), block_bytes=st.integers(1, 200))
def test_blocks_put_together_are_the_file(tmp_path_factory, lines, zipped, block_bytes):
    content = "\n".join([*lines, "end"]).encode()
    path = tmp_path_factory.mktemp("blocks") / "file"
    path.write_bytes(gzip.compress(content) if zipped else content)

    assert joined(path, block_bytes=block_bytes) == content


@given(lines=LINES, block_bytes=st.integers(1, 200))
def test_every_block_but_the_last_ends_with_a_line(tmp_path_factory, lines, block_bytes):
    path = tmp_path_factory.mktemp("blocks") / "file"
    path.write_bytes("\n".join([*lines, "end"]).encode())

    *before, _ = line_blocks(path, block_bytes=block_bytes)

    assert all(bytes(block.data).endswith(b"\n") for block in before)


def test_records_know_their_line_in_the_block(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("a\n\nb\n", newline="")

    (block,) = line_blocks(path)

    assert list(block.records()) == [(0, b"a\n"), (2, b"b\n")]


def test_a_later_block_knows_its_lines_in_the_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(b"one\ntwo\nthree\nfour\n"))

    *_, last = line_blocks(path, block_bytes=8)

    assert (bytes(last.data), last.line(0)) == (b"four\n", 4)


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"\xef\xbb\xbfone\ntwo\n")

    assert joined(path) == b"one\ntwo\n"


def test_gzip_is_recognised_by_content_not_by_name(tmp_path):
    path = tmp_path / "named.txt"
    path.write_bytes(gzip.compress(b"one\n"))

    assert joined(path) == b"one\n"


def test_a_gzip_of_several_members_is_read_to_its_end(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))

    assert joined(path) == b"one\ntwo\n"


def test_leaving_early_ends_the_thread_and_closes_the_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"line\n" * 1000)
    blocks = line_blocks(path, block_bytes=50)
    next(blocks)

    blocks.close()

    assert list(blocks) == []


def test_first_line_skips_blank_ones(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"\n  \r\nfirst\r\nsecond\n")

    assert first_line(path) == b"first"


def test_raises_when_there_is_no_file(tmp_path):
    with pytest.raises(SourceNotFoundError, match=re.escape(str(tmp_path / "none"))):
        joined(tmp_path / "none")


def test_raises_when_the_path_is_a_folder(tmp_path):
    with pytest.raises(SourceNotFoundError, match="directory"):
        joined(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", gzip.compress(b""), b"\xef\xbb\xbf"], ids=["empty", "empty gzip", "mark only"]
)
def test_raises_when_the_file_is_empty(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)

    with pytest.raises(EmptySourceError, match="empty"):
        joined(path)


def test_raises_when_there_are_only_blank_lines(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"\n\n \n")

    with pytest.raises(EmptySourceError, match="blank"):
        first_line(path)


def test_raises_with_the_line_when_the_gzip_is_truncated(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(b"".join(b"line %d\n" % n for n in range(100_000)))[:-2000])

    with pytest.raises(SourceFormatError, match=r"truncated or damaged .* after line \d{4,}") as raised:
        joined(path)
    assert "\n" not in str(raised.value)


def test_raises_when_the_gzip_is_damaged_inside(tmp_path):
    content = bytearray(gzip.compress(bytes(range(256)) * 4000))
    content[len(content) // 2] ^= 0xFF
    path = tmp_path / "file.gz"
    path.write_bytes(content)

    with pytest.raises(SourceFormatError, match="truncated or damaged"):
        joined(path)
    with pytest.raises(SourceFormatError, match="truncated or damaged"):
        check_gzip(path)


@pytest.mark.parametrize(
    ("start", "name"), [(b"%PDF-1.7", "a PDF"), (b"\xd0\xcf\x11\xe0", "Excel"), (b"Rar!", "RAR")]
)
def test_raises_by_name_when_the_file_is_of_another_kind(tmp_path, start, name):
    path = tmp_path / "file"
    path.write_bytes(start + b"rest")

    with pytest.raises(SourceFormatError, match=name):
        joined(path)


def test_raises_when_the_file_is_binary(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"\x01\x00\x02")

    with pytest.raises(SourceFormatError, match="binary"):
        first_line(path)


def test_raises_when_a_line_has_no_end(tmp_path, monkeypatch):
    monkeypatch.setattr("recsys_assets.lake.files.text_blocks.LONGEST_LINE_BYTES", 1000)
    path = tmp_path / "file.csv"
    path.write_bytes(b"a,b\n" + b"x" * 3000)

    with pytest.raises(SourceFormatError, match=r"line 2 is longer than"):
        joined(path, block_bytes=200)


@given(st.lists(st.integers()))
def test_the_items_and_their_order_are_the_same(items):
    assert list(read_ahead(item for item in items)) == items


def test_the_next_item_is_made_while_this_one_is_used():
    second_is_made = threading.Event()

    def items():
        yield 1
        second_is_made.set()
        yield 2

    first = next(read_ahead(items()))

    assert first == 1
    assert second_is_made.wait(timeout=60)


def test_an_error_comes_where_the_item_would_have():
    def items():
        yield 1
        raise ValueError("broken")

    found = []
    with pytest.raises(ValueError, match="broken"):
        found.extend(read_ahead(items()))
    assert found == [1]


def test_leaving_early_closes_the_source():
    closed = threading.Event()

    def items():
        try:
            yield from range(100)
        finally:
            closed.set()

    reading = read_ahead(items())
    next(reading)
    reading.close()

    assert closed.is_set()


def test_each_ahead_keeps_the_order_and_raises_an_error_of_the_items_after_those_before():
    def items():
        yield from range(7)
        raise SourceFormatError("is damaged")

    found = list[int]()
    with pytest.raises(SourceFormatError, match="is damaged"):
        found.extend(each_ahead(lambda number: number * number, items()))

    assert found == [0, 1, 4, 9, 16, 25, 36]


def test_each_ahead_closes_the_items_when_the_caller_stops_early():
    closed = list[bool]()

    def items():
        try:
            yield from range(100)
        finally:
            closed.append(True)

    ahead = each_ahead(str, items())
    assert next(ahead) == "0"
    ahead.close()

    assert closed == [True]
