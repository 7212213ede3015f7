"""Orders as shop systems export them."""

from datetime import datetime

from recsys_assets_tests.lake.files.test_tabular_files import workbook
from recsys_assets_tests.lake.sources.presets.reading import events, items, left_out, utc, write

SHOPIFY = """\
Name,Email,Financial Status,Paid at,Fulfillment Status,Currency,Total,Created at,Lineitem quantity,Lineitem name,\
Lineitem price,Lineitem sku,Lineitem fulfillment status,Billing Name,Cancelled at,Vendor,Id
#1001,ada@example.com,paid,2024-03-02 10:15:00 +0100,fulfilled,EUR,47.00,2024-03-02 10:14:00 +0100,2,Red mug,\
16.00,MUG-R,fulfilled,Ada Example,,Kiln & Co,5001
#1001,,,,,,,,1,Tote bag,15.00,,fulfilled,,,Kiln & Co,
#1002,bo@example.com,paid,2024-03-03 00:30:00 +0100,,EUR,16.00,2024-03-03 00:30:00 +0100,1,Red mug,16.00,MUG-R,\
pending,Bo Example,2024-03-04 09:00:00 +0100,Kiln & Co,5002
"""


def shopify(folder):
    return f"shopify:{write(folder, orders_export_1__csv=SHOPIFY) / 'orders_export_1.csv'}"


def test_shopify_orders_are_a_purchase_a_line(tmp_path):
    assert events(shopify(tmp_path), "timestamp", "quantity", "value", "kind", "order_id", "status") == [
        ("ada@example.com", "MUG-R", utc("2024-03-02 09:14"), 2.0, 32.0, "purchase", "#1001", "paid"),
        ("ada@example.com", "Tote bag", utc("2024-03-02 09:14"), 1.0, 15.0, "purchase", "#1001", "paid"),
        ("bo@example.com", "MUG-R", utc("2024-03-02 23:30"), 1.0, 16.0, "purchase", "#1002", "cancelled"),
    ]


def test_shopify_items_have_their_names_and_prices(tmp_path):
    assert items(shopify(tmp_path), "title", "brand", "price") == [
        ("MUG-R", "Red mug", "Kiln & Co", 16.0),
        ("Tote bag", "Tote bag", "Kiln & Co", 15.0),
    ]


ADVANCED = """\
"Order Number","Order Status","Order Date","First Name (Billing)","Email (Billing)","Payment Method Title",\
"Order Total Amount",SKU,"Item #","Item Name","Quantity (- Refund)","Item Cost","Coupon Code"
1201,Completed,"2024-05-14 10:20",Cleo,cleo@example.com,Card,29.00,CAP-1,1,"Cap, blue",2,9.50,
1201,Completed,"2024-05-14 10:20",Cleo,cleo@example.com,Card,29.00,,2,Sticker,1,10,
1202,Refunded,"2024-05-15 08:00",Dan,dan@example.com,Card,9.50,CAP-1,1,"Cap, blue",0,9.50,
"""
ROW_AN_ITEM = """\
order_id,order_number,date,status,customer_id,billing_email,item_id,item_product_id,item_name,item_sku,item_quantity,\
item_total,item_refunded,item_refunded_qty,item_price
7,7,2024-05-14 10:20:30,completed,3,cleo@example.com,11,501,Cap,CAP-1,3,28.50,9.50,1,9.50
8,8,2024-05-15 10:20:30,processing,0,dan@example.com,12,502,Sticker,,1,2,0,0,2
"""
ROW_AN_ORDER = """\
order_id,order_number,date,status,customer_id,billing_email,line_items,shipping_items
7,7,2024-05-14 10:20:30,completed,3,cleo@example.com,\
"id:11|name:Cap; blue|product_id:501|sku:CAP-1|quantity:3|subtotal:28.50|total:28.50|total_tax:0.00;\
id:12|name:Gift|product_id:0|sku:|quantity:1|subtotal:5|total:5|total_tax:0","method:flat"
"""
ANALYTICS = """\
Date,"Order #","N. Revenue (formatted)",Status,Customer,"Customer type",Product(s),"Items sold",Coupon(s),"Net Sales"
"2024-05-14 10:20:30",7,"€33.50",completed,"Cleo Example",new,"3× Cap, blue, 1× Gift",4,,33.5
"""


def test_woocommerce_plugin_rows_are_purchases(tmp_path):
    spec = f"woocommerce:{write(tmp_path, orders__csv=ADVANCED)}"

    assert events(spec, "timestamp", "quantity", "value", "status", "line") == [
        ("cleo@example.com", "CAP-1", utc("2024-05-14 10:20"), 2.0, 19.0, "completed", "1"),
        ("cleo@example.com", "Sticker", utc("2024-05-14 10:20"), 1.0, 10.0, "completed", "2"),
        ("dan@example.com", "CAP-1", utc("2024-05-15 08:00"), 0.0, 0.0, "refunded", "1"),
    ]
    assert items(spec, "title", "price") == [("CAP-1", "Cap, blue", 9.5), ("Sticker", "Sticker", 10.0)]


