"""Exports under item states: the API's own lists, with nothing hidden in them."""

from datetime import UTC, datetime

import polars as pl
import pytest

from recsys_assets.exports.export_lists import ExportRequest, export_lists
from recsys_assets.intake.item_states import StateChange
from recsys_assets.intake.state_store import StateStore
from recsys_assets_tests.exports.test_export_lists import api_lists, lists_in

NOW = datetime(2024, 4, 2, tzinfo=UTC)
USERS = [f"u{n}" for n in range(40)]


def lists(home, to, **given):
    export_lists(home, ExportRequest(to=str(to), **given))
    return lists_in(pl.read_parquet(to))


@pytest.mark.parametrize("scenario", [None, "home"])
@pytest.mark.parametrize("boost", [None, 3.0])
def test_an_export_has_the_api_s_lists_without_hidden_items(home, tmp_path, scenario, boost):
    before = lists(home, tmp_path / "before.parquet", scenario=scenario, k=8)
    hidden = {item for items in before.values() for item, _ in items[:1] if item.isalnum()}
    changes = {item: StateChange(hidden=True) for item in hidden}
    if boost is not None:
        changes["i5"] = StateChange(boost=boost)
    StateStore(home.item_states_db).put(changes, by="shop", now=NOW)
    after = lists(home, tmp_path / "after.parquet", scenario=scenario, k=8)
    assert not (hidden - {"i5"}) & {item for items in after.values() for item, _ in items}
    assert {len(items) for items in after.values()} == {8}
    query = {"k": 8} | ({"scenario": scenario} if scenario else {})
    assert after == api_lists(home, USERS, **query)
