"""The journal of a table's files is never wrong: where it is behind or damaged, the file itself counts."""

import hashlib
import os
import shutil
from datetime import date, timedelta

import polars as pl
import pytest

from recsys_assets.storage import day_journal
from recsys_assets.storage.partition_store import PartitionStore

SCHEMA = pl.Schema({"a": pl.Int64})
FIRST = date(2017, 1, 1)
JOURNAL = ".days.jsonl"


def frame_of(*numbers: int) -> pl.DataFrame:
    return pl.DataFrame({"a": numbers}, schema=SCHEMA)


@pytest.fixture
def store(tmp_path):
    return opened(tmp_path)


def opened(tmp_path, made_from="x"):
    return PartitionStore(
        root=tmp_path / "raw", schema=SCHEMA, provenance=lambda day: {"made-from": f"{made_from} {day}"}
    )


def land(store, day, frame):
    store.write(day, frame)
    store.settle()


def truth(store, day=FIRST):
    """Read checksum, rows and provenance from the file itself."""
    content = store.path(day).read_bytes()
    made_from = pl.read_parquet_metadata(store.path(day)).get("made-from")
    return hashlib.sha256(content).hexdigest(), pl.read_parquet(store.path(day)).height, made_from


def known(store, day=FIRST):
    file = store.file(day)
    return file.checksum, file.rows, file.provenance.get("made-from")


def lines(store):
    return (store.root / JOURNAL).read_text().splitlines()


def test_a_written_file_is_known_without_being_opened(store, tmp_path):
    land(store, FIRST, frame_of(1, 2))
    store.path(FIRST).chmod(0)  # changes no content, only the attributes' time
    store.path(FIRST).chmod(0o644)
    assert known(opened(tmp_path)) == truth(store)
    assert len(lines(store)) == 2  # examined once, since its attributes changed
    assert known(opened(tmp_path)) == truth(store)
    assert len(lines(store)) == 2


def test_a_journal_that_was_deleted_comes_back(store, tmp_path):
    for n in range(5):
        land(store, FIRST + timedelta(days=n), frame_of(n))
    before = store.files()
    (store.root / JOURNAL).unlink()
    assert opened(tmp_path).files() == before
    assert len(lines(store)) == 5


def test_a_file_replaced_by_hand_is_noticed(store, tmp_path):
    other = PartitionStore(root=tmp_path / "other", schema=SCHEMA)
    land(other, FIRST, frame_of(7))
    land(store, FIRST, frame_of(1))
    shutil.copyfile(other.path(FIRST), store.path(FIRST))
    assert known(store) == truth(store) == truth(other)
    assert known(opened(tmp_path)) == truth(other)


def test_a_file_of_the_same_size_and_time_is_noticed(store, tmp_path):
    land(store, FIRST, frame_of(1))
    before = store.path(FIRST).stat()
    land(opened(tmp_path, "y"), FIRST, frame_of(2))
    os.utime(store.path(FIRST), ns=(before.st_atime_ns, before.st_mtime_ns))
    assert store.path(FIRST).stat().st_size == before.st_size
    assert known(store) == truth(store)


def test_a_process_killed_between_file_and_journal_leaves_a_file_that_is_examined(store, tmp_path):
    land(store, FIRST, frame_of(1))
    journal = (store.root / JOURNAL).read_bytes()
    land(store, FIRST, frame_of(1, 2))
    (store.root / JOURNAL).write_bytes(journal)  # as if the second line had never been written
    assert known(opened(tmp_path)) == truth(store)


@pytest.mark.parametrize("rest", [b'["2017-01-01",[1,2', b"\xff\xfe", b"{}\n[]\n", b'["2017-01-01"]\n'])
def test_half_a_line_is_skipped_and_the_next_ones_count(store, tmp_path, rest):
    land(store, FIRST, frame_of(1))
    with (store.root / JOURNAL).open("ab") as journal:
        journal.write(rest)
    second = FIRST + timedelta(days=1)
    for day in (second, FIRST):
        land(opened(tmp_path), day, frame_of(1, 2))
    again = opened(tmp_path)
    assert known(again) == truth(store)
    assert known(again, second) == truth(store, second)


