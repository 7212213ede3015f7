"""A table's columns, times and numbers are proposed from a sample, and what is not sure is a question."""

import json
from datetime import UTC, datetime

import pytest

from recsys_assets.errors import EmptySourceError, SettingsError, SourceFormatError
from recsys_assets.lake.proposal import propose, settled
from recsys_assets.source_settings import Given, ReadingSettings


@pytest.fixture
def table(tmp_path):
    """Return a writer of a file, whose last line needs no line end."""

    def written(text, name="f.csv"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return written


SHOP = (
    "InvoiceNo;StockCode;Description;Quantity;InvoiceDate;UnitPrice;CustomerID;Country\n"
    "1;85123A;MUG;6;12/13/2010 8:26;2,55;17850.0;UK\n1;POST;POSTAGE;1;12/13/2010 8:26;18,00;17850.0;UK\n"
)


def test_the_columns_of_a_shop_are_found_by_name(table):
    found = propose(table(SHOP), Given())

    assert found.columns == {
        "user_id": "CustomerID", "item_id": "StockCode", "timestamp": "InvoiceDate", "order_id": "InvoiceNo",
        "quantity": "Quantity", "price": "UnitPrice", "title": "Description",
    }  # fmt: skip
    assert found.questions == ()
    assert found.unread == ["Country"]
    assert found.reading == ReadingSettings(time_format="%m/%d/%Y %H:%M", decimal=",")
    assert found.sample.select("user_id", "item_id", "timestamp", "quantity").row(0) == (
        "17850", "85123A", datetime(2010, 12, 13, 8, 26, tzinfo=UTC), 6.0
    )  # fmt: skip
    assert 'not_products = ["POST"]' in found.notes[0]


def test_own_names_are_themselves_without_a_mapping(table):
    found = propose(table("user_id,item_id,timestamp,title,x\nu,i,2024-01-01,Mug,1\n"), Given())

    assert (found.columns, found.renamed, found.reading) == ({}, {}, ReadingSettings())
    assert found.read_as["title"] == "title"


def test_what_a_person_gives_is_not_guessed(table):
    given = Given(
        columns={"user_id": "Country", "where": "Country"}, reading=ReadingSettings(kind="purchase")
    )
    found = propose(table(SHOP), given)

    assert found.columns["user_id"] == "Country"
    assert found.sample.select("user_id", "kind", "where").row(0) == ("UK", "purchase", "UK")


def test_without_a_header_the_columns_are_found_by_their_values(table):
    lines = "".join(f"{n % 7 + 100}\t{n % 5 + 900}\t{n % 5 + 1}\t{881250949 + n}\n" for n in range(30))
    found = propose(table(lines, "u.data"), Given())

    assert [(question.option, question.proposal) for question in found.questions] == [
        ("--column user_id=", "1"), ("--column item_id=", "2"), ("--column timestamp=", "4")
    ]  # fmt: skip
    assert found.columns["rating"] == "3"


def test_kinds_in_other_words_are_translated(table):
    path = table("visitorid,itemid,event,timestamp\n1,2,view,1433221332117\n1,2,transaction,1433221332118\n")

    found = propose(path, Given())

    assert found.columns["kind"] == "event"
    assert found.reading.kinds == {"transaction": "purchase"}
    assert found.sample["kind"].to_list() == ["view", "purchase"]


def test_identical_rows_of_an_order_are_pieces_where_nothing_counts_them(table):
    order = "order_id,user_id,item_id,timestamp{}\n1,u,i,2024-01-01{}\n"

    assert propose(table(order.format("", "")), Given()).pieces
    assert not propose(table(order.format(",quantity", ",2")), Given()).pieces
    assert not propose(table(order.format(",line", ",1")), Given()).pieces
    assert not propose(table("user_id,item_id,timestamp\nu,i,2024-01-01\n"), Given()).pieces


DAYS = "user_id,item_id,timestamp\n" + "".join(f"u,i,1/{day}/2020\n" for day in range(2, 12))


def test_an_open_order_of_day_and_month_is_a_question_with_the_sorted_one_proposed(table):
    (question,) = propose(table(DAYS), Given()).questions

    assert (question.option, question.proposal) == ("--time-format", "%m/%d/%Y")
    assert question.choices == {
        "%d/%m/%Y": "1/2/2020 is 01 February 2020",
        "%m/%d/%Y": "1/2/2020 is 02 January 2020",
    }
    assert settled(table(DAYS), Given(), take=True).reading.time_format == "%m/%d/%Y"


def test_an_answer_closes_its_question(table):
    path = table(DAYS)
    (question,) = propose(path, Given()).questions

    found = propose(path, Given().answered(question.option, "%d/%m/%Y"))

    assert found.questions == ()
    assert found.sample["timestamp"][0] == datetime(2020, 2, 1, tzinfo=UTC)


def test_an_order_that_any_file_shows_is_no_question(table, tmp_path):
    table(DAYS, "a.csv")
    table("user_id,item_id,timestamp\nu,i,1/31/2020\n", "b.csv")

    found = propose(tmp_path / "*.csv", Given())

    assert (found.questions, found.reading.time_format) == ((), "%m/%d/%Y")


def test_thousands_and_a_decimal_comma_of_three_digits_are_a_question(table):
    path = table('user_id,item_id,timestamp,value\nu,i,2024-01-01,"1,234"\n')

    (question,) = propose(path, Given()).questions

    assert (question.option, question.choices) == ("--decimal", {".": "1,234 is 1234", ",": "1,234 is 1.234"})
    given = Given(reading=ReadingSettings(decimal=","))
    assert propose(path, given).sample["value"].to_list() == [1.234]


def test_a_table_without_a_time_can_be_of_one_day(table):
    path = table("user_id,item_id\nu,i\n")
    (question,) = propose(path, Given()).questions

    assert (question.option, list(question.choices)) == ("--no-time", [question.proposal, "file"])
    assert "no time split" in question.text
    assert settled(path, Given(), take=True).reading.snapshot == question.proposal


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DAYS, r"give --time-format '%d/%m/%Y' or --time-format '%m/%d/%Y', or take '%m/%d/%Y' by --yes"),
        ("user_id,item_id,timestamp\nu,i,12345678\n", "'12345678' as seconds is 1970-05-23 .*-format seconds$"),
        ("user_id,item_id,timestamp\nu,i,soon\n", "'soon' and the other values have no time format"),
        ("user_id,item_id,when\nu,i,soon\n", "column 'when': 'soon' and the other values have no time format"),
        ("user_id,item_id\nu,i\n", "no time column; .*; give --no-time 2"),
        ("order_id,product_id,seller_id,at\no,p,s,2024-01-01\n", "no column 'user_id', only .*by --column user_id=…"),
    ],
)  # fmt: skip
def test_raises_in_one_line_that_names_the_option(table, text, message):
    with pytest.raises(SourceFormatError, match=message) as raised:
        settled(table(text), Given(), take=False)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user_id": "CustomerId"}, r"no column 'CustomerId' \(did you mean 'CustomerID'\?\)"),
        ({"user_id": "buyer"}, r"no column 'buyer' \(did you mean 'CustomerID'\?\)"),
        ({"user_id": "InvoiceN"}, r"no column 'InvoiceN' \(did you mean 'CustomerID'\?\)"),
        ({"own": "Countr"}, r"no column 'Countr' \(did you mean 'Country'\?\)"),
    ],
)
def test_raises_with_a_suggestion_by_meaning(table, columns, message):
    with pytest.raises(SourceFormatError, match=message):
        propose(table(SHOP), Given(columns=columns))


