"""The grocer's shorthand becomes names that a person knows."""

import pytest

from recsys_assets.lake.sources.completejourney import known_words, spelt_out, title, without_stump

KNOWN = known_words(["WHEAT/MULTIGRAIN BREAD", "SOUP", "CANDY BARS (SINGLES)(INCLUDING"])


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
    assert without_stump("MAINSTREAM WHEAT/MULTIGRAIN BR", known=KNOWN) == "MAINSTREAM WHEAT/MULTIGRAIN"


def test_a_whole_word_at_the_end_of_the_field_stays():
    assert without_stump("A VERY LONG NAME FOR SOME SOUP", known=KNOWN) == "A VERY LONG NAME FOR SOME SOUP"


def test_an_apostrophe_capitalises_nothing():
    assert spelt_out("CAMPBELL'S SOUP") == "Campbell's Soup"
