"""Item states shared by machines: each change is everywhere, none is lost, and equal versions are equal states."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from recsys_assets.errors import ItemStateError, ItemStatesUnavailableError
from recsys_assets.intake.item_states import StateChange
from recsys_assets.intake.state_rows import EXPIRED
from recsys_assets.intake.state_store import StateStore
from recsys_assets.intake.states_record import STATES_KEY
from recsys_assets.storage.local_objects import LocalObjects
from recsys_assets.storage.memory_objects import MemoryObjects
from recsys_assets_tests.intake.sharing import NOW, Machine, hours

HIDE = StateChange(hidden=True, why="recalled")
SHOW = StateChange(hidden=False, why="it was another batch")


@pytest.fixture(params=["memory", "folder"])
def store(request, tmp_path):
    return MemoryObjects() if request.param == "memory" else LocalObjects(tmp_path / "store")


@pytest.fixture
def machines(tmp_path, store):
    """Two homes that change states, and a replica's cache."""
    return [
        Machine(tmp_path / "one", store),
        Machine(tmp_path / "other", store),
        Machine(tmp_path / "replica", store, only_follows=True),
    ]


def test_a_hidden_item_is_hidden_on_every_machine_with_the_same_version(machines):
    one, *others = machines
    one.states.put({"a": HIDE}, by="shop", now=NOW)
    here = one.states.refresh(NOW)
    for other in others:
        found = other.look()
        assert found.states["a"].in_words() == "hidden since 2024-04-02 08:00 UTC by shop: recalled"
        assert found == here


def test_who_took_a_state_back_is_in_the_log_of_every_machine(machines):
    one, *others = machines
    one.states.put({"a": HIDE}, by="shop", now=NOW)
    for other in others:
        other.look()
    one.states.put({"a": SHOW}, by="manager", now=hours(1))
    for other in others:
        assert not other.look(hours(1)).states
        last, first = other.states.log()
        assert (last.by, last.why, last.at, last.after) == ("manager", "it was another batch", hours(1), None)
        assert (first.by, first.why, first.before) == ("shop", "recalled", None)


def test_a_state_that_ended_by_itself_has_ended_everywhere_with_one_version(machines):
    one, *others = machines
    one.states.put({"a": StateChange(hidden=True, until=hours(1)), "b": HIDE}, by="shop", now=NOW)
    for other in others:
        other.look()
    one.states.put({"c": HIDE}, by="shop", now=hours(2))  # removes the ended one from the store
    here = one.states.refresh(hours(2))
    assert here.states.keys() == {"b", "c"}
    for other in others:
        assert other.look(hours(2)) == here
        assert [(row.by, row.at) for row in other.states.log(item_id="a")] == [
            (EXPIRED, hours(1)),
            ("shop", NOW),
        ]


def test_a_change_is_merged_into_the_newer_states_of_another_machine(machines):
    one, other, _ = machines
    one.states.put({"a": HIDE}, by="shop", now=NOW)
    found = other.states.put({"a": StateChange(price=2.0)}, by="till", now=hours(1))
    assert found["a"] is not None
    assert (found["a"].hidden, found["a"].price) == (True, 2.0)
    assert other.states.refresh(hours(1)) == one.look(hours(1))


def test_a_change_that_seems_to_say_nothing_counts_where_another_machine_said_otherwise(machines):
    one, other, _ = machines
    one.states.put({"a": HIDE}, by="shop", now=NOW)
    other.states.put({"a": SHOW}, by="shop", now=hours(1))
    one.states.put({"a": HIDE}, by="shop", now=hours(2))  # is hidden as far as this one knows
    assert other.look(hours(2)).states["a"].hidden


def test_an_outage_hides_here_at_once_and_elsewhere_once_it_is_over(machines):
    one, other, _ = machines
    one.line.is_down = True
    one.states.put({"a": HIDE}, by="shop", now=NOW)
    assert one.states.refresh(NOW).states["a"].hidden
    assert "other machines do not know of a change of item states yet; sent once" in str(one.shared.waiting)
    assert "no answer for 2 s" in str(one.shared.waiting)
    assert not other.look().states
    with pytest.raises(ItemStatesUnavailableError, match="do not know of a change"):
        one.shared.exchange(NOW)
    one.line.is_down = False
    assert one.look() == other.look()
    assert other.look().states["a"].hidden
    assert one.shared.waiting is None


