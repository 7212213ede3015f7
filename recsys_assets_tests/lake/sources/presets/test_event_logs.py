"""Logs of events: nested records of analytics tools."""

import json

import polars as pl
import pytest

from recsys_assets.lake.sources.registry import open_source
from recsys_assets_tests.lake.sources.presets.reading import events, items, left_out, utc, write


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


def ga4(name, user, time, *products, **more):
    """An event as `bq extract` writes it: 64-bit numbers are text."""
    return {
        "event_date": "20240102",
        "event_timestamp": str(time),
        "event_name": name,
        "event_params": [{"key": "page", "value": {"string_value": "x", "int_value": None}}],
        "user_id": None,
        "user_pseudo_id": user,
        "ecommerce": {"transaction_id": "T1"} if name == "purchase" else None,
        "items": [
            {
                "item_id": item,
                "item_name": item.title(),
                "item_category": "Mugs",
                "price": 4.5,
                "quantity": "2",
            }
            for item in products
        ],
        **more,
    }


VIEW = ga4("view_item", "1.2", 1704191400000000, "mug")
PURCHASE = ga4("purchase", "1.2", 1704191460000000, "mug", "cup")
START = ga4("session_start", "1.2", 1704191399000000)
EXPECTED = [
    ("1.2", "mug", "view", utc("2024-01-02 10:30"), 2.0),
    ("1.2", "mug", "purchase", utc("2024-01-02 10:31"), 2.0),
    ("1.2", "cup", "purchase", utc("2024-01-02 10:31"), 2.0),
]


def test_ga4_items_are_events_and_other_events_are_counted(tmp_path):
    spec = f"ga4:{write(tmp_path, events_20240102__json=lines(START, VIEW, PURCHASE))}"

    assert events(spec, "kind", "timestamp", "quantity") == EXPECTED
    assert left_out(spec) == {"other_kind": 1}
    assert items(spec, "title", "department", "price") == [
        ("cup", "Cup", "Mugs", 4.5),
        ("mug", "Mug", "Mugs", 4.5),
    ]


def test_ga4_is_read_from_parquet_too(tmp_path):
    pl.DataFrame([START, VIEW, PURCHASE]).with_columns(
        pl.col("event_timestamp").cast(pl.Int64)
    ).write_parquet(tmp_path / "events_20240102.parquet")
    spec = f"ga4:{tmp_path / 'events_20240102.parquet'}"

    assert events(spec, "kind", "timestamp", "quantity") == EXPECTED
    assert left_out(spec) == {"other_kind": 1}


def test_ga4_intraday_tables_count_only_without_their_daily_one(tmp_path):
    write(
        tmp_path,
        events_20240102__json=lines(VIEW, PURCHASE),
        events_intraday_20240102__json=lines(VIEW, PURCHASE, START),
        events_intraday_20240103__json=lines(ga4("view_item", "7.7", 1704277800000000, "pot")),
    )
    spec = f"ga4:{tmp_path}"

    assert events(spec, "kind")[-1] == ("7.7", "pot", "view")
    assert len(events(spec)) == 4
    assert left_out(spec) == {"duplicate": 3, "other_kind": 1}


def segment(event, **properties):
    return {
        "type": "track",
        "event": event,
        "userId": None if event == "Product Viewed" else "ada",
        "anonymousId": "anon-1",
        "timestamp": "2024-01-02T10:30:00.000Z",
        "properties": properties,
    }


