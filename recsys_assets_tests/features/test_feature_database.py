"""The database follows the contracts, and the same rows give the same file."""

import sqlite3
from contextlib import closing

import pytest

from recsys_assets.features.contract import USER_FEATURES
from recsys_assets.features.feature_database import build_features, table_ddl, write_features
from recsys_assets.storage.home import FEATURE_DATABASE
from recsys_assets_tests.features.rows import CATALOGUE, DAY, ROWS, item_features, user_features


def test_the_database_holds_the_bounds_of_the_contract(folder, tmp_path):
    copy = tmp_path / "copy.sqlite"
    copy.write_bytes((folder / FEATURE_DATABASE).read_bytes())
    with closing(sqlite3.connect(copy)) as connection, pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        connection.execute("UPDATE user_features SET repeat_share = 1.5")


def test_ddl_has_a_line_a_column():
    assert table_ddl(USER_FEATURES).count("\n") == len(USER_FEATURES.columns) + 2


def test_the_same_rows_give_the_same_bytes(folder, tmp_path):
    build_features(ROWS, CATALOGUE, tmp_path / "features", as_of=DAY)

    assert (tmp_path / "features" / FEATURE_DATABASE).read_bytes() == (folder / FEATURE_DATABASE).read_bytes()


def test_a_folder_is_replaced_whole(tmp_path):
    folder = tmp_path / "features"
    build_features(ROWS, CATALOGUE, folder, as_of=DAY)
    (folder / "left-over").write_text("x")
    write_features(user_features(ROWS, None), item_features(ROWS, None), folder)

    assert sorted(path.name for path in folder.iterdir()) == ["features.json", "features.sqlite"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["features"]
