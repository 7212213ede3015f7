"""Files of presets are found, recognised, and rejected with a hint."""

from pathlib import Path

import pytest

from recsys_assets.errors import SourceFormatError, SourceNotFoundError
from recsys_assets.lake.sources.preset_files import find_files, merged, preset_for
from recsys_assets.source_settings import ReadingSettings

EVENTS = "timestamp,visitorid,event,itemid,transactionid\n1433221332117,257597,view,355908,\n"


def test_upper_case_and_gz_in_a_name_do_not_matter(tmp_path):
    (tmp_path / "EVENTS.csv").write_text(EVENTS)

    assert find_files("retailrocket", tmp_path).events == ((tmp_path / "EVENTS.csv",),)


def test_a_file_of_any_name_is_taken_where_it_is_named_itself(tmp_path):
    (tmp_path / "mine.txt").write_text(EVENTS)
    (tmp_path / "category_tree.csv").write_text("categoryid,parentid\n1,2\n")
    found = find_files("retailrocket", tmp_path / "mine.txt")

    assert found.events == ((tmp_path / "mine.txt",),)
    assert found.others["tree"] == [tmp_path / "category_tree.csv"]


def test_raises_with_the_right_preset_when_a_file_is_of_another(tmp_path):
    (tmp_path / "events.csv").write_text(EVENTS)

    with pytest.raises(
        SourceFormatError, match=r"is not of shopify .*this looks like `retailrocket:.*events\.csv`"
    ):
        find_files("shopify", tmp_path / "events.csv")


def test_raises_with_the_right_preset_when_a_folder_is_of_another(tmp_path):
    (tmp_path / "events.csv").write_text(EVENTS)

    with pytest.raises(SourceNotFoundError, match=r"no events of olist .*is it Retailrocket"):
        find_files("olist", tmp_path)


@pytest.mark.parametrize(
    ("file", "columns", "preset"),
    [
        (
            "orders.csv",
            ["Name", "Email", "Created at", "Lineitem name", "Lineitem quantity", "Vendor"],
            "shopify",
        ),
        ("u.data", ["1", "2", "3", "4"], "movielens-100k"),
        ("x.json", ["event_name", "event_timestamp", "user_pseudo_id", "items[].item_id"], "ga4"),
        ("x.json", ["type", "event", "anonymousId", "properties.product_id"], "segment"),
        ("events.csv", ["user_id", "item_id", "timestamp"], None),
        ("data.csv", ["1", "2", "3", "4"], None),
    ],
)
def test_a_table_is_recognised_by_its_columns(file, columns, preset):
    assert preset_for([Path(file)], columns) == preset


def test_the_settings_come_before_what_a_preset_declares():
    declared = ReadingSettings(delimiter=";", time_format="seconds", kinds={"buy": "purchase"})
    given = ReadingSettings(time_format="iso", kinds={"add": "cart"})

    assert merged(declared, given) == ReadingSettings(
        delimiter=";", time_format="iso", kinds={"buy": "purchase", "add": "cart"}
    )


def test_raises_when_the_file_is_not_there(tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"nothing\.csv: no such file"):
        find_files("shopify", tmp_path / "nothing.csv")
