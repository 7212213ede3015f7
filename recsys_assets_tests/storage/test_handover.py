"""Files reach the other machines through a store, and through a shared folder as they are."""

from pathlib import Path

import pytest

from recsys_assets.errors import LauncherError, ObjectMissingError
from recsys_assets.storage.handover import Handover, remove_leftovers
from recsys_assets.storage.open_copy import opened
from recsys_assets.storage.store_place import StorePlace


@pytest.fixture
def place(tmp_path):
    (tmp_path / "store").mkdir()
    return StorePlace(root=f"file://{tmp_path / 'store'}")


@pytest.fixture
def given(tmp_path) -> Path:
    (tmp_path / "given" / "a").mkdir(parents=True)
    (tmp_path / "given" / "a" / "one.npy").write_bytes(b"1")
    (tmp_path / "given" / "two.npy").write_bytes(b"2")
    return tmp_path / "given"


def test_a_shared_folder_is_used_in_place(given):
    with Handover(folder=str(given)).received(["two.npy"]) as folder:
        assert folder == given


def test_a_folder_that_this_machine_does_not_see_is_named(tmp_path):
    files = Handover(folder=str(tmp_path / "elsewhere"))
    with pytest.raises(LauncherError, match=r"does not see it; put the home on a disk"), files.received([]):
        pass


def test_a_process_receives_only_what_it_names_and_what_it_makes_comes_back(given, place):
    files = Handover(folder=str(given), place=place)
    files.send(given, ["a/one.npy", "two.npy"])
    with files.received(["a/one.npy"]) as folder:
        assert [path.name for path in folder.rglob("*.npy")] == ["one.npy"]
        (folder / "a" / "made.npy").write_bytes(b"3")
        files.send(folder, ["a/made.npy"])
    assert not folder.exists()
    files.collect(["a/made.npy"])
    assert (given / "a" / "made.npy").read_bytes() == b"3"


def test_nothing_is_left_in_the_store(given, place):
    files = Handover(folder=str(given), place=place)
    files.send(given, ["two.npy"])
    files.remove()
    assert list(opened(place).list()) == []


def test_what_killed_work_left_in_the_store_is_removed_and_nothing_else(given, place):
    Handover(folder=str(given), place=place).send(given, ["two.npy"])
    opened(place).put("lake/day", b"rows")
    remove_leftovers(place)
    assert [entry.key for entry in opened(place).list()] == ["lake/day"]


def test_a_file_that_nobody_sent_is_an_error(given, place):
    files = Handover(folder=str(given), place=place)
    with pytest.raises(ObjectMissingError), files.received(["two.npy"]):
        pass
