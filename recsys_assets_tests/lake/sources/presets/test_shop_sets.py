"""Published sets of shops, which are joins of several files."""

import zipfile

import pytest

from recsys_assets.errors import SourceNotFoundError
from recsys_assets.lake.sources.registry import open_source
from recsys_assets_tests.lake.sources.presets.reading import events, items, left_out, utc, write


def test_retailrocket_has_kinds_and_the_newest_category(tmp_path):
    write(
        tmp_path,
        events__csv="timestamp,visitorid,event,itemid,transactionid\n"
        "1433221332117,257597,view,355908,\n1433224214164,992329,addtocart,248676,\n"
        "1433222276276,599528,transaction,356475,4000\n",
        item_properties_part1__csv="timestamp,itemid,property,value\n1435460400000,355908,categoryid,1338\n"
        "1441508400000,206783,888,1116713 960601\n",
        item_properties_part2__csv="timestamp,itemid,property,value\n1431226800000,355908,categoryid,9\n",
        category_tree__csv="categoryid,parentid\n1338,1278\n9,\n",
    )
    spec = f"retailrocket:{tmp_path}"

    assert events(spec, "timestamp", "kind") == [
        ("257597", "355908", utc("2015-06-02 05:02:12.117"), "view"),
        ("992329", "248676", utc("2015-06-02 05:50:14.164"), "cart"),
        ("599528", "356475", utc("2015-06-02 05:17:56.276"), "purchase"),
    ]
    assert items(spec, "department", "category") == [("355908", "1278", "1338")]


def olist(folder):
    return write(
        folder,
        olist_order_items_dataset__csv='"order_id","order_item_id","product_id","seller_id","shipping_limit_date",'
        '"price","freight_value"\n"o1",1,"p1","s1","2017-09-19 09:45:35",58.90,13.29\n'
        '"o1",2,"p1","s1","2017-09-19 09:45:35",58.90,13.29\n"o2",1,"p2","s2","2017-05-03 11:05:13",239.90,19.93\n'
        '"lost",1,"p2","s2","2017-05-03 11:05:13",239.90,19.93\n',
        olist_orders_dataset__csv='"order_id","customer_id","order_status","order_purchase_timestamp",'
        '"order_approved_at"\n"o1","c1","delivered","2017-09-13 08:59:02","2017-09-13 09:45:35"\n'
        '"o2","c2","canceled","2017-04-26 10:53:06",""\n',
        olist_customers_dataset__csv='"customer_id","customer_unique_id","customer_zip_code_prefix"\n'
        '"c1","ana",14409\n"c2","ana",14409\n',
        olist_products_dataset__csv='"product_id","product_category_name","product_name_lenght"\n'
        '"p1","cool_stuff",58\n"p2","pet_shop",56\n"p3","",1\n',
        product_category_name_translation__csv="\ufeffproduct_category_name,product_category_name_english\n"
        "pet_shop,pet_shop_english\n",
    )


def test_olist_joins_orders_and_customers_to_the_items(tmp_path):
    assert events(f"olist:{olist(tmp_path)}", "timestamp", "value", "status", "line") == [
        ("ana", "p1", utc("2017-09-13 08:59:02"), 58.9, "delivered", "1"),
        ("ana", "p1", utc("2017-09-13 08:59:02"), 58.9, "delivered", "2"),
        ("ana", "p2", utc("2017-04-26 10:53:06"), 239.9, "canceled", "1"),
    ]


def test_olist_items_have_the_translated_category(tmp_path):
    assert items(f"olist:{olist(tmp_path)}", "category", "price") == [
        ("p1", "cool_stuff", 58.9),
        ("p2", "pet_shop_english", None),
        ("p3", None, None),
    ]


def test_any_file_of_the_set_names_it(tmp_path):
    assert events(f"olist:{olist(tmp_path) / 'olist_orders_dataset.csv'}") == events(f"olist:{tmp_path}")


def test_an_archive_is_read_as_its_folder(tmp_path):
    folder = olist(tmp_path)
    with zipfile.ZipFile(tmp_path / "olist.zip", "w") as archive:
        for file in sorted(folder.glob("*.csv")):
            archive.write(file, f"olist/{file.name}")
    spec = f"olist:{tmp_path / 'olist.zip'}"

    assert events(spec) == events(f"olist:{folder / 'olist_order_items_dataset.csv'}")
    assert items(spec, "category") == items(f"olist:{folder}", "category")


def test_an_order_that_is_in_no_file_is_accounted_for(tmp_path):
    assert left_out(f"olist:{olist(tmp_path)}") == {"no_match": 1}


def test_raises_when_the_orders_are_missing(tmp_path):
    (olist(tmp_path) / "olist_orders_dataset.csv").unlink()

    with pytest.raises(SourceNotFoundError, match="needs a second file beside it, of orders"):
        open_source(f"olist:{tmp_path}")


def test_hm_keeps_leading_zeros_and_names_its_articles(tmp_path):
    write(
        tmp_path,
        transactions_train__csv="t_dat,customer_id,article_id,price,sales_channel_id\n"
        "2018-09-20,000058a1,0663713001,0.0508305,2\n2018-09-20,000058a1,0663713001,0.0508305,2\n",
        articles__csv="article_id,product_code,prod_name,product_type_no,product_type_name,index_group_name,"
        'section_name\n0663713001,0663713,"Strap top, black",253,Vest top,Ladieswear,Lingerie\n',
    )
    spec = f"hm:{tmp_path / 'transactions_train.csv'}"

    assert (
        events(spec, "timestamp", "value") == [("000058a1", "0663713001", utc("2018-09-20"), 0.0508305)] * 2
    )
    assert items(spec, "title", "department", "category") == [
        ("0663713001", "Strap top, black", "Ladieswear", "Vest top")
    ]


def test_instacart_orders_follow_each_other_by_their_days(tmp_path):
    write(
        tmp_path,
        orders__csv="order_id,user_id,eval_set,order_number,order_dow,order_hour_of_day,days_since_prior_order\n"
        "20,1,prior,2,3,07,15.0\n10,1,prior,1,2,08,\n30,1,train,3,3,12,21.0\n40,2,prior,1,0,23,\n",
        order_products__prior__csv="order_id,product_id,add_to_cart_order,reordered\n10,196,1,0\n20,196,1,1\n40,9,1,0\n",
        order_products__train__csv="order_id,product_id,add_to_cart_order,reordered\n30,9,2,0\n",
        products__csv='product_id,product_name,aisle_id,department_id\n196,"Soda, plain",77,7\n9,Tea,94,7\n',
        aisles__csv="aisle_id,aisle\n77,soft drinks\n94,tea\n",
        departments__csv="department_id,department\n7,beverages\n",
    )
    (tmp_path / "order_products.prior.csv").rename(tmp_path / "order_products__prior.csv")
    (tmp_path / "order_products.train.csv").rename(tmp_path / "order_products__train.csv")
    spec = f"instacart:{tmp_path}"

    assert events(spec, "timestamp", "kind") == [
        ("1", "196", utc("2017-01-09 08:00"), "purchase"),
        ("1", "196", utc("2017-01-24 07:00"), "purchase"),
        ("2", "9", utc("2017-01-14 23:00"), "purchase"),
        ("1", "9", utc("2017-02-14 12:00"), "purchase"),
    ]
    assert items(spec, "title", "department", "category") == [
        ("196", "Soda, plain", "beverages", "soft drinks"),
        ("9", "Tea", "beverages", "tea"),
    ]
