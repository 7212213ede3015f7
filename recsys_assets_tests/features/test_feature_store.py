"""Reading back what was written, from a real SQLite file."""

import json
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.errors import BrokenReleaseError, SearchTooBroadError
from recsys_assets.features import feature_store
from recsys_assets.features.contract import ITEM_FEATURES, USER_FEATURES
from recsys_assets.features.feature_database import build_features
from recsys_assets.features.feature_store import FeatureStore
from recsys_assets.storage.home import FEATURE_DATABASE
from recsys_assets_tests.features.rows import (
    CATALOGUE,
    DAY,
    ROWS,
    catalogue,
    events,
    item_features,
    user_features,
)


@pytest.fixture(scope="module")
def store(folder):
    return FeatureStore(folder / FEATURE_DATABASE)


@pytest.fixture(scope="module")
def popular_first(tmp_path_factory):
    """A store of 3,000 items with one title; the last three, in this order, were wanted most."""
    folder = tmp_path_factory.mktemp("many") / "features"
    wanted = {f"i{n}": 1 for n in range(2_997)} | {"i2997": 2, "i2998": 3, "i2999": 4}
    rows = [(f"u{user}", item, 1) for item, users in wanted.items() for user in range(users)]
    names = [(item, "fresh brown bread of the old mill", "BAKERY", None) for item in wanted]
    build_features(events(*rows), catalogue(*names), folder, as_of=DAY)
    return FeatureStore(folder / FEATURE_DATABASE)


def test_rows_come_back_as_they_were_computed(store):
    users = user_features(ROWS, CATALOGUE).to_dicts()
    items = item_features(ROWS, CATALOGUE).to_dicts()

    assert [store.user(row["user_id"]) for row in users] == users
    assert [store.item(row["item_id"]) for row in items] == items


def test_unknown_ids_are_none(store):
    assert (store.user("nobody"), store.item("x' OR '1'='1")) == (None, None)


def test_batches_hold_those_that_exist(store):
    assert set(store.items(["a", "zz", "c", "a"])) == {"a", "c"}
    assert store.users(["u"]) == {"u": store.user("u")}


def test_a_batch_may_be_longer_than_sqlite_takes_parameters(store):
    assert set(store.items([f"x{n}" for n in range(40_000)] + ["b"])) == {"b"}


def test_search_ignores_accents_and_case(store):
    assert [row["item_id"] for row in store.search("BRULEE creme")] == ["a"]


def test_the_last_word_may_be_a_beginning(store):
    assert [row["item_id"] for row in store.search("brown br")] == ["b"]


def test_every_word_has_to_be_there(store):
    assert store.search("brown knife") == []


def test_search_returns_at_most_limit(store):
    assert len(store.search("bread", 1)) == 1


def test_a_word_of_one_letter_is_looked_up_as_it_is(store):
    assert store.search("b") == []
    assert store.search("br")


def test_more_matches_than_are_ranked_are_the_most_popular_ones(popular_first):
    assert [row["item_id"] for row in popular_first.search("bread", 3)] == ["i2999", "i2998", "i2997"]


def test_many_words_and_repeated_ones_find_the_same(popular_first):
    assert popular_first.search("bread " * 60, 1) == popular_first.search("bread", 1)
    assert popular_first.search("fresh brown bread of the old mill", 1)[0]["item_id"] == "i2999"


def test_threads_search_beside_one_another(store):
    with ThreadPoolExecutor(12) as threads:
        found = list(threads.map(store.search, ["bread", "knife"] * 100))

    assert found == [store.search("bread"), store.search("knife")] * 100


def test_the_connections_are_closed_with_the_store(folder):
    opened = Path("/proc/self/fd")
    before = len(list(opened.iterdir()))
    for _ in range(20):
        FeatureStore(folder / FEATURE_DATABASE).search("bread")

    assert len(list(opened.iterdir())) == before


def test_a_search_that_takes_too_much_time_is_rejected(store, monkeypatch):
    monkeypatch.setattr(feature_store, "_CPU_SECONDS", -1.0)
    monkeypatch.setattr(feature_store, "_OPCODES", 1)
    with pytest.raises(SearchTooBroadError, match="longer words"):
        store.search("bread")
    monkeypatch.undo()
    assert store.search("bread")


@pytest.mark.parametrize("nothing", ["", "  ", "\0"])
def test_a_search_for_nothing_finds_nothing(store, nothing):
    assert store.search(nothing) == []


@given(q=st.text(max_size=30))
@settings(max_examples=200, deadline=None)
def test_no_text_is_query_syntax(store, q):
    assert isinstance(store.search(q), list)


def test_the_registry_describes_every_feature_and_is_published_as_json_too(store, folder):
    registry = store.registry()

    assert len(registry) == len(USER_FEATURES.columns) + len(ITEM_FEATURES.columns) - 2
    assert json.loads((folder / "features.json").read_text()) == registry
    assert all(
        row["description"] and row["owner"] and row["freshness"] and row["source_assets"] for row in registry
    )


def test_raises_when_the_file_is_missing(tmp_path):
    with pytest.raises(BrokenReleaseError, match="no such file"):
        FeatureStore(tmp_path / "none.sqlite")


def test_raises_when_a_table_is_missing(tmp_path):
    with closing(sqlite3.connect(tmp_path / "empty.sqlite")) as connection:
        connection.execute("CREATE TABLE t (a)")
    with pytest.raises(BrokenReleaseError, match="user_features"):
        FeatureStore(tmp_path / "empty.sqlite")


def test_raises_when_the_file_is_cut_short(folder, tmp_path):
    cut = tmp_path / "cut.sqlite"
    cut.write_bytes((folder / FEATURE_DATABASE).read_bytes()[:500])
    with pytest.raises(BrokenReleaseError, match="cannot be read"):
        FeatureStore(cut)


def test_reading_imports_no_heavy_library():
    heavy = "('polars', 'pandera', 'torch', 'dagster')"
    code = (
        f"import sys, recsys_assets.features.feature_store; print([m for m in sys.modules if m in {heavy}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
