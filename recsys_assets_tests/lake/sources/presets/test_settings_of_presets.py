"""`recsys init` of a ready-made source writes what its format fixes, and keeps what a person chose."""

import pytest

from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.initialise import initialise
from recsys_assets.lake.proposal import propose
from recsys_assets.lake.sources.registry import open_source, source_of
from recsys_assets.source_settings import Given
from recsys_assets.storage.home import Home
from recsys_assets_tests.lake.sources.presets.reading import write
from recsys_assets_tests.lake.sources.presets.test_shop_orders import SHOPIFY

HM = "t_dat,customer_id,article_id,price,sales_channel_id\n2018-09-20,c1,0663713001,0.05,2\n2018-09-21,c2,01,0.05,2\n"


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def hm(tmp_path):
    return f"hm:{write(tmp_path, transactions_train__csv=HM)}"


def test_rows_that_are_alike_are_pieces_where_the_set_has_no_quantity(home, hm):
    said = []
    settings = initialise(home, hm, say=said.append)

    assert settings.interactions.identical_rows == "pieces"
    assert said[0].startswith("Rows that are alike are pieces")
    assert source_of(settings.source).survey().rows.total == 2


def test_a_persons_own_setting_stays(home, hm):
    home.settings_file.parent.mkdir(parents=True)
    home.settings_file.write_text('[interactions]\nidentical_rows = "duplicates"\n')

    assert initialise(home, hm).interactions.identical_rows == "duplicates"


def test_a_column_of_the_file_takes_the_place_of_the_presets(tmp_path):
    write(tmp_path, orders_export__csv=SHOPIFY)
    source = open_source(f"shopify:{tmp_path}", columns={"item_id": "Lineitem name", "currency": "Currency"})
    events = next(source.batches())

    assert events["item_id"].to_list() == ["Red mug", "Tote bag", "Red mug"]
    assert events["currency"].to_list() == ["EUR", None, "EUR"]


def test_a_table_of_a_preset_is_named_by_the_proposal(tmp_path):
    write(tmp_path, orders_export__csv=SHOPIFY)
    proposal = propose(tmp_path / "orders_export.csv", Given())

    assert proposal.notes[-1].startswith("This looks like Shopify")
    assert f"--source 'shopify:{tmp_path / 'orders_export.csv'}'" in proposal.notes[-1]
    assert "of the first 3 rows would be left out" in proposal.notes[-1]


def test_raises_with_the_column_that_was_meant(tmp_path):
    write(tmp_path, orders_export__csv=SHOPIFY)

    with pytest.raises(SourceFormatError, match=r"no column 'Lineitem nme' \(did you mean 'Lineitem"):
        open_source(f"shopify:{tmp_path}", columns={"item_id": "Lineitem nme"})


def test_raises_when_no_column_has_the_user(tmp_path):
    write(
        tmp_path,
        orders__csv="Order Number,Order Status,Order Date,SKU,Item Cost\n1,Completed,2024-05-14,A,2\n",
    )

    with pytest.raises(
        SourceFormatError, match=r"no column 'Email \(Billing\)'.*name it by --column user_id="
    ):
        open_source(f"woocommerce:{tmp_path}")