def test_an_outage_without_changes_waits_for_nothing(machines):
    one, *_ = machines
    one.line.is_down = True
    with pytest.raises(ItemStatesUnavailableError, match="no answer for 2 s"):
        one.shared.exchange(NOW)
    assert one.shared.waiting is None


def test_changes_during_an_outage_join_those_that_others_made(machines):
    one, other, _ = machines
    one.line.is_down = True
    one.states.put({"a": HIDE, "b": StateChange(price=1.0)}, by="shop", now=NOW)
    one.states.take_back(["b"], by="shop", why="", now=hours(1))
    other.states.put({"a": StateChange(boost=2.0), "c": HIDE}, by="till", now=hours(1))
    one.line.is_down = False
    here = one.look(hours(2))
    assert here.states.keys() == {"a", "c"}
    assert (here.states["a"].hidden, here.states["a"].boost) == (True, 2.0)
    assert other.look(hours(2)) == here


def test_a_change_that_cannot_be_used_is_neither_kept_nor_sent(machines, store):
    one, *_ = machines
    with pytest.raises(ItemStateError, match="is not after now"):
        one.states.put({"a": StateChange(hidden=True, until=NOW)}, by="shop", now=NOW)
    one.look()
    assert not list(store.list())


def test_states_from_before_the_store_join_it(machines):
    one, other, _ = machines
    StateStore(one.path).put({"a": HIDE, "b": HIDE}, by="shop", now=NOW)
    other.states.put({"b": StateChange(price=1.0)}, by="till", now=hours(1))
    here = one.look(hours(1))
    assert here.states.keys() == {"a", "b"}
    assert here.states["a"].hidden
    assert here.states["b"].price == 1.0
    assert other.look(hours(1)) == here


def test_a_replica_never_writes_to_the_store(machines, store):
    *_, replica = machines
    StateStore(replica.path).put({"a": HIDE}, by="shop", now=NOW)
    replica.look()
    assert not list(store.list())


@pytest.mark.parametrize("loss", ["emptied", "set back"])
def test_a_store_that_lost_its_states_gets_them_from_a_machine_that_has_them(machines, store, loss):
    one, other, replica = machines
    one.states.put({"a": HIDE}, by="shop", now=NOW)
    earlier = store.get(STATES_KEY).content
    one.states.put({"b": HIDE}, by="shop", now=NOW)
    one.states.put({"a": SHOW}, by="shop", now=NOW)
    assert replica.look().states.keys() == {"b"}
    if loss == "emptied":
        store.delete([STATES_KEY])
    else:
        store.put(STATES_KEY, earlier)
    assert replica.look().states.keys() == {"b"}  # keeps what it has
    here = one.look()
    assert here.states.keys() == {"b"}
    assert other.look() == replica.look() == here


def test_a_damaged_object_is_named_and_the_states_stay(machines, store):
    one, _, replica = machines
    one.states.put({"a": HIDE}, by="shop", now=NOW)
    replica.look()
    store.put(STATES_KEY, b"{")
    with pytest.raises(ItemStatesUnavailableError, match=r"\.item_states: cannot be read"):
        replica.shared.exchange(NOW)
    assert replica.states.refresh(NOW).states["a"].hidden


def test_a_look_that_finds_nothing_makes_no_file(machines):
    one, *_ = machines
    one.look()
    assert not one.path.exists()


def test_machines_that_change_states_at_the_same_time_lose_none(tmp_path, store):
    machines = [Machine(tmp_path / str(number), store) for number in range(3)]

    def change(number: int) -> None:
        machine = machines[number % 3]
        machine.states.put({f"i{number}": HIDE, "last": StateChange(price=float(number))}, by="shop", now=NOW)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(change, range(30)))
    found = [machine.look() for machine in machines]
    assert found[0].states.keys() == {"last", *(f"i{number}" for number in range(30))}
    assert found[0] == found[1] == found[2]
    assert not any(machine.shared.waiting for machine in machines)
