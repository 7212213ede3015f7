"""The store of item states: durable, followed by its version, with a log, and ends by the clock given."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.errors import ItemStateError, ItemStatesUnavailableError
from recsys_assets.intake.item_states import StateChange
from recsys_assets.intake.state_rows import EXPIRED
from recsys_assets.intake.state_store import StateStore

NOW = datetime(2024, 4, 2, 8, tzinfo=UTC)
HIDE = StateChange(hidden=True, why="recalled")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "item_states.sqlite"


def hours(count):
    return NOW + timedelta(hours=count)


def test_another_process_reads_what_one_has_stored(path):
    reader = StateStore(path)
    assert reader.refresh(NOW).version == 0
    StateStore(path).put({"a": HIDE}, by="shop", now=NOW)
    found = reader.refresh(NOW)
    assert found.version == 1
    assert found.states["a"].hidden
    assert reader.refresh(NOW) is found


def test_a_read_creates_no_file(path):
    StateStore(path).refresh(NOW)
    assert StateStore(path).log() == []
    assert not path.exists()


def test_a_state_ends_by_itself_and_its_end_is_a_new_version(path):
    store = StateStore(path)
    store.put({"a": StateChange(hidden=True, until=hours(1)), "b": HIDE}, by="shop", now=NOW)
    before = store.refresh(NOW)
    after = store.refresh(hours(1))
    assert before.states.keys() == {"a", "b"}
    assert after.states.keys() == {"b"}
    assert after.version > before.version


def test_an_end_that_is_logged_later_changes_neither_states_nor_version(path):
    store = StateStore(path)
    store.put({"a": StateChange(hidden=True, until=hours(1)), "b": HIDE}, by="shop", now=NOW)
    ended = store.refresh(hours(2))
    StateStore(path).put({"b": HIDE}, by="shop", now=hours(2))  # changes nothing, but logs the end
    again = store.refresh(hours(2))
    assert (again.version, again.states) == (ended.version, ended.states)
    assert [(one.item_id, one.by, one.at) for one in store.log(limit=1)] == [("a", EXPIRED, hours(1))]


def test_the_log_says_who_why_when_and_the_states_before_and_after(path):
    store = StateStore(path)
    store.put({"a": HIDE}, by="anna", now=NOW)
    store.take_back(["a", "unset"], by="ben", why="mended", now=hours(1))
    back, hid = store.log(item_id="a")
    assert (hid.by, hid.why, hid.at, hid.before) == ("anna", "recalled", NOW, None)
    assert (back.by, back.why, back.at, back.after) == ("ben", "mended", hours(1), None)
    assert back.before == hid.after
    assert store.log(before=back.seq) == [hid]
    assert store.log(item_id="unset") == []


def test_a_list_with_a_wrong_change_changes_nothing(path):
    store = StateStore(path)
    wrong = StateChange(hidden=True, until=NOW)
    with pytest.raises(ItemStateError):
        store.put({"a": HIDE, "b": wrong}, by="shop", now=NOW)
    assert store.refresh(NOW).states == {}


def test_a_change_that_says_the_same_is_no_new_version(path):
    store = StateStore(path)
    store.put({"a": HIDE}, by="shop", now=NOW)
    store.put({"a": HIDE}, by="shop", now=NOW)
    assert store.refresh(NOW).version == len(store.log()) == 1


def test_writers_side_by_side_lose_nothing(path):
    def write(number):
        StateStore(path).put({f"i{number}": StateChange(price=float(number))}, by="shop", now=NOW)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    found = StateStore(path).refresh(NOW)
    assert {name: one.price for name, one in found.states.items()} == {f"i{n}": float(n) for n in range(40)}
    assert found.version == 40


def test_what_was_stored_survives_a_kill(path):
    code = (
        "import os, signal, sys\n"
        "from datetime import UTC, datetime\n"
        "from pathlib import Path\n"
        "from recsys_assets.intake.item_states import StateChange\n"
        "from recsys_assets.intake.state_store import StateStore\n"
        "store = StateStore(Path(sys.argv[1]))\n"
        "store.put({'a': StateChange(hidden=True)}, by='shop', now=datetime(2024, 4, 2, tzinfo=UTC))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert StateStore(path).refresh(NOW).states["a"].hidden


def test_a_file_that_is_no_database_is_named_and_the_states_before_stay(path):
    store = StateStore(path)
    store.put({"a": HIDE}, by="shop", now=NOW)
    before = store.refresh(NOW)
    broken = path.with_name("broken")
    broken.write_bytes(b"no database" * 1000)
    broken.replace(path)
    for place in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        place.unlink(missing_ok=True)
    with pytest.raises(ItemStatesUnavailableError, match=str(path)):
        store.refresh(NOW)
    assert store.snapshot is before
    with pytest.raises(ItemStatesUnavailableError, match="cannot be stored"):
        store.put({"a": HIDE}, by="shop", now=NOW)


def test_a_store_that_was_replaced_is_read_from_its_beginning(path):
    store = StateStore(path)
    store.put({"a": HIDE, "b": HIDE}, by="shop", now=NOW)
    store.refresh(NOW)
    other = path.with_name("other.sqlite")
    StateStore(other).put({"c": HIDE}, by="shop", now=NOW)
    with sqlite3.connect(other) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    other.replace(path)
    assert store.refresh(NOW).states.keys() == {"c"}


steps = st.lists(
    st.tuples(st.sampled_from("abc"), st.none() | st.integers(1, 5), st.booleans()), min_size=1, max_size=12
)


@settings(max_examples=25, deadline=None)
@given(steps=steps)
def test_a_follower_sees_what_a_new_reader_sees_at_every_hour(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("store") / "item_states.sqlite"
    follower, writer, last = StateStore(path), StateStore(path), 0
    for hour, (item, lasts, hidden) in enumerate(steps):
        until = None if lasts is None else hours(hour + lasts)
        writer.put({item: StateChange(hidden=hidden, until=until)}, by="shop", now=hours(hour))
        followed, fresh = follower.refresh(hours(hour)), StateStore(path).refresh(hours(hour))
        assert followed.states == fresh.states
        assert followed.version == fresh.version >= last
        last = followed.version
