"""A column's name says its meaning, in several languages and spellings."""

import pytest

from recsys_assets.lake.values.column_meanings import best_names, may_be, rank_of


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("user_id", "User_ID"), ("user_id", "CustomerID"), ("user_id", "Customer ID"), ("user_id", "user-id"),
        ("user_id", "visitorid"), ("user_id", "Kundennummer"), ("user_id", "KundenNr"), ("user_id", "Email"),
        ("user_id", "customer_no"), ("user_id", "usuario_id"), ("user_id", "reviewerID"), ("user_id", "device.user_id"),
        ("item_id", "StockCode"), ("item_id", "asin"), ("item_id", "itemid"), ("item_id", "article_id"),
        ("item_id", "Artikelnummer"), ("item_id", "Lineitem sku"), ("item_id", "business_id"), ("item_id", "ISBN"),
        ("timestamp", "InvoiceDate"), ("timestamp", "event_time"), ("timestamp", "createdAt"), ("timestamp", "t_dat"),
        ("timestamp", "Bestelldatum"), ("timestamp", "order_purchase_timestamp"), ("timestamp", "fecha"),
        ("order_id", "InvoiceNo"), ("order_id", "Bestellnummer"), ("order_id", "transactionid"),
        ("rating", "Book-Rating"), ("rating", "stars"), ("quantity", "Menge"), ("quantity", "Lineitem quantity"),
        ("price", "UnitPrice"), ("price", "Einzelpreis"), ("value", "Betrag"), ("kind", "eventName"),
        ("status", "Financial Status"), ("title", "Bezeichnung"), ("category", "Catégorie"), ("line", "order_item_id"),
        ("quantity", "Qty."), ("quantity", "Quantity (- Refund)"), ("price", "Unit Price [USD]"),
        ("price", "price_eur"),
        ("user_id", "Cust. ID*"), ("user_id", "customer.id"), ("item_id", "line_items[].product.id"),
        ("item_id", "Item # (SKU)"), ("order_id", "order.id"), ("line", "line_items[].id"),
    ],
)  # fmt: skip
def test_a_name_has_our_meaning(ours, theirs):
    assert rank_of(ours, theirs) is not None


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("user_id", "seller_id"), ("user_id", "order_id"), ("user_id", "customer_name"), ("user_id", "user_age"),
        ("item_id", "product_category"), ("item_id", "order_id"), ("timestamp", "birth_date"),
        ("timestamp", "delivered_at"), ("timestamp", "order_estimated_delivery_date"), ("value", "UnitPrice"),
        ("order_id", "order_status"), ("timestamp", "rating"),
        ("user_id", "shop.id"), ("user_id", "id"), ("quantity", "Quantity (refunded)"), ("timestamp", "Date (shipped)"),
    ],
)  # fmt: skip
def test_a_name_has_another_meaning(ours, theirs):
    assert rank_of(ours, theirs) is None


def test_the_surest_name_is_first():
    assert best_names("user_id", ["email", "customer_id", "User_ID", "seller_id"]) == [
        "User_ID", "customer_id", "email"
    ]  # fmt: skip
    assert best_names("timestamp", ["shipping_limit_date", "date", "order_purchase_timestamp"]) == [
        "order_purchase_timestamp", "date"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("theirs", "may"), [("seller_id", False), ("order_id", False), ("foo", True), ("1", True)]
)
def test_a_column_of_another_meaning_is_no_user(theirs, may):
    assert may_be("user_id", theirs) == may
