"""`recsys items`: states changed and listed without a server, and where the catalogue disagrees."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets.commands.doctor import examine
from recsys_assets.intake.item_states import StateChange
from recsys_assets.intake.newest_catalogue import CatalogueRow, write_newest
from recsys_assets.intake.state_store import StateStore
from recsys_assets.intake.states_record import STATES_KEY
from recsys_assets.storage.home import Home
from recsys_assets.storage.local_objects import LocalObjects
from recsys_assets.storage.store_binding import bind


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def run(home, *arguments, code=0):
    done = CliRunner().invoke(main, ["items", *arguments, "--home", str(home.root)])
    assert done.exit_code == code, done.output
    return done.output


def write_settings(home):
    home.settings_file.write_text(
        '[source]\nspec = "tabular:events.csv"\nfirst_day = 2024-01-01\nlast_day = 2024-01-31\n'
    )


def states(home):
    return StateStore(home.item_states_db).refresh(datetime.now(UTC)).states


def test_an_item_is_hidden_and_shown_again_and_the_log_says_why(home):
    assert "milk: hidden" in run(home, "state", "milk", "--hide", "--why", "recalled")
    assert states(home)["milk"].hidden
    run(home, "state", "milk", "--show", "--why", "it was another batch")
    assert states(home) == {}
    back, hid = run(home, "log").splitlines()
    assert hid.endswith(": recalled")
    assert "hidden -> nothing" in back
    assert back.endswith(": it was another batch")


def test_a_field_is_taken_back_alone_or_all_at_once(home):
    run(
        home, "state", "milk", "--price", "2.5", "--boost", "3", "--category", "Dairy", "--category", "Drinks"
    )
    run(home, "state", "milk", "--take-back", "boost")
    assert (states(home)["milk"].price, states(home)["milk"].boost) == (2.5, None)
    assert states(home)["milk"].categories == ["Dairy", "Drinks"]
    run(home, "state", "milk", "--take-back", "all")
    assert states(home) == {}


def test_without_an_option_the_state_is_printed_and_nothing_changes(home):
    run(home, "state", "milk", "--unavailable")
    body = json.loads(run(home, "state", "milk", "--json"))
    assert (body["state"]["available"], body["known"]) == (False, False)
    assert len(json.loads(run(home, "log", "--json"))["changes"]) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--price", "-1"], "price: expected"),
        (["--boost", "0"], "boost: expected"),
        (["--until", "2001-01-01"], "is not after now"),
        (["--category", "a | b"], "categories: expected"),
        (["--price", "1", "--take-back", "price"], "given a value too"),
        (["--hide", "--take-back", "all"], "leave the other options out"),
        (["--until", "tomorrow"], "tomorrow"),
    ],
)
def test_a_wrong_option_changes_nothing_and_is_named(home, options, words):
    assert words in run(home, "state", "milk", *options, code=2)
    assert not home.item_states_db.exists() or states(home) == {}


def test_states_that_the_catalogue_contradicts_are_named(home):
    write_newest(home.catalogue_now, [CatalogueRow("milk", "Dairy", 2.0)])
    run(home, "state", "milk", "--price", "2.5")
    said = run(home, "states")
    assert "milk: price 2.5 by its state, 2.0 in the catalogue" in said
    (difference,) = json.loads(run(home, "states", "--json"))["disagreements"]
    assert difference == {"item_id": "milk", "field": "price", "state": 2.5, "catalogue": 2.0}


def test_the_doctor_counts_states_and_names_a_disagreement(home):
    write_settings(home)
    write_newest(home.catalogue_now, [CatalogueRow("milk", "Dairy", 2.0)])
    run(home, "state", "milk", "--price", "2.5", "--hide")
    facts = examine(home).facts
    place = facts.index(("item states", "1 items, 1 of them off all lists"))
    assert facts[place + 1][1].startswith("milk: price 2.5 by its state, 2.0 in the catalogue; 1 in all")


def test_a_state_that_has_ended_is_not_listed(home):
    now = datetime.now(UTC) - timedelta(days=2)
    change = StateChange(hidden=True, until=now + timedelta(days=1))
    StateStore(home.item_states_db).put({"milk": change}, by="shop", now=now)
    assert "No item has a state" in run(home, "states")


def test_a_change_that_the_store_does_not_take_counts_here_and_ends_with_1(home, tmp_path):
    store = LocalObjects(tmp_path / "store")
    home = Home(tmp_path / "home")
    bind(home, {"RECSYS_STORAGE__ROOT": f"file://{tmp_path}/store"})
    store.put(STATES_KEY, b"{")
    said = run(home, "state", "milk", "--hide", code=1)
    assert "milk: hidden" in said
    assert "recsys: it counts in this home; other machines do not know of a change of item states yet" in said
    assert states(home)["milk"].hidden
    write_settings(home)
    assert "do not know" in str(examine(home).facts)
    store.delete([STATES_KEY])
    run(home, "states")  # the next command sends it
    assert b'"milk"' in store.get(STATES_KEY).content
    assert "do not know" not in str(examine(home).facts)


def test_a_command_on_another_machine_knows_the_states_of_the_store(tmp_path):
    one, other = Home(tmp_path / "one"), Home(tmp_path / "other")
    for home in (one, other):
        bind(home, {"RECSYS_STORAGE__ROOT": f"file://{tmp_path}/store"})
    run(one, "state", "milk", "--hide", "--why", "recalled")
    assert run(other, "states") == "milk  hidden\n"
    run(other, "state", "milk", "--show")
    assert run(one, "states") == "No item has a state: the catalogue counts.\n"
    assert run(one, "log").count("milk") == 2
