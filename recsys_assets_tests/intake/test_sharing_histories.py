"""Any history of changes, outages and looks of machines that share item states."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.intake.item_states import StateChange
from recsys_assets.intake.state_store import StateStore
from recsys_assets.intake.states_record import STATES_KEY, StatesRecord
from recsys_assets.storage.memory_objects import MemoryObjects
from recsys_assets_tests.intake.sharing import Machine, hours

REPLICA = 2
steps = st.lists(
    st.tuples(
        st.integers(0, REPLICA),
        st.sampled_from(["hide", "show", "price", "until", "take back", "look", "line", "hour"]),
        st.sampled_from("abc"),
    ),
    max_size=25,
)


def act(states: StateStore, step: str, item: str, hour: int) -> None:
    """Change the state of an item."""
    if step == "take back":
        states.take_back([item], by="shop", why="", now=hours(hour))
        return
    changes = {
        "hide": StateChange(hidden=True),
        "show": StateChange(hidden=False),
        "price": StateChange(price=float(hour)),
    }
    change = changes.get(step, StateChange(hidden=True, until=hours(hour + 2)))
    states.put({item: change}, by="shop", now=hours(hour))


class World:
    """Two homes, a replica, and the clock that they have in common."""

    def __init__(self, folder) -> None:
        self.store = MemoryObjects()
        self.machines = [
            Machine(folder / str(number), self.store, only_follows=number == REPLICA) for number in range(3)
        ]
        self.hour = 0
        self.seen, self.last = {}, [0, 0, 0]

    def do(self, number: int, step: str, item: str) -> None:
        machine = self.machines[number]
        if step == "hour":
            self.hour += 1
            self.look()
        elif step == "line":
            machine.line.is_down = not machine.line.is_down
        elif step == "look" or number == REPLICA:
            machine.look(hours(self.hour))
        else:
            act(machine.states, step, item, self.hour)
        self.check(number)

    def look(self) -> list:
        return [machine.look(hours(self.hour)) for machine in self.machines]

    def check(self, number: int) -> None:
        found = self.machines[number].states.refresh(hours(self.hour))
        assert found.version >= self.last[number]
        self.last[number] = found.version
        if self.machines[number].shared.waiting is None:
            assert self.seen.setdefault(found.version, found.states) == found.states


@settings(max_examples=30, deadline=None)
@given(steps=steps)
def test_all_machines_end_with_one_state_and_equal_versions_are_equal_states(tmp_path_factory, steps):
    world = World(tmp_path_factory.mktemp("shared"))
    for step in steps:
        world.do(*step)
    for machine in world.machines:
        machine.line.is_down = False
    world.look()
    one, *others = world.look()
    assert [one, one] == others
    if one.version:
        record = msgspec.json.decode(world.store.get(STATES_KEY).content, type=StatesRecord)
        assert one.states.items() <= record.states.items()


@settings(max_examples=10, deadline=None)
@given(steps=steps)
def test_machines_that_reach_the_store_have_together_what_one_alone_would_have(tmp_path_factory, steps):
    folder, store = tmp_path_factory.mktemp("shared"), MemoryObjects()
    machines = [Machine(folder / str(number), store) for number in range(3)]
    alone = StateStore(folder / "alone.sqlite")
    for hour, (number, step, item) in enumerate(steps):
        act(machines[number].states, step, item, hour)
        act(alone, step, item, hour)
    end = hours(len(steps))
    for machine in machines:
        assert machine.look(end).states == alone.refresh(end).states
