import polars as pl
import pytest

from recsys_assets.embeddings.expected_popularity import FIRST_DAYS, expected_popularity
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, popularity
from recsys_assets.lake.contract import ITEM_CATALOGUE
from recsys_assets_tests.embeddings.worlds import events

DAYS = 200


def catalogue(*item_ids: str) -> pl.DataFrame:
    rows = [(item_id, None, None, None, None, None) for item_id in item_ids]
    return pl.DataFrame(rows, schema=ITEM_CATALOGUE.polars_schema(), orient="row")


def log(launches: dict[str, tuple[int, int]]) -> pl.LazyFrame:
    """Item `old` on every day; others with (first day, users in the first four weeks)."""
    rows = [("always", "old", 1, day) for day in range(DAYS)]
    rows += [
        (f"user-{number}", item, 1, first + number % FIRST_DAYS)
        for item, (first, users) in launches.items()
        for number in range(users)
    ]
    return events(rows)


def test_a_new_item_is_expected_to_fare_like_earlier_ones():
    one = expected_popularity(log({"a": (120, 10)}), catalogue("a", "new"))
    three = expected_popularity(log({"a": (120, 10), "b": (130, 50)}), catalogue("a", "b", "new"))
    assert three / one == pytest.approx((60 / 3) / (10 / 2))


def test_items_that_wait_in_the_catalogue_lower_the_expectation():
    found = [expected_popularity(log({"a": (120, 10)}), catalogue("a", *"xyz"[:n])) for n in (0, 3)]
    assert found[0] / found[1] == pytest.approx(4)


def test_the_first_half_of_the_log_and_its_last_weeks_do_not_count():
    launches = {"early": (10, 25), "late": (DAYS - 5, 25)}
    assert expected_popularity(log(launches), catalogue("early", "late")) == 0


def test_the_unit_is_that_of_popularity():
    """An item that a new user touches every day, from the second half on, is expected of its like."""
    rows = [("always", "old", 1, day) for day in range(400)]
    rows += [(f"user-{day}", "steady", 1, day) for day in range(201, 400)]
    matrix = InteractionMatrix.from_interactions(events(rows))
    steady = popularity(matrix)[matrix.items.num("steady")]
    assert expected_popularity(events(rows), catalogue("steady")) == pytest.approx(steady, rel=0.02)


def test_events_that_are_no_wish_do_not_count():
    rows = [("always", "old", 1, day) for day in range(DAYS)]
    views = [(f"user-{number}", "a", 0, 120) for number in range(9)]
    assert expected_popularity(events([*rows, *views]), catalogue("a")) == 0


def test_a_log_of_one_day_expects_nothing():
    assert expected_popularity(events([("u", "a", 1, 0)]), catalogue("a", "new")) == 0
