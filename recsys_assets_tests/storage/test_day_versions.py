"""Earlier versions of days, and what was known when."""

import os
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from recsys_assets.errors import VersionGoneError
from recsys_assets.storage.day_folders import day_folder
from recsys_assets.storage.day_versions import LANDINGS, DayVersions
from recsys_assets.storage.partition_store import PartitionStore

SCHEMA = pl.Schema({"user_id": pl.String})
DAY, OTHER = date(2017, 1, 1), date(2017, 1, 2)
START = datetime(2024, 1, 1, tzinfo=UTC)


class Clock:
    """An hour a step, by hand."""

    def __init__(self) -> None:
        self.hour = 0

    def __call__(self) -> datetime:
        return START + timedelta(hours=self.hour)

    def at(self, hour: float) -> datetime:
        return START + timedelta(hours=hour)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    versions = DayVersions(root=tmp_path / "lake" / "versions", now=clock)
    return PartitionStore(root=tmp_path / "lake" / "raw", schema=SCHEMA, versions=versions)


def write(store, clock, hour, user, day=DAY):
    clock.hour = hour
    store.write(day, pl.DataFrame({"user_id": [user]}, schema=SCHEMA))
    store.settle()


def known(store, at):
    """Day -> the users that were known."""
    fresh = PartitionStore(root=store.root, schema=SCHEMA, versions=store.versions)
    found = fresh.versions.known_at(at, fresh.files(), fresh.path)
    return {
        day: pl.read_parquet(path, hive_partitioning=False)["user_id"].to_list()
        for day, path in found.items()
    }


def test_each_time_has_the_version_that_had_landed_by_then(store, clock):
    write(store, clock, 1, "first")
    write(store, clock, 3, "second")
    write(store, clock, 4, "other", OTHER)
    write(store, clock, 5, "third")

    assert known(store, clock.at(0.5)) == {}
    assert known(store, clock.at(1)) == known(store, clock.at(2.9)) == {DAY: ["first"]}
    assert known(store, clock.at(3)) == {DAY: ["second"]}
    assert known(store, clock.at(4.5)) == {DAY: ["second"], OTHER: ["other"]}
    assert known(store, clock.at(99)) == {DAY: ["third"], OTHER: ["other"]}


def test_the_same_content_again_is_no_version(store, clock):
    write(store, clock, 1, "same")
    write(store, clock, 2, "same")

    assert store.versions.every() == []
    assert known(store, clock.at(1.5)) == {DAY: ["same"]}


def test_content_that_comes_back_is_known_at_both_times(store, clock):
    for hour, user in enumerate(("a", "b", "a")):
        write(store, clock, hour, user)

    assert [known(store, clock.at(hour))[DAY] for hour in range(3)] == [["a"], ["b"], ["a"]]


def test_a_day_that_was_taken_away_is_not_known_after_that(store, clock):
    write(store, clock, 1, "bad")
    clock.hour = 2
    store.remove(DAY)
    write(store, clock, 3, "good")

    assert [known(store, clock.at(hour)) for hour in (1, 2, 3)] == [{DAY: ["bad"]}, {}, {DAY: ["good"]}]


def test_versions_say_when_they_landed_and_were_replaced(store, clock):
    write(store, clock, 1, "first")
    write(store, clock, 3, "second")
    (version,) = store.versions.of_day(DAY)

    assert (version.landed_at, version.replaced_at) == (clock.at(1), clock.at(3))


def test_times_outlast_a_copy_that_loses_those_of_the_files(store, clock):
    write(store, clock, 1, "first")
    write(store, clock, 3, "second")
    for file in store.root.parent.rglob("*.parquet"):
        os.utime(file, (1, 1))

    assert known(store, clock.at(2)) == {DAY: ["first"]}


def test_a_clock_that_was_set_back_does_not_bring_an_old_version_back(store, clock):
    write(store, clock, 5, "first")
    write(store, clock, 3, "second")

    assert known(store, clock.at(6)) == {DAY: ["second"]}


def test_a_home_without_landings_uses_the_times_of_files(store, clock):
    plain = PartitionStore(root=store.root, schema=SCHEMA)
    write(plain, clock, 0, "older")
    os.utime(plain.path(DAY), (START.timestamp(), START.timestamp()))
    write(store, clock, 3, "newer")

    assert known(store, clock.at(1)) == {DAY: ["older"]}
    assert known(store, clock.at(4)) == {DAY: ["newer"]}


def test_a_landing_that_a_killed_process_did_not_note_has_the_files_time(store, clock):
    write(store, clock, 1, "first")
    write(store, clock, 3, "second")
    journal = store.versions.root / LANDINGS
    content = journal.read_bytes()
    journal.write_bytes(content[: content.rindex(b"\n") + 20])
    os.utime(store.path(DAY), (clock.at(3).timestamp(), clock.at(3).timestamp()))

    assert known(store, clock.at(2)) == {DAY: ["first"]}
    assert known(store, clock.at(4)) == {DAY: ["second"]}


def test_a_landing_after_an_unfinished_line_is_noted(store, clock):
    write(store, clock, 1, "first")
    with (store.versions.root / LANDINGS).open("ab") as journal:
        journal.write(b'\n["2017')
    write(store, clock, 3, "second")
    for file in store.root.parent.rglob("*.parquet"):
        os.utime(file, (1, 1))

    assert known(store, clock.at(2)) == {DAY: ["first"]}
    assert known(store, clock.at(4)) == {DAY: ["second"]}


def test_a_version_that_was_removed_is_named(store, clock):
    write(store, clock, 1, "first")
    write(store, clock, 3, "second")
    (version,) = store.versions.every()
    store.versions.remove(version)

    assert not day_folder(store.versions.root, DAY).exists()
    with pytest.raises(VersionGoneError, match=r"2017-01-01 .* at 2024-01-01 02:00:00 .* version_days"):
        known(store, clock.at(2))
    assert known(store, clock.at(3)) == {DAY: ["second"]}


def test_a_broken_file_is_not_kept(store, clock):
    write(store, clock, 1, "first")
    store.path(DAY).write_bytes(b"garbage")
    write(store, clock, 2, "second")

    assert store.versions.every() == []


def test_a_version_is_the_file_itself_without_a_copy(store, clock):
    write(store, clock, 1, "first")
    inode = store.path(DAY).stat().st_ino
    write(store, clock, 2, "second")

    assert store.versions.every()[0].path.stat().st_ino == inode
