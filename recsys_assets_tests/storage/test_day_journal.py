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
    store.write(FIRST, frame_of(1, 2))
    store.path(FIRST).chmod(0)  # changes no content, only the attributes' time
    store.path(FIRST).chmod(0o644)
    assert known(opened(tmp_path)) == truth(store)
    assert len(lines(store)) == 2  # examined once, since its attributes changed
    assert known(opened(tmp_path)) == truth(store)
    assert len(lines(store)) == 2


def test_a_journal_that_was_deleted_comes_back(store, tmp_path):
    for n in range(5):
        store.write(FIRST + timedelta(days=n), frame_of(n))
    before = store.files()
    (store.root / JOURNAL).unlink()
    assert opened(tmp_path).files() == before
    assert len(lines(store)) == 5


def test_a_file_replaced_by_hand_is_noticed(store, tmp_path):
    other = PartitionStore(root=tmp_path / "other", schema=SCHEMA)
    other.write(FIRST, frame_of(7))
    store.write(FIRST, frame_of(1))
    shutil.copyfile(other.path(FIRST), store.path(FIRST))
    assert known(store) == truth(store) == truth(other)
    assert known(opened(tmp_path)) == truth(other)


def test_a_file_of_the_same_size_and_time_is_noticed(store, tmp_path):
    store.write(FIRST, frame_of(1))
    before = store.path(FIRST).stat()
    opened(tmp_path, "y").write(FIRST, frame_of(2))
    os.utime(store.path(FIRST), ns=(before.st_atime_ns, before.st_mtime_ns))
    assert store.path(FIRST).stat().st_size == before.st_size
    assert known(store) == truth(store)


def test_a_process_killed_between_file_and_journal_leaves_a_file_that_is_examined(store, tmp_path):
    store.write(FIRST, frame_of(1))
    journal = (store.root / JOURNAL).read_bytes()
    store.write(FIRST, frame_of(1, 2))
    (store.root / JOURNAL).write_bytes(journal)  # as if the second line had never been written
    assert known(opened(tmp_path)) == truth(store)


@pytest.mark.parametrize("rest", [b'["2017-01-01",[1,2', b"\xff\xfe", b"{}\n[]\n", b'["2017-01-01"]\n'])
def test_half_a_line_is_skipped_and_the_next_ones_count(store, tmp_path, rest):
    store.write(FIRST, frame_of(1))
    with (store.root / JOURNAL).open("ab") as journal:
        journal.write(rest)
    second = FIRST + timedelta(days=1)
    for day in (second, FIRST):
        opened(tmp_path).write(day, frame_of(1, 2))
    again = opened(tmp_path)
    assert known(again) == truth(store)
    assert known(again, second) == truth(store, second)


def test_two_processes_see_what_the_other_wrote(store, tmp_path):
    other = opened(tmp_path, "y")
    store.write(FIRST, frame_of(1))
    assert known(other) == truth(store)
    other.write(FIRST, frame_of(1, 2, 3))
    assert known(store) == truth(store)
    assert len(lines(store)) == 2  # nobody had to examine the file


def test_a_long_journal_is_rewritten_with_a_line_a_day(store, tmp_path, monkeypatch):
    monkeypatch.setattr(day_journal, "_SPARE_LINES", 10)
    for n in range(30):
        store.write(FIRST, frame_of(n))
    assert known(opened(tmp_path)) == truth(store)
    store.write(FIRST, frame_of(1))
    again = opened(tmp_path)
    assert known(again) == truth(store)
    assert len(lines(store)) == 2


def test_a_broken_file_was_made_from_nothing_known(store):
    store.write(FIRST, frame_of(1))
    store.path(FIRST).write_bytes(b"PAR1 no more")
    assert store.file(FIRST).provenance == {}
    assert store.file(FIRST).rows is None
    assert store.checksum(FIRST) == hashlib.sha256(b"PAR1 no more").hexdigest()


def test_files_of_a_table_without_a_journal_are_known(store, tmp_path):
    plain = tmp_path / "plain"
    store.write(FIRST, frame_of(1))
    shutil.copytree(store.root, plain)
    (plain / JOURNAL).unlink()
    assert known(PartitionStore(root=plain, schema=SCHEMA)) == truth(store)


def test_a_lake_that_may_only_be_read_is_read(store, tmp_path):
    store.write(FIRST, frame_of(1))
    (store.root / JOURNAL).unlink()
    (store.root / JOURNAL).mkdir()  # nothing can be appended to a folder, even by root
    assert known(opened(tmp_path)) == truth(store)
