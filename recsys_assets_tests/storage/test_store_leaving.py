"""Leaving a store: every day and file is here and compared, the store stays, and nothing is left by halves."""

import signal
import subprocess
import sys

import msgspec
import pytest

from recsys_assets.errors import ObjectStoreError, StoreUnavailableError
from recsys_assets.storage.copied_files import state_now
from recsys_assets.storage.copy_index import read_index, write_index
from recsys_assets.storage.home import Home
from recsys_assets.storage.lease import LEASE_KEY, held_lease
from recsys_assets.storage.locks import build_lock
from recsys_assets.storage.open_copy import working_copy
from recsys_assets.storage.store_binding import bind
from recsys_assets.storage.store_leaving import leave_store, remove_leftovers
from recsys_assets.storage.store_place import place_of
from recsys_assets.storage.store_writing import refresh
from recsys_assets_tests.storage.machines import Machines, day, put, raw

FILES = {"artifacts__features__features.json": "{}", "recalls.jsonl": "{}\n", "rules.toml": "# none\n"}
DAYS = range(20)
"""More than are fetched between two reports."""
KILLED = """
import os, signal, sys
from pathlib import Path
from recsys_assets.storage.home import Home
from recsys_assets.storage.store_leaving import leave_store
def report(here, days):
    if here:
        os.kill(os.getpid(), signal.SIGKILL)
leave_store(Home(Path(sys.argv[1])), report=report, patience=10)
"""


@pytest.fixture
def one(machines) -> Home:
    """The home that made everything."""
    home = machines.home("one")
    machines.write(home, **FILES)
    machines.land(home, *DAYS)
    return home


@pytest.fixture
def other(machines: Machines, one: Home) -> Home:
    """A home that has read no day yet."""
    assert one.copy.exists()
    home = machines.home("other")
    refresh(home.root)
    assert not list(home.raw.glob("date=*"))
    return home


def silent(_here, _days) -> None:
    return None


def in_store(machines) -> dict[str, str]:
    own = {".head", LEASE_KEY}
    return {entry.key: entry.tag for entry in machines.objects.list() if entry.key not in own}


def days_of(home: Home) -> dict[str, bytes]:
    return {file.parent.name: file.read_bytes() for file in home.raw.glob("date=*/*.parquet")}


def assert_left(home: Home, one: Home) -> None:
    assert place_of(home.root) is None
    assert not home.copy.exists()
    assert days_of(home) == days_of(one)
    for name, content in FILES.items():
        assert (home.root / name.replace("__", "/")).read_text() == content
    assert raw(home).days() == [day(number) for number in DAYS]


def test_a_home_that_read_no_day_has_all_of_them_and_the_store_is_as_it_was(machines, one, other):
    before, seen = in_store(machines), []
    brought = leave_store(other, report=lambda here, days: seen.append((here, days)))
    assert_left(other, one)
    assert in_store(machines) == before
    assert (brought.days, brought.fetched, brought.mended) == (20, 20, 0)
    assert seen == [(0, 20), (16, 20), (20, 20)]


def test_the_home_that_made_all_fetches_nothing(one):
    assert leave_store(one, report=silent).fetched == 0
    assert_left(one, one)


def test_what_was_not_pushed_yet_is_pushed_before(machines, other):
    put(other, **{"rules.toml": "# mine\n"})
    leave_store(other, report=silent)
    assert machines.objects.get("rules.toml").content == b"# mine\n"


def test_a_day_that_was_damaged_here_comes_from_the_store(one, other):
    (one.raw / "date=2024-05-03" / "part-0.parquet").write_bytes(b"wrong")
    assert leave_store(one, report=silent).fetched == 1
    leave_store(other, report=silent)
    assert_left(one, other)


def test_a_file_whose_bytes_changed_on_the_disk_comes_from_the_store(one, other):
    """The index says that nobody wrote it, as after an error of the disk."""
    name = "artifacts/features/features.json"
    (one.root / name).write_text("[]")
    index = read_index(one.root)
    index.files[name] = msgspec.structs.replace(index.files[name], state=state_now(one.root, name))
    write_index(one.root, index)
    assert leave_store(one, report=silent).mended == 1
    leave_store(other, report=silent)
    assert_left(one, other)


def test_a_day_that_is_damaged_in_the_store_is_named_and_the_home_is_not_left(machines, other):
    key = "lake/raw/date=2024-05-03/part-0.parquet"
    found = machines.objects.get(key)
    machines.objects.put(key, b"wrong", metadata=found.metadata)
    with pytest.raises(ObjectStoreError, match=f"{key}: SHA-256"):
        leave_store(other, report=silent)
    assert place_of(other.root) is not None


def test_a_store_that_does_not_answer_is_not_waited_for(other):
    working_copy(other.root).store = _Silent()
    with pytest.raises(ObjectStoreError, match=r"not left, and nothing is lost: .*no answer"):
        leave_store(other, report=silent)
    assert place_of(other.root) is not None


def test_a_store_that_another_builder_holds_is_not_left(machines, other):
    with (
        held_lease(machines.objects, holder="another machine", seconds=2),
        pytest.raises(ObjectStoreError, match=r"not left, and nothing is lost: .*another machine is writing"),
    ):
        leave_store(other, report=silent, patience=0)
    assert place_of(other.root) is not None


def test_a_leaving_that_was_killed_goes_on_in_the_next_one(one, other):
    ended = subprocess.run([sys.executable, "-c", KILLED, str(other.root)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert place_of(other.root) is not None
    brought = leave_store(other, report=silent, patience=10)
    assert_left(other, one)
    assert brought.fetched == 20 - 16


def test_what_a_killed_leaving_did_not_remove_goes(other):
    (other.root / ".copy-left").mkdir()
    (other.root / ".copy-left" / "index.json").touch()
    remove_leftovers(other)
    assert not (other.root / ".copy-left").exists()


def test_files_that_were_kept_aside_stay_beside_the_others(machines, one, other):
    put(other, **{"artifacts__features__features.json": "mine"})
    machines.write(one, **{"artifacts__features__features.json": "{}", "recalls.jsonl": "{}\n{}\n"})
    refresh(other.root)
    leave_store(other, report=silent)
    (kept,) = other.aside.glob("**/features.json")
    assert kept.read_text() == "mine"


def test_a_home_that_left_may_be_a_copy_again(other):
    settings = other.settings_file.read_text()
    leave_store(other, report=silent)
    other.settings_file.write_text(settings)
    assert bind(other, {}) is not None
    with build_lock(other):
        pass
    assert leave_store(other, report=silent).fetched == 0


def test_a_home_that_moves_into_an_empty_store_and_leaves_has_the_same_files(machines, tmp_path):
    alone = Home(tmp_path / "alone")
    put(alone, **FILES)
    machines.land(alone, *DAYS)
    before = _content(alone)
    bind(alone, {"RECSYS_STORAGE__ROOT": f"file://{machines.store}"})
    with build_lock(alone):
        pass
    assert len(in_store(machines)) == len(FILES) + len(DAYS) + 1  # and the table of days
    leave_store(alone, report=silent)
    assert _content(alone) == before


def _content(home: Home) -> dict[str, bytes]:
    return {
        str(file.relative_to(home.root)): file.read_bytes()
        for file in home.root.rglob("*")
        if file.is_file() and not file.name.endswith(".lock")
    }


class _Silent:
    def __getattr__(self, name):
        def silent(*_arguments, **_options):
            raise StoreUnavailableError("s3://lake/shop: no answer for 8 s")

        return silent
