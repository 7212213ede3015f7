"""Our words for the kinds of events that shops, trackers and public logs write in many spellings.

A word is compared without case, blanks and signs: `AddToCart`, `add_to_cart` and `Product Added` are all a `cart`.
A word that is not here stays as it is, and weighs 1 by default.
"""

from collections.abc import Iterable
from functools import cache
from typing import Final

from recsys_assets.lake.values.column_meanings import words_of

_WORDS: Final = {
    "view": (
        "view views viewed viewitem view_item itemview product_view product_viewed viewed_product view_product pageview"
        " page_view detail detail_view product_detail click clicks clicked clk pv visit opened product_clicked"
        " view_content viewcontent screen_view"
    ),
    "cart": (
        "cart add_to_cart addtocart add2cart cart_add added_to_cart product_added add_to_basket basket basket_add"
        " begin_checkout checkout_started checkout initiate_checkout add_cart"
    ),
    "purchase": (
        "purchase purchases purchased buy buys bought order orders ordered order_placed order_completed completed_order"
        " transaction transactions sale sold checkout_completed complete_purchase paid payment kauf bestellung achat"
        " compra product_purchased"
    ),
    "rating": "rating rate rated rates review reviewed reviews bewertung",
    "like": (
        "like liked likes fav favorite favourite favorited favourited wishlist wish_list add_to_wishlist bookmark"
        " bookmarked heart upvote upvoted thumbs_up product_added_to_wishlist save saved collect"
    ),
    "dislike": "dislike disliked downvote downvoted thumbs_down",
    "hide": "hide hidden not_interested block blocked",
    "impression": (
        "impression impressions imp exposure view_item_list product_list_viewed shown view_promotion"
        " product_impression"
    ),
    "return": "return returned returns refund refunded refunds order_refunded order_returned chargeback retour",
    "other": (
        "other remove_from_cart removed_from_cart product_removed remove removefromcart session_start"
        " first_visit scroll search login signup sign_up user_engagement select_promotion"
        " remove_from_wishlist order_cancelled"
    ),
}
"""Our kind -> words for it."""


@cache
def _ours() -> dict[str, str]:
    return {_plain(word): kind for kind, words in _WORDS.items() for word in words.split()}


def _plain(word: str) -> str:
    return "".join(words_of(word))


def kind_of(word: str) -> str | None:
    """Return our kind for a source's word; None where the word is not known."""
    return _ours().get(_plain(word))


def translations(words: Iterable[str]) -> dict[str, str]:
    """Return a source's word, in lower case -> our kind, for the known words that are written otherwise."""
    lower = dict.fromkeys(word.strip().lower() for word in words if word)
    return {word: kind for word in lower if (kind := kind_of(word)) is not None and kind != word}
