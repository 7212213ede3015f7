"""Each line of README's table "you have … you type …" is true: what is typed reads what is had."""

import json
import re
import shlex
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets_tests.lake.files.test_tabular_files import workbook

README = (Path(__file__).parents[1] / "README.md").read_text()
TABLE = README.partition("| you have |")[2].partition("\n\n")[0]
TYPED = [shlex.split(cell) for cell in re.findall(r"\| `([^|]+)` \|$", TABLE, flags=re.MULTILINE)]


def lines(*rows: str) -> str:
    return "\n".join(rows) + "\n"


ORDERS = lines("user_id,item_id,timestamp", "u1,mug,2024-01-01 10:00", "u2,lamp,2024-01-02 11:00")


def nested() -> str:
    orders = [
        {"customer": {"id": user}, "created_at": f"2024-01-0{user}T10:00:00Z", "lines": [{"sku": "mug"}]}
        for user in (1, 2)
    ]
    return json.dumps(orders)


def product_viewed() -> str:
    events = [
        {
            "type": "track",
            "event": "Product Viewed",
            "userId": user,
            "timestamp": f"2024-01-0{user}T10:00:00.000Z",
            "properties": {"product_id": "mug"},
        }
        for user in (1, 2)
    ]
    return lines(*map(json.dumps, events))


def reviews() -> str:
    found = [
        {
            "reviewerID": f"u{day}",
            "asin": "0000000001",
            "overall": 5.0,
            "unixReviewTime": 1400000000 + day * 86400,
        }
        for day in (1, 2)
    ]
    return lines(*map(json.dumps, found))


def shop_orders() -> str:
    return lines(
        "Name,Email,Financial Status,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku",
        "#1001,ann@example.com,paid,2024-01-01 10:00:00 +0100,1,Red mug,2.95,mug",
        "#1001,,,2024-01-01 10:00:00 +0100,1,Lamp,9.95,lamp",
    )


def sales(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE sales (user_id TEXT, item_id TEXT, timestamp TEXT)")
        connection.executemany(
            "INSERT INTO sales VALUES (?, ?, ?)",
            [("u1", "mug", "2024-01-01 10:00:00"), ("u2", "lamp", "2024-01-02 11:00:00")],
        )
    connection.close()


def had(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


HAD: dict[str, dict[str, Callable[[Path], object]]] = {
    "tabular:orders.csv": {"orders.csv": had(ORDERS)},
    "tabular:days/*.csv": {
        "days/1.csv": had(ORDERS),
        "days/2.csv": had(ORDERS.replace("2024-01-0", "2024-02-0")),
    },
    "tabular:log.csv": {
        "log.csv": had(
            lines(
                "who,thing,user_id,item_id,timestamp", "u1,mug,u1,mug,01/02/2024", "u2,mug,u2,mug,02/02/2024"
            )
        )
    },
    "tabular:ratings.csv": {"ratings.csv": had(lines("user_id,item_id,rating", "u1,mug,5", "u2,lamp,3"))},
    "tabular:visits.csv": {
        "visits.csv": had(
            lines("user_id,item_id,Date,Time", "u1,mug,2024-01-01,10:00", "u2,lamp,2024-01-02,23:30")
        )
    },
    "tabular:clicks.tsv": {"clicks.tsv": had(lines("7\t31\t5\t1704103200", "8\t32\t1\t1704189600"))},
    "tabular:orders.json": {"orders.json": had(nested())},
    "tabular:events.csv": {
        "events.csv": had(
            lines("user_id,item_id,timestamp,kind", "u1,mug,2024-01-01,glance", "u1,mug,2024-01-02,ordered")
        )
    },
    "tabular:orders.xlsx": {
        "orders.xlsx": lambda path: workbook(path, Orders=[row.split(",") for row in ORDERS.splitlines()])
    },
    "sqlite:shop.db?query=SELECT * FROM sales": {"shop.db": sales},
    "shopify:orders_export.csv": {"orders_export.csv": had(shop_orders())},
    "segment:track.jsonl": {"track.jsonl": had(product_viewed())},
    "retailrocket:events.csv": {
        "events.csv": had(
            lines(
                "timestamp,visitorid,event,itemid,transactionid",
                "1433221332117,7,view,31,",
                "1433221999827,7,transaction,31,1",
            )
        )
    },
    "amazon:reviews.json,meta=products.json": {
        "reviews.json": had(reviews()),
        "products.json": had(lines(json.dumps({"asin": "0000000001", "title": "Red mug"}))),
    },
}


def test_there_are_fifteen_lines_and_each_is_tried():
    assert len(TABLE.strip().splitlines()) - 2 == len(TYPED) == 15
    assert {arguments[0] for arguments in TYPED} == HAD.keys()


@pytest.mark.parametrize("typed", TYPED, ids=" ".join)
def test_what_is_typed_reads_what_is_had(typed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, write in HAD[typed[0]].items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name)

    result = CliRunner().invoke(main, ["init", "--home", "home", "--yes", "--source", *typed])

    assert result.exit_code == 0, result.output
    assert re.search(r"All 2 rows are events|All 4 rows are events", result.output), result.output
