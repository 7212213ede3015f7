"""Reading back what was written, from a real SQLite file."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.features.contract import ITEM_FEATURES, USER_FEATURES
from recsys_assets.features.feature_store import FeatureStore
from recsys_assets.storage.home import FEATURE_DATABASE
from recsys_assets_tests.features.rows import CATALOGUE, ROWS, item_features, user_features


@pytest.fixture(scope="module")
def store(folder):
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
