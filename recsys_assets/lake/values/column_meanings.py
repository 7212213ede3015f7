"""Meanings of a table's columns by their names: our column name for each of the file's, in several languages.

Names are compared without case, accents and separators: `User_ID`, `userId` and `user-id` are the words `user` and
`id`. Units and other additions at the end, `Qty.`, `Price (USD)` and `amount_eur`, change no meaning. Of a field within
a field, `customer.id`, both names speak. The values are looked at in `column_guesses.py`; here are only the words.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Final

from recsys_assets import columns

_WORDS: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_ID_WORDS: Final = (
    "id ids no nr num number code key uid uuid guid hash unique original ref nummer numero kennung"
)
_WORDS_OF: Final = {
    columns.USER_ID: (
        "user customer client visitor member buyer shopper reviewer account subscriber consumer household guest cust"
        " person people player listener viewer reader kunde kunden benutzer nutzer kaufer utilisateur acheteur usuario"
        " cliente comprador email mail login userid customerid visitorid anonymousid"
    ),
    columns.ITEM_ID: (
        "item product article sku asin isbn movie film book song track artist album game app business stock news"
        " recipe restaurant hotel course video listing offer good variant anime beer artikel produkt ware buch"
        " produit livre articulo producto libro ean gtin upc plu itemid productid parent"
    ),
    columns.ORDER_ID: (
        "order invoice transaction basket cart receipt checkout purchase bill bestellung bestell auftrag auftrags"
        " rechnung rechnungs beleg bon commande facture pedido factura ticket"
    ),
}
"""Our id columns -> the words that name one, alone or with a word for `id`."""
_NAMES_OF: Final = {
    columns.USER_ID: (
        "user_id customer_unique_id user_pseudo_id customer_id visitor_id anonymous_id domain_userid reviewer_id"
        " client_id member_id msno uid email customer_email user"
    ),
    columns.ITEM_ID: (
        "item_id product_id stock_code sku article_id asin parent_asin isbn movie_id book_id business_id artist_id"
        " track_id app_id lineitem_sku item product"
    ),
    columns.TIMESTAMP: (
        "timestamp event_timestamp event_time created_at order_purchase_timestamp invoice_date order_date date_time"
        " datetime time date event_date t_dat at when ts"
    ),
    columns.RATING: (
        "rating stars review_score book_rating overall score review_rating star_rating user_rating bewertung sterne"
        " note calificacion puntuacion rate ratings"
    ),
    columns.QUANTITY: (
        "quantity qty item_quantity lineitem_quantity product_quantity order_quantity units pieces menge"
        " amount_of_items anzahl stuck stueck stuckzahl quantite cantidad qte"
    ),
    columns.VALUE: (
        "value line_total line_amount amount_paid total_price sales_value item_revenue revenue amount spend line_value"
        " betrag umsatz gesamtpreis montant importe total_amount paid"
    ),
    columns.KIND: (
        "kind event event_type event_name action behavior behavior_type behaviour interaction interaction_type"
        " event_kind action_type activity activity_type type ereignis aktion evenement evento"
    ),
    columns.ORDER_ID: "order_id order_number invoice_no invoice_number transaction_id basket_id order",
    columns.LINE: (
        "line line_no line_number order_line line_id order_item_id line_item_id lineitem_id position zeile ligne linea"
        " positionsnummer pos add_to_cart_order"
    ),
    columns.STATUS: (
        "status order_status financial_status payment_status order_state state bestellstatus statut estado etat"
    ),
    columns.TITLE: (
        "title product_name item_name product_title item_title movie_title book_title lineitem_name "
        "track_name song_title artist_name name prod_name description item_description product_description"
        " bezeichnung artikelbezeichnung titel produktname artikelname libelle designation titre"
        " nombre descripcion titulo app_name"
    ),
    columns.DEPARTMENT: "department dept main_category product_group_name department_name abteilung rayon departamento",
    columns.CATEGORY: (
        "category category_name category_code product_category product_category_name item_category categories genres"
        " genre subcategory product_type_name product_type kategorie warengruppe categorie categoria category_id"
    ),
    columns.BRAND: "brand brand_name manufacturer maker vendor marke hersteller marque marca publisher author",
    columns.PRICE: (
        "price unit_price item_price product_price list_price lineitem_price mrp preis einzelpreis stuckpreis prix"
        " prix_unitaire precio precio_unitario cost"
    ),
}
"""Our columns -> names of theirs, the surest first."""
_TIME_WORDS: Final = (
    "timestamp time date datetime datum zeit zeitpunkt uhrzeit fecha hora heure at ts dt epoch moment"
)
_NO_EVENT: Final = (
    "birth birthday delivered delivery shipped shipping estimated expiry expires released release signup registered"
    " registration updated modified limit approved joined until end ended update last carrier due zone"
)
"""Words of times that are no event's."""
_ADDED: Final = re.compile(r"\s*[(\[{][^)\]}]*[)\]}]\W*$")
"""Words in brackets behind a name."""
_OTHER: Final = "refunded returned cancelled canceled old previous stock available open"
"""Words in brackets that make another number of it."""
_UNITS: Final = (
    "usd eur gbp chf cad aud pln czk sek nok dkk jpy inr brl euro euros dollar dollars pcs utc local"
)
_WITHIN: Final = re.compile(r"(?<=[\w\]])\.(?=\w)")
"""The dot between a field and a field within it; `Qty.` and `Cust. No` have another."""
_LISTED: Final = re.compile(r"\[[^\]]*\]")
_NOT_A_USER: Final = "seller vendor store shop merchant supplier employee staff agent warehouse"