def test_woocommerce_rows_an_item_lose_the_refunded_pieces(tmp_path):
    spec = f"woocommerce:{write(tmp_path, wc_orders__csv=ROW_AN_ITEM)}"

    assert events(spec, "quantity", "value") == [
        ("cleo@example.com", "501", 2.0, 28.5),
        ("dan@example.com", "502", 1.0, 2.0),
    ]


def test_woocommerce_rows_an_order_are_split_into_their_items(tmp_path):
    spec = f"woocommerce:{write(tmp_path, orders__csv=ROW_AN_ORDER)}"

    assert events(spec, "quantity", "value", "title", "line") == [
        ("cleo@example.com", "501", 3.0, 28.5, "Cap; blue", "11"),
        ("cleo@example.com", "Gift", 1.0, 5.0, "Gift", "12"),
    ]


def test_woocommerce_analytics_names_products_and_customers(tmp_path):
    spec = f"woocommerce:{write(tmp_path, orders__csv=ANALYTICS)}"

    assert events(spec, "timestamp", "quantity") == [
        ("Cleo Example", "Cap, blue", utc("2024-05-14 10:20:30"), 3.0),
        ("Cleo Example", "Gift", utc("2024-05-14 10:20:30"), 1.0),
    ]


OLD = """\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,WHITE HOLDER,6,2010-12-01 08:26:00,2.55,17850,United Kingdom
C536379,POST,POSTAGE,-1,2010-12-01 09:41:00,27.50,,France
"""
NEW = """\
Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country
489434,85048,CHRISTMAS LIGHTS,12,2009-12-01 07:45:00,6.95,13085.0,United Kingdom
"""


def test_online_retail_is_read_in_both_spellings(tmp_path):
    old = f"online-retail:{write(tmp_path, old__csv=OLD) / 'old.csv'}"
    new = f"online-retail:{write(tmp_path, new__csv=NEW) / 'new.csv'}"

    assert events(old, "timestamp", "quantity", "value", "order_id") == [
        ("17850", "85123A", utc("2010-12-01 08:26"), 6.0, 2.55 * 6, "536365"),
        (None, "POST", utc("2010-12-01 09:41"), -1.0, -27.5, "C536379"),
    ]
    assert events(new, "timestamp", "quantity", "order_id")[0][1:] == (
        "85048",
        utc("2009-12-01 07:45"),
        12.0,
        "489434",
    )
    assert items(new, "title", "price") == [("85048", "CHRISTMAS LIGHTS", 6.95)]


LOG = """\
event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session
2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,72d76fde
2019-10-01 00:00:01 UTC,cart,3900821,2053013552326770905,appliances.environment.heater,aqua,33.20,554748717,9333dfbd
2019-10-01 00:00:02 UTC,remove_from_cart,3900821,2053013552326770905,,aqua,33.20,554748717,9333dfbd
"""


def test_the_log_of_2019_has_kinds_and_categories(tmp_path):
    spec = f"ecommerce:{write(tmp_path, **{'2019-Oct__csv': LOG})}"

    assert events(spec, "timestamp", "kind") == [
        ("541312140", "44600062", utc("2019-10-01 00:00:00"), "view"),
        ("554748717", "3900821", utc("2019-10-01 00:00:01"), "cart"),
    ]
    assert left_out(spec) == {"other_kind": 1}
    assert items(spec, "department", "category", "brand", "price")[0] == (
        "3900821",
        "appliances",
        "appliances.environment.heater",
        "aqua",
        33.2,
    )


def test_online_retail_is_read_from_both_sheets_of_its_workbook(tmp_path):
    header = [
        "Invoice",
        "StockCode",
        "Description",
        "Quantity",
        "InvoiceDate",
        "Price",
        "Customer ID",
        "Country",
    ]
    day = datetime.fromisoformat("2010-12-01T08:26")
    path = workbook(
        tmp_path / "online_retail_II.xlsx",
        first=[header, [489434, "85048", "LIGHTS", 12, day, 6.95, 13085, "UK"]],
        second=[header, ["C489434", "22041", "FRAME", -1, day, 2.1, 13085, "UK"]],
    )

    assert events(f"online-retail:{path}", "timestamp", "quantity", "order_id") == [
        ("13085", "85048", utc("2010-12-01 08:26"), 12.0, "489434"),
        ("13085", "22041", utc("2010-12-01 08:26"), -1.0, "C489434"),
    ]
