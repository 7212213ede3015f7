"""A catalogue that lands: states that agree with it are taken over, others are named."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from recsys_assets.errors import ItemStatesUnavailableError
from recsys_assets.intake.item_states import StateChange
from recsys_assets.intake.newest_catalogue import CatalogueRow, read_newest, write_newest
from recsys_assets.intake.state_store import StateStore
from recsys_assets.intake.state_takeover import CATALOGUE, Disagreement, compared, take_over

NOW = datetime(2024, 4, 2, 8, tzinfo=UTC)
ROWS = [
    CatalogueRow("b", "Tea | Bread", 2.5),
    CatalogueRow("a", None, 1.0),
    CatalogueRow("c", "Tea", None),
]


@pytest.fixture
def folder(tmp_path):
    write_newest(tmp_path / "catalogue_now", ROWS)
    return tmp_path / "catalogue_now"


@pytest.fixture
def store(tmp_path):
    return StateStore(tmp_path / "item_states.sqlite")


def put(store, **changes):
    store.put({name: StateChange(**fields) for name, fields in changes.items()}, by="shop", now=NOW)


def test_a_catalogue_is_read_as_it_was_written(folder):
    found = read_newest(folder)
    assert [(found.category_of(name), found.price_of(name)) for name in "abcd"] == [
        (None, 1.0), ("Tea | Bread", 2.5), ("Tea", None), (None, None),
    ]  # fmt: skip


def test_each_landing_has_the_next_number(folder):
    write_newest(folder, ROWS)
    assert read_newest(folder).number == 2


def test_without_a_landing_there_is_no_catalogue(tmp_path):
    assert read_newest(tmp_path / "nowhere") is None
    assert compared({}, None) == ([], [])


def test_a_damaged_file_is_named_with_the_way_out(folder):
    os.truncate(folder / "prices.npy", 10)
    with pytest.raises(ItemStatesUnavailableError, match="remove the folder"):
        read_newest(folder)


def test_what_the_catalogue_says_itself_is_taken_back_and_logged(store, folder):
    put(store, a={"price": 1.0, "hidden": True}, b={"price": 2.5}, c={"categories": ["Tea"]})
    found = take_over(store, read_newest(folder), now=NOW + timedelta(hours=1))
    states = store.refresh(NOW).states
    assert found.taken_over == [("a", "price"), ("b", "price"), ("c", "categories")]
    assert states.keys() == {"a"}
    assert (states["a"].price, states["a"].hidden) == (None, True)
    assert {one.by for one in store.log(limit=3)} == {CATALOGUE}


def test_what_it_says_otherwise_stays_in_force_and_is_named(store, folder):
    put(store, b={"price": 2.0, "categories": ["Bread"]})
    before = store.refresh(NOW).states
    found = take_over(store, read_newest(folder), now=NOW)
    assert found.disagreements == [
        Disagreement("b", "price", 2.0, 2.5),
        Disagreement("b", "categories", "Bread", "Tea | Bread"),
    ]
    assert found.disagreements[0].in_words() == "b: price 2.0 by its state, 2.5 in the catalogue"
    assert store.refresh(NOW).states == before


def test_what_it_does_not_know_is_neither(store, folder):
    put(store, a={"categories": ["Tea"]}, c={"price": 3.0}, unknown={"price": 3.0}, b={"available": False})
    assert take_over(store, read_newest(folder), now=NOW) == ([], [])