@cache
def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a column's name, in lower case and without accents."""
    tidy = name.replace("ß", "ss")
    plain = unicodedata.normalize("NFKD", tidy).encode("ascii", "ignore").decode()
    return tuple(word.lower() for word in _WORDS.findall(plain))


def is_same_name(ours: str, theirs: str) -> bool:
    """Return true where a name of theirs is ours but for case, accents and separators."""
    return "".join(words_of(ours)) == "".join(words_of(theirs))


def rank_of(ours: str, theirs: str) -> int | None:
    """Return how well a column's name fits one of ours: 0 is best, None is not at all."""
    parts = [_LISTED.sub("", part) for part in _WITHIN.split(theirs)] if "." in theirs else [theirs]
    if len(parts) > 1:
        both = f"{parts[-2].removesuffix('s')} {parts[-1]}"
        found = _rank(ours, both)
        return found if found is not None else _rank(ours, parts[-1])
    found = _rank(ours, theirs)
    if found is not None:
        return found
    plain = _ADDED.sub("", theirs)
    added = words_of(theirs[len(plain) :])
    words = words_of(plain)
    while len(words) > 1 and words[-1] in _set(_UNITS):
        words = words[:-1]
    if words == words_of(theirs) or set(added) & _set(f"{_OTHER} {_NO_EVENT}"):
        return None
    found = _rank(ours, " ".join(words))
    return None if found is None else found + 1


def _rank(ours: str, theirs: str) -> int | None:
    words = words_of(theirs)
    joined = "".join(words)
    if joined == "".join(words_of(ours)):
        return 0
    names = ["".join(words_of(name)) for name in _NAMES_OF[ours].split()]
    if joined in names:
        return 1 + names.index(joined)
    if ours in _WORDS_OF:
        return 100 if _is_id(words, _set(_WORDS_OF[ours])) else None
    if ours == columns.TIMESTAMP:
        return (
            100
            if set(words) & _set(_TIME_WORDS) and not set(words) & _set(_NO_EVENT)
            else _compound_time(joined)
        )
    return None


def _is_id(words: tuple[str, ...], nouns: frozenset[str]) -> bool:
    """Return true of `customer_no` and `KundenNr`, and not of `customer_name` or `seller_id`."""
    rest = [word for word in words if word not in nouns and word not in _set(_ID_WORDS)]
    if set(words) & nouns and not rest:
        return True
    compound = "".join(words)
    return any(compound == noun + number for noun in nouns for number in _set(_ID_WORDS))


def _compound_time(joined: str) -> int | None:
    ends = ("datum", "zeit", "zeitpunkt", "date", "time", "timestamp")
    return 120 if joined.endswith(ends) and not any(word in joined for word in _set(_NO_EVENT)) else None


def best_names(ours: str, theirs: Sequence[str]) -> list[str]:
    """Return those of their columns that could be ours by name, the surest first."""
    ranked = [(rank, place) for place, name in enumerate(theirs) if (rank := rank_of(ours, name)) is not None]
    return [theirs[place] for _, place in sorted(ranked)]


def may_be(ours: str, theirs: str) -> bool:
    """Return false where a name has another meaning for sure, such as `seller_id` or `order_id` for a user."""
    words = set(words_of(theirs))
    if ours == columns.USER_ID and words & _set(_NOT_A_USER):
        return False
    return all(rank_of(other, theirs) is None for other in _NAMES_OF if other != ours)
