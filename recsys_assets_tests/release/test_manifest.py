"""A file that was verified is not read again unless it has changed."""

import os
from datetime import timedelta

import msgspec
import pytest

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.release.manifest import STAMPS, check_sums_once, read_manifest
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets_tests.release.world import LINEAGE, NOW

NAME = "history_items.npy"


@pytest.fixture
def folder(world, tmp_path):
    manifest = world.publish(tmp_path)
    return ReleaseStore(tmp_path / "releases").path(manifest.release_id)


def stamps(folder):
    file = folder.parent / STAMPS / f"{folder.name}.json"
    return file, msgspec.json.decode(file.read_bytes())


def check(folder, **options):
    check_sums_once(folder, read_manifest(folder), **options)


def flip_a_bit(path):
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_change_is_seen_though_size_and_modification_time_are_as_before(folder):
    check(folder, settled_seconds=0)
    flip_a_bit(folder / NAME)

    with pytest.raises(BrokenReleaseError, match=rf"{NAME}: sha256 is"):
        check(folder, settled_seconds=0)


def test_a_copy_in_place_of_a_file_is_read(folder):
    check(folder, settled_seconds=0)
    copy = folder / "copy"
    copy.write_bytes((folder / NAME).read_bytes()[:-1] + b"?")
    copy.replace(folder / NAME)

    with pytest.raises(BrokenReleaseError, match=rf"{NAME}: sha256 is"):
        check(folder, settled_seconds=0)


def test_a_file_that_is_cut_short_is_rejected_before_any_file_is_read(folder):
    check(folder, settled_seconds=0)
    (folder / NAME).write_bytes((folder / NAME).read_bytes()[:-1])

    with pytest.raises(BrokenReleaseError, match=rf"{NAME}: \d+ bytes"):
        check(folder)


def test_a_file_with_its_stamp_is_not_read(folder):
    check(folder, settled_seconds=0)
    flip_a_bit(folder / NAME)
    file, found = stamps(folder)
    status = (folder / NAME).stat()
    times = [status.st_mtime_ns, status.st_ctime_ns]
    found[NAME][1] = [status.st_dev, status.st_ino, status.st_size, *times]
    file.write_bytes(msgspec.json.encode(found))

    check(folder)


def test_a_file_changed_a_moment_ago_gets_no_stamp(folder):
    check(folder, settled_seconds=60)

    assert stamps(folder)[1] == {}


def test_stamps_that_cannot_be_read_or_written_only_cost_the_reading(folder):
    (folder.parent / STAMPS).write_text("in the way")

    check(folder, settled_seconds=0)
    flip_a_bit(folder / NAME)
    with pytest.raises(BrokenReleaseError, match=rf"{NAME}: sha256 is"):
        check(folder, settled_seconds=0)


def test_verify_reads_everything(folder):
    check(folder, settled_seconds=0)
    flip_a_bit(folder / NAME)

    with pytest.raises(BrokenReleaseError, match=rf"{NAME}: sha256 is"):
        ReleaseStore(folder.parent).verify(folder.name)


def test_stamps_go_with_their_release(world, tmp_path):
    days = sorted(LINEAGE)
    ids = [
        world.publish(
            tmp_path, lineage={day: LINEAGE[day] for day in days[:count]}, at=NOW + timedelta(days=count)
        ).release_id
        for count in (1, 2, 3)
    ]
    store = ReleaseStore(tmp_path / "releases")
    for release_id in ids:
        check(store.path(release_id), settled_seconds=0)

    store.prune(keep=1)

    assert {file.stem for file in (store.root / STAMPS).iterdir()} == set(ids[1:])
