"""The usual words for kinds of events are ours in any spelling."""

import pytest

from recsys_assets.lake.values.event_kinds import kind_of, translations
from recsys_assets.settings import DEFAULT_KINDS


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("addtocart", "cart"), ("add_to_cart", "cart"), ("AddToCart", "cart"), ("Product Added", "cart"),
        ("transaction", "purchase"), ("Order Completed", "purchase"), ("Product Viewed", "view"), ("view_item", "view"),
        ("pv", "view"), ("Refund", "return"), ("remove_from_cart", "other"), ("fav", "like"),
        ("dwell", None), ("", None),
    ],
)  # fmt: skip
def test_a_word_is_our_kind(word, kind):
    assert kind_of(word) == kind


@pytest.mark.parametrize("kind", DEFAULT_KINDS)
def test_our_own_words_are_themselves(kind):
    assert kind_of(kind) == kind


def test_only_known_words_in_another_spelling_are_translated():
    assert translations(["view", " AddToCart", "dwell", "Transaction"]) == {
        "addtocart": "cart",
        "transaction": "purchase",
    }