@pytest.mark.parametrize(
    ("ours", "meant"), [("user", "user_id"), ("timestmp", "timestamp"), ("Item-ID", "item_id")]
)
def test_raises_when_a_name_is_near_one_of_ours(table, ours, meant):
    with pytest.raises(SettingsError, match=f"column {ours!r}: none of ours .did you mean {meant!r}"):
        propose(table(SHOP), Given(columns={ours: "Country"}))


def test_raises_when_there_is_no_row(table):
    with pytest.raises(EmptySourceError, match="no event"):
        propose(table("user_id,item_id,timestamp\n"), Given())


def test_a_column_of_our_name_that_holds_something_else_is_not_read(table):
    found = propose(table("user_id,item_id,timestamp,rating\nu,i,2024-01-01,5/5\n"), Given())

    assert found.columns == {"rating": ""}
    assert found.unread == ["rating"]
    assert found.sample["rating"].to_list() == [None]
    assert found.notes == [
        "rating is not read: '5/5' is no number. To read another column: --column rating=…"
    ]


def test_without_a_header_a_kind_is_found_by_its_words(table):
    lines = "".join(f"{n % 4},Game {n % 6},{('purchase', 'play')[n % 2]},{n}.5\n" for n in range(30))

    found = propose(table(lines), Given(reading=ReadingSettings(header=False)))

    assert {name: found.columns[name] for name in ("user_id", "item_id", "kind")} == {
        "user_id": "1", "item_id": "2", "kind": "3"
    }  # fmt: skip


