import numpy as np
import polars as pl
import pytest

from recsys_assets.embeddings.expected_popularity import FIRST_DAYS, expected_popularity
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, popularity
from recsys_assets.lake.contract import ITEM_CATALOGUE
from recsys_assets_tests.embeddings.worlds import events

DAYS = 200


def catalogue(categories):
    rows = [(item_id, None, None, category, None, None) for item_id, category in categories.items()]
    return pl.DataFrame(rows, schema=ITEM_CATALOGUE.polars_schema(), orient="row")


def log(launches):
    """Item `old` on every day; others with (first day, users in the first four weeks)."""
    rows = [("always", "old", 1, day) for day in range(DAYS)]
    rows += [
        (f"user-{number}", item, 1, first + number % FIRST_DAYS)
        for item, (first, users) in launches.items()
        for number in range(users)
    ]
    return events(rows)


def world(tea=20, beer=2, items=10):
    launches = {f"tea-{number}": (120 + number, tea) for number in range(items)}
    launches |= {f"beer-{number}": (120 + number, beer) for number in range(items)}
    categories = {item: item.split("-")[0] for item in launches}
    return launches, categories | {"new-tea": "tea", "new-beer": "beer", "new-soap": "soap", "new": None}


def test_a_new_item_is_expected_to_fare_like_earlier_new_items_of_its_category():
    launches, categories = world()
    rows = catalogue({item: kind for item, kind in categories.items() if not item.startswith("new")})
    tea, beer = expected_popularity(
        log(launches),
        pl.concat([rows, catalogue({"new-tea": "tea", "new-beer": "beer"})]),
        ["new-tea", "new-beer"],
    )
    assert 6 < tea / beer < 10


def test_without_a_category_or_in_an_unknown_one_the_mean_over_all_counts():
    launches, categories = world()
    tea, beer, soap, none = expected_popularity(
        log(launches), catalogue(categories), ["new-tea", "new-beer", "no such item", "new"]
    )
    assert beer < soap < tea
    assert soap == none


def test_items_that_wait_in_the_catalogue_lower_the_expectation():
    launches, categories = world()
    waiting = {f"waiting-{number}": "tea" for number in range(30)}
    without = expected_popularity(log(launches), catalogue(categories), ["new-tea"])
    with_them = expected_popularity(log(launches), catalogue(categories | waiting), ["new-tea"])
    assert with_them < 0.5 * without


def test_categories_that_differ_by_chance_alone_get_the_mean_over_all():
    launches, categories = world(tea=5, beer=5)
    tea, beer = expected_popularity(log(launches), catalogue(categories), ["new-tea", "new-beer"])
    assert tea == beer


def test_the_first_half_of_the_log_and_its_last_weeks_do_not_count():
    launches = {"tea-early": (10, 25), "tea-late": (DAYS - 5, 25)}
    rows = catalogue({"tea-early": "tea", "tea-late": "tea"})
    assert expected_popularity(log(launches), rows, ["new"]).tolist() == [0]


def test_the_unit_is_that_of_popularity():
    """An item that a new user touches every day, launched in the second half, is expected of its like."""
    rows = [("always", "old", 1, day) for day in range(400)]
    rows += [(f"user-{day}", "steady", 1, day) for day in range(201, 400)]
    matrix = InteractionMatrix.from_interactions(events(rows))
    steady = popularity(matrix)[matrix.items.num("steady")]
    found = expected_popularity(events(rows), catalogue({"steady": "tea"}), ["new"])
    assert found[0] == pytest.approx(steady, rel=0.02)


def test_a_log_of_one_day_expects_nothing():
    found = expected_popularity(events([("u", "a", 1, 0)]), catalogue({"a": None}), ["new", "other"])
    assert np.array_equal(found, [0, 0])
