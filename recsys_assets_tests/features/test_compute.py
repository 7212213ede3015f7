"""Features of literal histories, computed by hand."""

from recsys_assets.features.compute import LARGEST_BASKET
from recsys_assets.features.contract import ITEM_FEATURES, USER_FEATURES
from recsys_assets_tests.features.rows import catalogue, events, item_features, user_features

CATALOGUE = catalogue(
    ("a", "Apple", "FRUIT", 1.0), ("b", "Bread", "BAKERY", 3.0), ("c", "Cherry", "FRUIT", 2.0)
)


def one(frame, key, value):
    rows = frame.filter(frame[key] == value).to_dicts()
    assert len(rows) == 1
    return rows[0]


def user(*rows, known=CATALOGUE):
    return one(user_features(events(*rows), known), "user_id", "u")


def item(item_id, *rows, known=CATALOGUE):
    return one(item_features(events(*rows), known), "item_id", item_id)


def test_windows_count_the_day_itself_and_the_days_before_it():
    found = user(
        ("u", "a", 0),
        ("u", "a", 6),
        ("u", "a", 7),
        ("u", "b", 27),
        ("u", "b", 28),
        ("u", "b", 89),
        ("u", "b", 90),
    )

    assert [found[f"events_{days}d"] for days in (7, 28, 90)] == [2, 4, 6]
    assert found["events_total"] == 7


def test_later_events_are_ignored():
    assert user(("u", "a", 1), ("u", "b", -1))["events_total"] == 1


def test_repeat_share_counts_events_on_items_touched_before():
    assert user(("u", "a", 5), ("u", "a", 4), ("u", "a", 3), ("u", "b", 2))["repeat_share"] == 0.5


def test_median_price_is_that_of_a_piece():
    assert user(("u", "a", 3, 1.0), ("u", "b", 2, 4.0), ("u", "c", 1, 2.5))["median_price"] == 2.5


def test_without_a_value_the_items_price_counts():
    assert user(("u", "a", 3), ("u", "b", 2), ("u", "c", 1))["median_price"] == 2.0


def test_money_is_null_where_the_source_has_none():
    found = user(("u", "a", 3), known=None)

    assert (found["median_price"], found["spend_total"], found["spend_28d"]) == (None, None, None)


def test_spend_in_a_window_without_events_is_zero_where_the_source_has_values():
    assert user(("u", "a", 40, 2.0))["spend_28d"] == 0


def test_favourite_category_is_the_one_of_most_events():
    found = user(("u", "a", 3), ("u", "c", 2), ("u", "b", 1))

    assert (found["favourite_category"], found["favourite_category_share"]) == ("FRUIT", 0.666667)


def test_favourites_tie_by_name():
    assert user(("u", "a", 3), ("u", "b", 1))["favourite_category"] == "BAKERY"


def test_visits_are_days_however_many_events_a_day_has():
    found = user(("u", "a", 10), ("u", "b", 10), ("u", "a", 0))

    assert (found["active_days"], found["days_between_visits"]) == (2, 10)


def test_activity_trend_compares_two_windows():
    assert user(("u", "a", 1), ("u", "a", 2), ("u", "a", 28), ("u", "a", 56))["activity_trend"] == 3 / 2


def test_price_level_is_relative_to_the_category():
    assert user(("u", "c", 3))["price_level"] == 1.0
    assert user(("u", "a", 3))["price_level"] == 0.5


def test_an_item_without_events_has_a_row_of_zeros():
    found = item("b", ("u", "a", 1))

    assert (found["events_total"], found["popularity_rank"], found["popularity_percentile"]) == (0, None, 0.0)
    assert found["title"] == "Bread"


def test_an_item_missing_from_the_catalogue_has_a_row():
    assert item("x", ("u", "x", 1, 7.5))["price"] == 7.5


def test_the_catalogues_price_comes_before_the_one_paid():
    assert item("a", ("u", "a", 1, 7.5))["price"] == 1.0


def test_popularity_ranks_by_the_last_90_days_first():
    rows = [("u", "a", 100), ("v", "a", 101), ("w", "a", 102), ("u", "b", 1), ("v", "b", 2)]

    assert (item("b", *rows)["popularity_rank"], item("a", *rows)["popularity_rank"]) == (1, 2)


def test_copurchase_degree_counts_other_items_of_the_same_user_and_day():
    rows = [("u", "a", 1), ("u", "b", 1), ("v", "a", 2), ("v", "b", 2), ("v", "c", 2), ("u", "c", 3)]

    assert [item(item_id, *rows)["copurchase_degree"] for item_id in "abc"] == [2, 2, 2]
    assert item("c", ("u", "a", 1), ("u", "c", 2))["copurchase_degree"] == 0


def test_a_basket_too_large_to_mean_anything_counts_for_nothing():
    rows = [("u", f"i{n}", 1) for n in range(LARGEST_BASKET + 1)]

    assert item("i0", *rows)["copurchase_degree"] == 0


def test_repeat_share_of_an_item_is_by_user():
    assert item("a", ("u", "a", 3), ("u", "a", 2), ("v", "a", 1), ("w", "a", 1))["repeat_share"] == 0.25


def test_both_tables_meet_their_contracts():
    rows = events(("u", "a", 3, 1.0), ("v", "b", 2), ("v", "x", 2, 0.0))

    USER_FEATURES.pandera_schema().validate(user_features(rows, CATALOGUE))
    ITEM_FEATURES.pandera_schema().validate(item_features(rows, CATALOGUE))


def test_no_events_give_typed_empty_users():
    found = user_features(events(), None)

    assert (found.height, found.schema) == (0, USER_FEATURES.polars_schema())


def test_there_are_at_least_twelve_features_beside_the_key_of_each():
    assert min(len(USER_FEATURES.columns), len(ITEM_FEATURES.columns)) > 12