ORDERS = [
    {
        "id": 9000 + n, "name": f"#{n}", "created_at": f"2024-03-{n % 28 + 1:02d}T08:00:00+01:00",
        "customer": {"id": n % 7}, "total_price": "9.50", "refunds": [{"id": 1, "note": "late"}], "tags": ["a", "b"],
        "line_items": [
            {"id": 10 * n + place, "product_id": place, "quantity": 2, "price": "3.50"} for place in range(1 + n % 3)
        ],
    }
    for n in range(30)
]  # fmt: skip


def test_nested_orders_have_the_customer_as_user_and_their_own_number_as_order(table):
    found = propose(table(json.dumps({"orders": ORDERS}), "orders.json"), Given())

    assert found.columns == {
        "user_id": "customer.id", "item_id": "line_items[].product_id", "timestamp": "created_at", "order_id": "id",
        "line": "line_items[].id", "quantity": "line_items[].quantity", "price": "line_items[].price",
    }  # fmt: skip
    assert {"total_price", "name", "refunds[].note"} <= set(found.unread)  # of the order, or of another list
    assert found.sample.height == sum(len(order["line_items"]) for order in ORDERS)


def test_the_items_of_a_plain_list_are_a_row_each(table):
    lines = [json.dumps({"user": "u", "items": ["a", "b"], "time": "2024-03-01"})] * 2

    found = propose(table("\n".join(lines), "f.jsonl"), Given())

    assert found.columns["item_id"] == "items[]"
    assert found.sample["item_id"].to_list() == ["a", "b", "a", "b"]


@pytest.mark.parametrize("number", ["{row}", "{order}"])
def test_a_column_that_numbers_rows_or_orders_is_no_user(table, number):
    rows = [
        f"{number.format(row=row, order=row // 3)},p{row // 3 % 7},t{row % 5},2024-03-{row // 3 % 28 + 1:02d}\n"
        for row in range(90)
    ]
    found = propose(table(f"nr,who,what,moment\n{''.join(rows)}"), Given())

    assert (found.columns["user_id"], found.columns["item_id"]) == ("who", "what")


def test_numbers_that_begin_again_with_each_order_are_its_lines_and_no_item(table):
    rows = [f"{row // 2},2024-03-01,Ann {row % 3},{row % 2 + 1},Mug {row % 5},2\n" for row in range(30)]

    found = propose(
        table(f"Order Number,Date,Customer,Item #,Item Name,Quantity (- Refund)\n{''.join(rows)}"), Given()
    )

    assert found.columns == {
        "user_id": "Customer", "timestamp": "Date", "order_id": "Order Number", "line": "Item #",
        "item_id": "Item Name", "title": "Item Name", "quantity": "Quantity (- Refund)",
    }  # fmt: skip
    assert [(question.option, question.proposal) for question in found.questions] == [
        ("--column item_id=", "Item Name")
    ]


def test_rounded_ids_and_addresses_that_differ_by_case_are_said(table):
    rows = "Ann@x.de,1.78E+04,2024-03-01\nann@x.de,5.90E+12,2024-03-02\n"

    notes = propose(table(f"user_id,item_id,timestamp\n{rows}"), Given()).notes

    assert (
        "2 values of user_id differ by upper and lower case alone and stay apart, such as 'Ann@x.de'" in notes
    )
    assert any(note.startswith("item_id '1.78E+04' was rounded by a spreadsheet") for note in notes)
