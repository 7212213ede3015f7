"""A process that is killed between its own file and the store: the change is sent by the next one, and once."""

import subprocess
import sys

import pytest

from recsys_assets.intake.item_states import StateChange
from recsys_assets.intake.state_store import StateStore
from recsys_assets.storage.local_objects import LocalObjects
from recsys_assets_tests.intake.sharing import NOW, Machine, hours

_CHANGE = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from recsys_assets.intake.item_states import StateChange
from recsys_assets.storage.local_objects import LocalObjects
from recsys_assets_tests.intake.sharing import NOW, Machine

folder, store, moment = sys.argv[1:]

class Killing(LocalObjects):
    def create(self, key, content, *, metadata=None):
        if moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        super().create(key, content, metadata=metadata)
        os.kill(os.getpid(), signal.SIGKILL)

machine = Machine(Path(folder), Killing(Path(store)))
if machine.path.exists():
    machine.look()
machine.states.put({"a": StateChange(hidden=True)}, by="shop", now=NOW)
"""


def killed(folder, store, moment: str) -> None:
    command = [sys.executable, "-c", _CHANGE, str(folder), str(store), moment]
    assert subprocess.run(command, check=False).returncode == -9


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_change_is_hidden_here_after_a_kill_and_everywhere_after_the_next_look(tmp_path, moment):
    store = LocalObjects(tmp_path / "store")
    killed(tmp_path / "one", tmp_path / "store", moment)
    again, other = Machine(tmp_path / "one", store), Machine(tmp_path / "other", store)
    again.line.is_down = True
    assert again.look().states["a"].hidden
    assert "a change of item states" in str(again.shared.waiting)
    again.line.is_down = False
    assert again.look() == other.look()
    assert other.look().states["a"].hidden


def test_a_change_whose_answer_was_lost_does_not_undo_what_came_after_it(tmp_path):
    store = LocalObjects(tmp_path / "store")
    killed(tmp_path / "one", tmp_path / "store", "after")
    again, other = Machine(tmp_path / "one", store), Machine(tmp_path / "other", store)
    other.states.put({"a": StateChange(hidden=False)}, by="shop", now=hours(1))
    assert not again.look(hours(1)).states
    assert not other.look(hours(1)).states


def test_states_from_before_the_store_join_it_once(tmp_path):
    store = LocalObjects(tmp_path / "store")
    again, other = Machine(tmp_path / "one", store), Machine(tmp_path / "other", store)
    StateStore(again.path).put({"b": StateChange(hidden=True)}, by="shop", now=NOW)
    killed(tmp_path / "one", tmp_path / "store", "after")
    assert other.look().states.keys() == {"b"}
    other.states.put({"b": StateChange(hidden=False)}, by="shop", now=hours(1))
    assert not again.look(hours(1)).states
