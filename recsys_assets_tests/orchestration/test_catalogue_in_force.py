"""A catalogue that lands is what servers see, and ends the states that it says itself."""

from datetime import UTC, datetime

from recsys_assets.intake.item_states import StateChange
from recsys_assets.intake.newest_catalogue import read_newest
from recsys_assets.intake.state_store import StateStore
from recsys_assets.orchestration.catalogue_in_force import put_catalogue_in_force, takeover_metadata
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.world import catalogue

NOW = datetime(2024, 4, 2, tzinfo=UTC)


def test_its_categories_and_prices_are_read_by_servers(tmp_path):
    put_catalogue_in_force(Home(tmp_path), catalogue(8), now=NOW)
    found = read_newest(Home(tmp_path).catalogue_now)
    assert [(found.category_of(f"i{n}"), found.price_of(f"i{n}")) for n in (1, 2, 7)] == [
        ("Coffee", 1.5), ("Bread", 2.5), (None, 7.5),
    ]  # fmt: skip


def test_the_metadata_of_the_run_count_what_was_taken_over_and_show_what_disagrees(tmp_path):
    home = Home(tmp_path)
    changes = {"i1": StateChange(price=1.5), "i2": StateChange(price=9.0)}
    StateStore(home.item_states_db).put(changes, by="shop", now=NOW)
    metadata = takeover_metadata(put_catalogue_in_force(home, catalogue(8), now=NOW))
    assert (metadata["item_states_taken_over"], metadata["item_states_that_disagree"]) == (1, 1)
    assert StateStore(home.item_states_db).refresh(NOW).states.keys() == {"i2"}


def test_without_states_there_is_no_metadata_about_them_and_no_store(tmp_path):
    home = Home(tmp_path)
    assert takeover_metadata(put_catalogue_in_force(home, catalogue(8), now=NOW)) == {}
    assert not home.item_states_db.exists()