def test_two_processes_see_what_the_other_wrote(store, tmp_path):
    other = opened(tmp_path, "y")
    land(store, FIRST, frame_of(1))
    assert known(other) == truth(store)
    land(other, FIRST, frame_of(1, 2, 3))
    assert known(store) == truth(store)
    assert len(lines(store)) == 2  # nobody had to examine the file


def test_a_long_journal_is_rewritten_with_a_line_a_day(store, tmp_path, monkeypatch):
    monkeypatch.setattr(day_journal, "_SPARE_LINES", 10)
    for n in range(30):
        land(store, FIRST, frame_of(n))
    assert known(opened(tmp_path)) == truth(store)
    land(store, FIRST, frame_of(1))
    again = opened(tmp_path)
    assert known(again) == truth(store)
    assert len(lines(store)) == 2


def test_a_broken_file_was_made_from_nothing_known(store):
    land(store, FIRST, frame_of(1))
    store.path(FIRST).write_bytes(b"PAR1 no more")
    assert store.file(FIRST).provenance == {}
    assert store.file(FIRST).rows is None
    assert store.checksum(FIRST) == hashlib.sha256(b"PAR1 no more").hexdigest()


def test_files_of_a_table_without_a_journal_are_known(store, tmp_path):
    plain = tmp_path / "plain"
    land(store, FIRST, frame_of(1))
    shutil.copytree(store.root, plain)
    (plain / JOURNAL).unlink()
    assert known(PartitionStore(root=plain, schema=SCHEMA)) == truth(store)


def test_a_lake_that_may_only_be_read_is_read(store, tmp_path):
    land(store, FIRST, frame_of(1))
    (store.root / JOURNAL).unlink()
    (store.root / JOURNAL).mkdir()  # nothing can be appended to a folder, even by root
    assert known(opened(tmp_path)) == truth(store)


def test_a_file_is_noted_only_when_it_is_on_the_disk(store):
    store.write(FIRST, frame_of(1))
    assert known(store) == truth(store)
    assert not (store.root / JOURNAL).exists()

    store.settle()
    store.settle()
    assert len(lines(store)) == 1


def test_what_waits_for_the_disk_is_not_taken_for_an_older_file(store, tmp_path):
    land(store, FIRST, frame_of(1))
    again = opened(tmp_path, "y")
    again.write(FIRST, frame_of(1, 2))
    assert again.file(FIRST + timedelta(days=1)) is None
    land(store, FIRST + timedelta(days=1), frame_of(3))
    assert known(again, FIRST + timedelta(days=1)) == truth(
        store, FIRST + timedelta(days=1)
    )  # reads the journal
    assert known(again) == truth(store)
    assert len(lines(store)) == 2


def test_a_file_with_a_hole_is_read_whole_and_broken(store, tmp_path):
    land(store, FIRST, pl.DataFrame({"a": range(0, 10**9, 10**5)}, schema=SCHEMA))
    file = store.path(FIRST)
    content = bytearray(file.read_bytes())
    content[1_000:3_000] = bytes(2_000)  # as after a power cut; the footer is whole
    file.write_bytes(content)
    assert pl.read_parquet_metadata(file)["made-from"]
    assert opened(tmp_path).file(FIRST).rows is None
    assert opened(tmp_path).file(FIRST).provenance == {}


def test_rows_that_look_like_a_checksum_are_kept(tmp_path):
    ids = pl.DataFrame({"a": ["crc32:00000000", "crc32:0", "\U0010ffff crc32:00000000"]})
    store = PartitionStore(root=tmp_path, schema=ids.schema)
    land(store, FIRST, ids)
    (tmp_path / JOURNAL).unlink()
    assert store.read(FIRST).equals(ids)
    assert PartitionStore(root=tmp_path, schema=ids.schema).file(FIRST) == store.file(FIRST)
