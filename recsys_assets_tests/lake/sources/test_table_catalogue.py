"""The catalogue of a table of events speaks from rows that were sold or seen, newest first."""

import polars as pl
import pytest

from recsys_assets.lake.sources.table_catalogue import last_known

COLUMNS = ["user_id", "item_id", "timestamp", "quantity", "value", "status", "title", "price", "category"]


def catalogue(*rows):
    events = pl.DataFrame(
        [dict(zip(COLUMNS, row, strict=True)) for row in rows],
        schema={
            **dict.fromkeys(COLUMNS, pl.String), "timestamp": pl.Int64, "quantity": pl.Float32, "value": pl.Float64
        },
    )  # fmt: skip
    return last_known([events], ["title", "price", "category"], cancelled=["cancelled"], mark=".")


def sold(title="Mug", price="2.95", category=None, *, user="u", at=1, quantity=1.0, value=None, status=None):
    return (user, "i", at, quantity, value, status, title, price, category)


@pytest.mark.parametrize(
    "later",
    [{"user": None}, {"quantity": -1.0}, {"quantity": 0.0}, {"value": -2.0}, {"status": "Cancelled"}],
)
def test_a_later_row_that_sold_nothing_does_not_rename_an_item(later):
    found = catalogue(sold(), sold("damaged", "0", at=2, **later))

    assert found.select("title", "price").row(0) == ("Mug", 2.95)


def test_the_newest_row_speaks():
    assert catalogue(sold("New", at=2), sold("Old", at=1))["title"].to_list() == ["New"]


@pytest.mark.parametrize(
    "written",
    ["Home > Kitchen", "Home|Kitchen", "['Home', 'Kitchen']", '["Home","Kitchen"]', "Home | Kitchen"],
)
def test_several_categories_are_kept_and_the_first_is_the_department(written):
    found = catalogue(sold(category=written))

    assert found.select("department", "category").row(0) == ("Home", "Home | Kitchen")


@pytest.mark.parametrize(
    ("written", "category"), [("Home, Kitchen", "Home, Kitchen"), ("", None), ("[]", None)]
)
def test_a_single_category_has_no_department(written, category):
    assert catalogue(sold(category=written)).select("department", "category").row(0) == (None, category)


def test_an_item_that_was_never_sold_has_no_description():
    assert catalogue(sold(user=None)).select("item_id", "title", "price").rows() == [("i", None, None)]