def test_segment_orders_are_a_purchase_a_product(tmp_path):
    viewed = segment("Product Viewed", product_id="p1", name="Mug", category="Mugs", price=4.5)
    ordered = segment(
        "Order Completed",
        order_id="o1",
        total=13,
        products=[
            {"product_id": "p1", "name": "Mug", "price": 4.5, "quantity": 2},
            {"product_id": "p2", "name": "Cup", "price": 4, "quantity": 1},
        ],
    )
    page = {"type": "page", "name": "Home", "anonymousId": "anon-1", "timestamp": "2024-01-02T10:29:00.000Z"}
    spec = f"segment:{write(tmp_path, calls__json=lines(page, viewed, ordered)) / 'calls.json'}"

    assert events(spec, "kind", "quantity", "timestamp") == [
        ("anon-1", "p1", "view", None, utc("2024-01-02 10:30")),
        ("ada", "p1", "purchase", 2.0, utc("2024-01-02 10:30")),
        ("ada", "p2", "purchase", 1.0, utc("2024-01-02 10:30")),
    ]
    assert left_out(spec) == {"other_kind": 1}
    assert items(spec, "title", "price") == [("p1", "Mug", 4.5), ("p2", "Cup", 4.0)]


ACTION = "iglu:com.snowplowanalytics.snowplow.ecommerce/snowplow_ecommerce_action/jsonschema/1-0-2"
PRODUCT = "iglu:com.snowplowanalytics.snowplow.ecommerce/product/jsonschema/1-0-0"
PAGE = "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0"


def snowplow(number, event, name, *, action=None, products=(), **fields):
    """The fields of one event in the order of the canonical event."""
    from recsys_assets.lake.sources.preset_format import load_preset

    contexts = [{"schema": PAGE, "data": {"id": "w"}}]
    contexts += [
        {"schema": PRODUCT, "data": {"id": one, "name": one.title(), "price": 3}} for one in products
    ]
    known = {
        "app_id": "shop",
        "collector_tstamp": "2024-01-02 10:30:00.123",
        "event": event,
        "event_id": f"e{number}",
        "domain_userid": "cookie",
        "contexts": json.dumps({"schema": "iglu:contexts", "data": contexts}),
        "event_name": name,
        "derived_tstamp": "2024-01-02 10:30:00.100",
        **fields,
    }
    if action is not None:
        known["unstruct_event"] = json.dumps(
            {"schema": "iglu:unstruct_event", "data": {"schema": ACTION, "data": {"type": action}}}
        )
    names = load_preset("snowplow").forms[1].events[0].names
    return "\t".join(known.get(name, "") for name in names) + "\n"


@pytest.fixture
def tsv(tmp_path):
    text = (
        snowplow(1, "page_ping", "page_ping")
        + snowplow(2, "unstruct", "snowplow_ecommerce_action", action="product_view", products=["mug"])
        + snowplow(
            3,
            "unstruct",
            "snowplow_ecommerce_action",
            action="transaction",
            products=["mug", "cup"],
            user_id="ada",
        )
        + snowplow(4, "transaction_item", "transaction_item", ti_sku="pot", ti_name="Pot", ti_quantity="2")
        + snowplow(5, "page_view", "page_view", products=["jar"])
    )
    return f"snowplow:{write(tmp_path, enriched__tsv=text) / 'enriched.tsv'}"


def test_snowplow_products_are_events(tsv):
    assert events(tsv, "kind", "quantity", "timestamp") == [
        ("cookie", "mug", "view", None, utc("2024-01-02 10:30:00.100")),
        ("ada", "mug", "purchase", None, utc("2024-01-02 10:30:00.100")),
        ("ada", "cup", "purchase", None, utc("2024-01-02 10:30:00.100")),
        ("cookie", "pot", "purchase", 2.0, utc("2024-01-02 10:30:00.100")),
        ("cookie", "jar", "view", None, utc("2024-01-02 10:30:00.100")),
    ]
    assert left_out(tsv) == {"other_kind": 1}
    assert items(tsv, "title", "price")[2] == ("mug", "Mug", 3.0)


