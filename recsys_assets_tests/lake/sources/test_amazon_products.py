"""Scraped product fields become a catalogue; a field that is no price gives no price."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.contract import ITEM_CATALOGUE
from recsys_assets.lake.sources import amazon_products


def catalogue(path, *products):
    path.write_text("".join(json.dumps(product) + "\n" for product in products))
    return amazon_products.read(path)


@pytest.mark.parametrize(
    ("found", "price"),
    [
        ("$12.99", 12.99),
        ("$1,299.00", 1299.0),
        ("12", 12.0),
        (" $5.5 ", 5.5),
        (12.5, 12.5),
        (3, 3.0),
        ("US$7", 7.0),
    ],
)
def test_a_price_is_read(found, price):
    assert amazon_products.price(found) == price


@pytest.mark.parametrize(
    "found",
    [
        None, "", "—", "$5.00 - $10.00", "from 12.99", "$", "free", "$1,2.00", "12.99.99", "-3", -3, True, [],
        ".a-box{background-color:#fff}#widget .selected{12}", float("nan"), float("inf"),
    ],
)  # fmt: skip
def test_what_is_not_one_price_is_null_and_never_zero(found):
    assert amazon_products.price(found) is None


@given(st.floats(0, 1e6, allow_nan=False).map(lambda price: round(price, 2)))
def test_a_price_survives_being_written_with_a_sign_and_commas(price):
    assert amazon_products.price(f"${price:,.2f}") == price


@given(st.text())
def test_any_text_has_a_price_or_none(found):
    assert amazon_products.price(found) is None or amazon_products.price(found) >= 0


def test_a_product_of_2018_is_a_row(tmp_path):
    found = catalogue(tmp_path / "f", {
        "asin": "B1", "title": "Rock &amp; Roll <b>Card</b>", "brand": "Serendipity 3", "main_cat": "Grocery",
        "price": "$25.00", "category": ["Gift Cards", "Music", "</span></span></span>", "Made of card"],
    })  # fmt: skip

    assert found.schema == ITEM_CATALOGUE.polars_schema()
    assert found.rows() == [("B1", "Rock & Roll Card", "Grocery", "Music", "Serendipity 3", 25.0)]


def test_a_product_of_2023_is_a_row_of_its_parent(tmp_path):
    found = catalogue(tmp_path / "f", {
        "parent_asin": "B2", "main_category": "Software", "title": "Box", "store": "Acme", "price": None,
        "categories": ["Software", "Games"], "details": {},
    })  # fmt: skip

    assert found.rows() == [("B2", "Box", "Software", "Games", "Acme", None)]


def test_a_product_of_2014_is_a_python_literal(tmp_path):
    path = tmp_path / "f"
    path.write_text(
        "{'asin': '0000031852', 'title': \"Girl's Tutu\", 'price': 3.17, 'brand': 'Coxlures', "
        "'categories': [['Sports', 'Dance'], ['Clothing']]}\n"
    )

    assert amazon_products.read(path).rows() == [
        ("0000031852", "Girl's Tutu", "Sports", "Dance", "Coxlures", 3.17)
    ]


def test_an_image_for_a_category_falls_back_to_the_path(tmp_path):
    found = catalogue(
        tmp_path / "f",
        {"asin": "B", "main_cat": '<img src="x.png" alt="Fashion"/>', "category": ["Shoes", "Boots"]},
    )

    assert found.select("department", "category").row(0) == ("Shoes", "Boots")


def test_a_script_is_no_title(tmp_path):
    assert (
        catalogue(tmp_path / "f", {"asin": "B", "title": "var aPageStart = (new Date()).getTime();"})[
            "title"
        ][0]
        is None
    )


def test_a_product_listed_twice_is_one_row_the_first(tmp_path):
    found = catalogue(
        tmp_path / "f", {"asin": "B", "title": "one"}, {"asin": "A"}, {"asin": "B", "title": "two"}
    )

    assert found.select("item_id", "title").rows() == [("A", None), ("B", "one")]


def test_raises_with_the_line_when_one_is_no_product(tmp_path):
    path = tmp_path / "f"
    path.write_text('{"asin": "B"}\n__import__("os").system("true")\n')

    with pytest.raises(SourceFormatError, match="line 2 is not a product"):
        amazon_products.read(path)


def test_raises_with_the_line_when_a_product_has_no_id(tmp_path):
    with pytest.raises(SourceFormatError, match="line 2 is no product"):
        catalogue(tmp_path / "f", {"asin": "B"}, {"title": "nameless"})
