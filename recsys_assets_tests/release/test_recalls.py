"""The record of recalls."""

from datetime import UTC, date, datetime

import pytest

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.release.recalls import RecordedRecall, append_recall, read_recalls
from recsys_assets.storage.home import Home


def recall(hour):
    return RecordedRecall(
        at=datetime(2024, 2, 1, hour, tzinfo=UTC),
        who="ann",
        why="prices in roubles",
        days=(date(2024, 1, 5),),
        releases=("20240131-0f3a5bc2d1",),
        before="20240131-0f3a5bc2d1",
        current="20240130-aa3a5bc2d1",
        answers={"20240131-0f3a5bc2d1": 7},
        exports=("/srv/lists.parquet",),
    )


def test_a_home_without_recalls_has_none(tmp_path):
    assert list(read_recalls(Home(tmp_path))) == []


def test_recalls_are_read_as_they_were_written_oldest_first(tmp_path):
    home = Home(tmp_path / "new")
    append_recall(home, recall(1))
    append_recall(home, recall(2))
    assert read_recalls(home) == [recall(1), recall(2)]


def test_a_recall_is_recorded_once(tmp_path):
    home = Home(tmp_path)
    append_recall(home, recall(1))
    append_recall(home, recall(1))
    assert read_recalls(home) == [recall(1)]


def test_half_a_line_is_skipped_and_written_whole_by_the_same_recall(tmp_path):
    home = Home(tmp_path)
    append_recall(home, recall(1))
    whole = home.recalls.read_bytes()
    home.recalls.write_bytes(whole + whole[:40])
    assert read_recalls(home) == [recall(1)]
    append_recall(home, recall(2))
    assert read_recalls(home) == [recall(1), recall(2)]


def test_a_record_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "recalls.jsonl").mkdir()
    with pytest.raises(BrokenReleaseError, match=r"recalls\.jsonl"):
        read_recalls(Home(tmp_path))
