"""Feature tables of two folders compared: features, rows and values."""

import sqlite3
from contextlib import closing
from shutil import copytree

import pytest

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.features.feature_changes import compare_features
from recsys_assets.storage.home import FEATURE_DATABASE


@pytest.fixture
def changed(folder, tmp_path):
    """A copy of the features, and a function that runs a statement on it."""
    copy = copytree(folder, tmp_path / "changed")

    def run(sql):
        with closing(sqlite3.connect(copy / FEATURE_DATABASE)) as connection, connection:
            connection.execute(sql)

    return copy, run


def columns(table):
    return [(column.name, column.rows) for column in table.columns]


def test_the_same_tables_differ_in_nothing(folder):
    users, items = compare_features(folder, folder)
    assert (users.entity, users.compared, users.changed, items.compared) == ("user", 2, 0, 3)
    for table in (users, items):
        assert (table.added, table.removed, table.redefined, table.columns) == ([], [], [], [])
        assert (table.rows_added, table.rows_gone) == (0, 0)


def test_changed_values_are_counted_by_feature_with_the_means(folder, changed):
    copy, run = changed
    run("UPDATE item_features SET price = price + 1 WHERE item_id <> 'c'")
    run("UPDATE item_features SET brand = 'Own' WHERE item_id = 'a'")
    _, items = compare_features(folder, copy)
    assert columns(items) == [("price", 2), ("brand", 1)]
    assert items.changed == 2
    price, brand = items.columns
    assert (price.share, price.after - price.before) == pytest.approx((2 / 3, 2 / 3))
    assert (brand.before, brand.after) == (None, None)


def test_a_value_that_appears_or_goes_is_another_value(folder, changed):
    copy, run = changed
    run("UPDATE item_features SET price = NULL WHERE item_id = 'a'")
    assert columns(compare_features(folder, copy)[1]) == [("price", 1)]
    assert columns(compare_features(copy, folder)[1]) == [("price", 1)]


def test_the_last_digits_of_a_sum_are_no_other_value(folder, changed):
    copy, run = changed
    run("UPDATE user_features SET spend_total = spend_total * (1 + 1e-14)")
    assert compare_features(folder, copy)[0].columns == []


def test_rows_and_features_of_one_side_only_are_named(folder, changed):
    copy, run = changed
    run("DELETE FROM user_features WHERE user_id = 'u'")
    run("ALTER TABLE user_features DROP COLUMN spend_28d")
    run("UPDATE feature_registry SET unit = 'EUR' WHERE entity = 'user' AND name = 'spend_total'")
    users, _ = compare_features(folder, copy)
    assert (users.rows_before, users.rows_after, users.rows_gone, users.rows_added) == (2, 1, 1, 0)
    assert (users.removed, users.added) == (["spend_28d"], [])
    assert [(one.name, one.after) for one in users.redefined] == [("spend_total.unit", "EUR")]
    users, _ = compare_features(copy, folder)
    assert (users.rows_gone, users.rows_added, users.added) == (0, 1, ["spend_28d"])


def test_the_rows_whose_values_are_compared_are_bounded(folder, changed):
    copy, run = changed
    run("UPDATE item_features SET price = price + 1")
    _, items = compare_features(folder, copy, rows=2)
    assert (items.compared, items.rows_before, items.rows_gone) == (2, 3, 0)
    assert columns(items) == [("price", 2)]


def test_a_damaged_database_is_named(folder, changed):
    copy, _ = changed
    (copy / FEATURE_DATABASE).write_bytes(b"rot" * 1000)
    with pytest.raises(BrokenReleaseError, match=r"features\.sqlite"):
        compare_features(folder, copy)
