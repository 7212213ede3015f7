"""The days of a table as objects: seen without a download, read here or there, and removed last."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from recsys_assets.errors import ObjectStoreError
from recsys_assets.storage.day_versions import DayVersions
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import build_lock
from recsys_assets.storage.open_copy import working_copy
from recsys_assets.storage.partition_store import PartitionStore
from recsys_assets.storage.store_writing import helping, refresh, take_helped_days
from recsys_assets.storage.table_copy import bring_days, days_of_table
from recsys_assets_tests.storage.machines import SCHEMA, day, raw, rows

TABLE = "lake/raw/.days.jsonl"


@pytest.fixture
def one(machines) -> Home:
    return machines.home("one")


@pytest.fixture
def other(machines) -> Home:
    return machines.home("other")


def key(number: int) -> str:
    return f"lake/raw/date={day(number)}/part-0.parquet"


def local(home: Home) -> list[str]:
    return sorted(path.parent.name for path in home.raw.glob("*/part-0.parquet"))


def test_a_day_is_in_the_store_when_it_is_settled(machines, one):
    table = raw(one)
    with build_lock(one):
        table.write(day(0), rows(0))
        table.settle()
        assert machines.objects.get(key(0)).content == table.path(day(0)).read_bytes()


def test_another_machine_sees_rows_checksums_and_provenance_and_downloads_no_day(machines, one, other):
    table = machines.land(one, 0, 1, 2)
    refresh(other.root)
    here, there = table.files(), raw(other).files()
    assert [(f.rows, f.checksum, f.provenance) for f in there.values()] == [
        (f.rows, f.checksum, f.provenance) for f in here.values()
    ]
    assert raw(other).days() == days_of_table(other.raw) == [day(0), day(1), day(2)]
    assert local(other) == []


@pytest.mark.parametrize("content", [None, b"", b"half a li"])
def test_days_are_seen_without_their_provenance_table(machines, one, other, content):
    table = machines.land(one, 0, 1)
    if content is None:
        machines.objects.delete([TABLE])
    else:
        machines.objects.put(TABLE, content)
    files = raw(other).files()
    assert {d: (f.rows, f.checksum, f.provenance) for d, f in files.items()} == {
        d: (f.rows, f.checksum, f.provenance) for d, f in table.files().items()
    }


def test_a_provenance_that_is_too_long_to_lie_beside_a_day_is_read_from_it(machines, one, other):
    table = PartitionStore(root=one.raw, schema=SCHEMA, provenance=lambda _: {"long": "ü" * 3_000})
    with build_lock(one):
        table.write(day(0), rows(0))
        table.settle()
    machines.objects.delete([TABLE])
    assert raw(other).files()[day(0)].provenance == table.files()[day(0)].provenance


def test_days_are_read_in_place_by_who_only_reads(machines, one, other):
    machines.land(one, 0, 1, 2)
    table = raw(other)
    assert_frame_equal(table.read(day(1)), rows(1))
    assert_frame_equal(table.scan([day(0), day(2)]).collect(), pl.concat([rows(0), rows(2)]))
    for every in (False, True):
        (chunk,) = table.read_chunks([day(0), day(1)], every_column=every)
        assert [frame["amount"].to_list() for _, frame in chunk] == [[0] * 3, [1] * 3]
    assert local(other) == []


def test_days_here_and_there_are_read_together(machines, one, other):
    machines.land(one, 0, 1, 2)
    table = raw(other)
    table.path(day(1))
    assert local(other) == [f"date={day(1)}"]
    assert table.scan([day(0), day(1), day(2)]).collect()["amount"].to_list() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_a_writer_reads_verified_copies(machines, one, other):
    machines.land(one, 0, 1)
    with build_lock(other):
        assert raw(other).scan([day(0), day(1)]).collect().height == 6
    assert local(other) == [f"date={day(0)}", f"date={day(1)}"]


def test_a_copy_of_an_earlier_file_is_not_read_and_is_removed(machines, one, other):
    machines.land(one, 0)
    refresh(other.root)
    raw(other).path(day(0))
    machines.land(one, 0, height=5)
    refresh(other.root)
    assert raw(other).read(day(0)).height == 5
    assert local(other) == []


def test_a_damaged_day_is_named_and_not_copied(machines, one, other):
    machines.land(one, 0)
    beside = machines.objects.metadata(key(0))
    machines.objects.delete([TABLE])
    machines.objects.put(key(0), machines.objects.get(key(0)).content[:-1], metadata=beside)
    with pytest.raises(ObjectStoreError, match=f"recsys replay {day(0)}"):
        raw(other).path(day(0))
    assert local(other) == []


def test_the_object_of_a_removed_day_goes_when_all_else_is_pushed(machines, one, other):
    table = machines.land(one, 0, 1)
    with build_lock(one):
        table.remove(day(0))
        assert raw(one).days() == [day(1)]
        assert machines.objects.metadata(key(0))
    assert [entry.key for entry in machines.objects.list("lake/raw/date=")] == [key(1)]
    assert raw(other).days() == [day(1)]


def test_a_day_that_a_killed_writer_removed_is_there_again(machines, one):
    machines.land(one, 0)
    for file in one.raw.rglob("*.parquet"):
        file.unlink()
    with build_lock(one):
        assert raw(one).read(day(0)).height == 3


def test_an_earlier_version_is_kept_by_a_machine_that_did_not_have_it(machines, one, other):
    machines.land(one, 0)
    before = machines.objects.get(key(0)).content
    versions = DayVersions(root=other.versions)
    table = PartitionStore(root=other.raw, schema=SCHEMA, versions=versions)
    with build_lock(other):
        table.write(day(0), rows(7))
        table.settle()
    refresh(one.root)
    (kept,) = DayVersions(root=one.versions).every()
    assert kept.path.read_bytes() == before


def test_the_days_of_a_home_without_a_store_before_are_put(machines, tmp_path):
    alone = Home(tmp_path / "one")
    table = PartitionStore(root=alone.raw, schema=SCHEMA)
    table.write(day(0), rows(0))
    table.settle()
    one = machines.home("one")
    with build_lock(one):
        pass
    assert [entry.key for entry in machines.objects.list("lake/raw/date=")] == [key(0)]


def test_all_days_can_be_brought_here_for_links(machines, one, other):
    machines.land(one, 0, 1)
    with build_lock(other):
        bring_days(other.root)
    assert local(other) == [f"date={day(0)}", f"date={day(1)}"]


def test_who_does_not_hold_the_store_cannot_write_days(one):
    with pytest.raises(ObjectStoreError, match="does not hold"):
        raw(one).write(day(0), rows(0))


def test_a_helper_of_the_holder_writes_days(one, other):
    with build_lock(one):
        with helping(other.root):
            raw(other).write(day(3), rows(3))
        take_helped_days(one.root)
        assert raw(one).days() == [day(3)]
    assert working_copy(other.root).require_lease is None


def test_a_damaged_day_can_be_written_again(machines, one, other):
    machines.land(one, 0)
    beside = machines.objects.metadata(key(0))
    machines.objects.delete([TABLE])
    machines.objects.put(key(0), b"PAR1", metadata=beside)
    table = PartitionStore(root=other.raw, schema=SCHEMA, versions=DayVersions(root=other.versions))
    with build_lock(other):
        table.write(day(0), rows(0))
        table.settle()
    assert raw(other).read(day(0)).height == 3