def test_snowplow_is_read_as_json_too(tmp_path):
    common = {
        "app_id": "shop",
        "event_id": "e1",
        "collector_tstamp": "2024-01-02T10:30:00.123Z",
        "event": "unstruct",
        "domain_userid": "cookie",
        "user_id": None,
        "event_name": "snowplow_ecommerce_action",
    }
    action = "unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1"
    products = "contexts_com_snowplowanalytics_snowplow_ecommerce_product_1"
    text = lines(
        {**common, action: {"type": "add_to_cart"}, products: [{"id": "mug", "price": 3, "quantity": 1}]},
        {**common, "event": "page_ping", "event_name": "page_ping"},
    )
    spec = f"snowplow:{write(tmp_path, good__jsonl=text) / 'good.jsonl'}"

    assert events(spec, "kind", "quantity") == [("cookie", "mug", "cart", 1.0)]
    assert left_out(spec) == {"other_kind": 1}


def literals(*records):
    """Records as Python 2 printed them."""
    return "".join(repr(record).replace("'", "u'", 1) + "\n" for record in records)


def test_steam_reviews_are_python_literals(tmp_path):
    write(
        tmp_path,
        steam_reviews__json="{u'username': u'Chaos \"S\" Syren', u'hours': 0.1, u'products': 41, "
        "u'product_id': u'725280', u'date': u'2017-12-17', u'early_access': False, u'text': u\"It's \\u2665\"}\n",
        steam_games__json="{u'publisher': u'K', u'genres': [u'Action', u'Indie'], u'app_name': u'Lost', "
        "u'id': u'725280', u'price': 4.99, u'developer': u'D', u'early_access': False}\n",
    )
    spec = f"steam:{tmp_path}"

    assert events(spec, "timestamp") == [('Chaos "S" Syren', "725280", utc("2017-12-17"))]
    assert items(spec, "title", "department", "category", "brand", "price") == [
        ("725280", "Lost", "Action", "Action | Indie", "D", 4.99)
    ]


def test_steam_reviews_of_a_user_are_rows(tmp_path):
    write(
        tmp_path,
        australian_user_reviews__json=literals(
            {
                "user_id": "js41637",
                "user_url": "http://x",
                "reviews": [
                    {
                        "posted": "Posted June 24, 2014.",
                        "item_id": "251610",
                        "recommend": True,
                        "review": "a",
                    },
                    {"posted": "Posted July 3.", "item_id": "227300", "recommend": False, "review": "b"},
                ],
            }
        ),
    )

    assert events(f"steam:{tmp_path}", "kind", "timestamp") == [
        ("js41637", "251610", "like", utc("2014-06-24")),
        ("js41637", "227300", "dislike", utc("2016-07-03")),
    ]


def test_steam_items_of_a_user_are_purchases_of_one_day(tmp_path):
    owned = {"item_id": "10", "item_name": "Counter-Strike", "playtime_forever": 6, "playtime_2weeks": 0}
    record = {"user_id": "u1", "items_count": 1, "steam_id": "7", "user_url": "x", "items": [owned]}
    spec = f"steam:{write(tmp_path, australian_users_items__json=literals(record))}"

    assert events(spec, "kind") == [("u1", "10", "purchase")]
    assert items(spec, "title") == [("10", "Counter-Strike")]


def test_an_intraday_table_is_another_once_its_daily_one_is_there(tmp_path):
    write(tmp_path, events_intraday_20240102__json=lines(VIEW))
    intraday = str(tmp_path / "events_intraday_20240102.json")
    before = open_source(f"ga4:{tmp_path}").parts()[intraday]
    write(tmp_path, events_20240102__json=lines(VIEW, PURCHASE))

    assert open_source(f"ga4:{tmp_path}").parts()[intraday] != before


def test_a_field_that_no_record_of_the_sample_has_is_read(tmp_path):
    viewed = [segment("Product Viewed", product_id=f"p{number}") for number in range(3_000)]
    ordered = segment("Order Completed", products=[{"product_id": "last", "quantity": 2}])
    spec = f"segment:{write(tmp_path, calls__json=lines(*viewed, ordered)) / 'calls.json'}"

    assert events(spec, "kind", "quantity")[-1] == ("ada", "last", "purchase", 2.0)
