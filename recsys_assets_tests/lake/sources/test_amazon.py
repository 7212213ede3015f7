"""Amazon's releases, recognised by their keys, become the same events."""

import gzip
import json
from datetime import UTC, date, datetime

import polars as pl
import pytest

from recsys_assets.errors import EmptySourceError, SourceFormatError, SourceNotFoundError
from recsys_assets.lake.sources.amazon import Amazon

REVIEW_2014 = {
    "reviewerID": "A2IBPI20UZIR0U", "asin": "1384719342", "helpful": [13, 14], "overall": 5.0,
    "reviewText": "Good\nand 'so' on", "unixReviewTime": 1393545600, "reviewTime": "02 28, 2014",
}  # fmt: skip
REVIEW_2018 = {
    "overall": 4.0, "verified": True, "reviewerID": "A31UBHTUUIFJUT", "asin": "B004LLIKVU", "vote": "1,234",
    "style": {"Gift Amount:": " 50"}, "unixReviewTime": 1529193600,
}  # fmt: skip
REVIEW_2023 = {
    "rating": 1.0, "title": "No", "text": "", "images": [], "asin": "B07G584SHG", "parent_asin": "B09WC47S3V",
    "user_id": "AEMJ2EG5ODOCYUTI54NBXZHDJGSQ", "timestamp": 1602133857705,
    "helpful_vote": 2, "verified_purchase": False,
}  # fmt: skip


def written(path, *reviews):
    path.write_text("".join(json.dumps(review) + "\n" for review in reviews))
    return path


def event(path):
    (row,) = Amazon(path).scan().collect().to_dicts()
    return row


def test_a_review_of_2014_is_an_event(tmp_path):
    assert event(written(tmp_path / "f.json", REVIEW_2014)) == {
        "user_id": "A2IBPI20UZIR0U",
        "item_id": "1384719342",
        "timestamp": datetime(2014, 2, 28, tzinfo=UTC),
        "rating": 5.0,
        "quantity": None,
        "value": None,
        "kind": None,
        "verified": None,
        "helpful_votes": 13,
        "variant_id": None,
    }


def test_a_review_of_2018_is_an_event(tmp_path):
    found = event(written(tmp_path / "f.json", REVIEW_2018))

    assert (found["user_id"], found["item_id"], found["rating"]) == ("A31UBHTUUIFJUT", "B004LLIKVU", 4.0)
    assert found["timestamp"] == datetime(2018, 6, 17, tzinfo=UTC)
    assert (found["verified"], found["helpful_votes"]) == (True, 1234)


def test_a_review_of_2023_is_an_event_on_the_parent_product(tmp_path):
    found = event(written(tmp_path / "f.json", REVIEW_2023))

    assert (found["item_id"], found["variant_id"]) == ("B09WC47S3V", "B07G584SHG")
    assert found["timestamp"] == datetime(2020, 10, 8, 5, 10, 57, 705_000, tzinfo=UTC)
    assert (found["verified"], found["helpful_votes"]) == (False, 2)


def test_seconds_in_a_file_of_2023_are_not_read_as_milliseconds(tmp_path):
    assert (
        event(written(tmp_path / "f.json", {**REVIEW_2023, "timestamp": 1602133857}))["timestamp"].year
        == 2020
    )


def test_a_review_without_a_user_or_rating_keeps_its_nulls(tmp_path):
    found = event(written(tmp_path / "f.json", {**REVIEW_2023, "user_id": None, "rating": None}))

    assert (found["user_id"], found["rating"]) == (None, None)


def test_ratings_of_2018_have_the_item_first(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("B00005N7P0,AH2IFH762VY5U,5.0,1005177600\n")

    found = event(path)

    assert (found["user_id"], found["item_id"], found["rating"]) == ("AH2IFH762VY5U", "B00005N7P0", 5.0)
    assert found["timestamp"] == datetime(2001, 11, 8, tzinfo=UTC)


def test_ratings_of_2014_have_the_user_first(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("A1N4O8VOJZTDVB,0005000009,5.0,1388534400\nA1N4O8VOJZ,0005000009,4.0,1388534400\n")

    assert Amazon(path).scan().select("item_id").collect()["item_id"].unique().to_list() == ["0005000009"]


def test_ratings_of_2023_have_a_header(tmp_path):
    path = tmp_path / "f.csv.gz"
    path.write_bytes(
        gzip.compress(b"user_id,parent_asin,rating,timestamp\nAEMJ,B09WC47S3V,3.0,1602133857705\n")
    )

    found = event(path)

    assert (found["user_id"], found["item_id"], found["rating"]) == ("AEMJ", "B09WC47S3V", 3.0)
    assert found["timestamp"].microsecond == 705_000


def test_a_scan_stops_reading_after_the_requested_rows(tmp_path):
    path = tmp_path / "f.json"
    path.write_text(json.dumps(REVIEW_2014) + "\n" + "{broken\n")
    with path.open("a") as file:
        file.write(json.dumps(REVIEW_2014) + "\n")

    with pytest.raises(SourceFormatError, match="line 2"):
        list(Amazon(path).batches())


def test_a_scan_pushes_columns_rows_and_predicates_down(tmp_path):
    path = written(tmp_path / "f.json", REVIEW_2014, {**REVIEW_2014, "overall": 1.0}, REVIEW_2014)

    assert Amazon(path).scan().filter(pl.col("rating") > 2).select("rating").head(1).collect().rows() == [
        (5.0,)
    ]


@pytest.mark.parametrize(
    ("name", "rows", "first", "last"),
    [
        ("amazon_2014_Musical_Instruments_5.json.gz", 10_261, date(2004, 9, 18), date(2014, 7, 22)),
        ("amazon_2018_Gift_Cards_5.json.gz", 2_972, date(2012, 1, 31), date(2018, 8, 22)),
        ("amazon_2023_Subscription_Boxes.jsonl.gz", 16_216, date(2017, 1, 24), date(2023, 8, 30)),
        ("amazon_2018_Magazine_Subscriptions_ratings.csv.gz", 89_689, date(2001, 10, 26), date(2018, 9, 19)),
    ],
)
def test_every_row_of_a_real_file_is_an_event(real_file, name, rows, first, last):
    source = Amazon(real_file(name))

    found = source.date_range()
    missing = source.scan().select(pl.col("user_id", "item_id", "rating").null_count()).collect().row(0)

    assert (found.rows, found.first_day, found.last_day) == (rows, first, last)
    assert missing == (0, 0, 0)


def test_most_reviewed_gift_cards_are_in_their_metadata(real_file):
    source = Amazon(
        real_file("amazon_2018_Gift_Cards_5.json.gz"),
        products=real_file("amazon_2018_meta_Gift_Cards.json.gz"),
    )
    catalogue = source.catalogue()
    items = source.scan().select("item_id").collect().unique()

    assert catalogue.height == 1_547
    assert (
        items.join(catalogue.filter(pl.col("title").is_not_null()), on="item_id", how="semi").height
        > 0.9 * items.height
    )
    assert catalogue["price"].drop_nulls().min() > 0


def test_the_fingerprint_changes_with_the_file_only(tmp_path):
    path = written(tmp_path / "f.json", REVIEW_2014)
    before = Amazon(path).fingerprint()
    again = Amazon(path).fingerprint()
    written(path, REVIEW_2014, REVIEW_2014)

    assert before == again != Amazon(path).fingerprint()


def test_raises_with_the_line_when_a_timestamp_is_missing(tmp_path):
    path = written(tmp_path / "f.json", REVIEW_2014, {**REVIEW_2014, "unixReviewTime": None})

    with pytest.raises(SourceFormatError, match=r"f\.json: line 2 has no timestamp"):
        Amazon(path).date_range()


def test_raises_with_the_line_when_a_timestamp_is_no_date(tmp_path):
    path = written(tmp_path / "f.json", REVIEW_2014, {**REVIEW_2014, "unixReviewTime": 1393545600000})

    with pytest.raises(SourceFormatError, match="line 2 has the timestamp 1393545600000, which is no date"):
        Amazon(path).date_range()


def test_raises_with_line_and_column_when_a_rating_is_no_number(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("B00005N7P0,AH2IFH762VY5U,5.0,1005177600\nB00005N7P0,AH2IFH762VY5U,good,1005177600\n")

    with pytest.raises(SourceFormatError, match="line 2, column 'rating': 'good' is not a number"):
        Amazon(path).date_range()


@pytest.mark.parametrize(
    "text",
    ['{"user": 1, "item": 2}\n', "user,item,rating\n1,2,3\n", "a,b,c,d\n", "some words\n"],
    ids=["keys", "columns", "header", "prose"],
)
def test_raises_with_what_was_found_when_it_is_no_release(tmp_path, text):
    path = tmp_path / "f"
    path.write_text(text)

    with pytest.raises(SourceFormatError, match=r"line 1 .*tabular"):
        Amazon(path)


def test_raises_when_the_file_is_missing(tmp_path):
    with pytest.raises(SourceNotFoundError):
        Amazon(tmp_path / "none.json.gz")


def test_raises_when_the_metadata_are_missing(tmp_path):
    with pytest.raises(SourceNotFoundError, match="meta"):
        Amazon(written(tmp_path / "f.json", REVIEW_2014), products=tmp_path / "meta.json.gz")


def test_raises_when_reviews_are_given_for_metadata(tmp_path):
    path = written(tmp_path / "f.json", REVIEW_2018)

    with pytest.raises(SourceFormatError, match="no product"):
        Amazon(path, products=path)


def test_raises_when_a_ratings_file_has_only_its_header(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("user_id,parent_asin,rating,timestamp\n")

    with pytest.raises(EmptySourceError, match="no event"):
        Amazon(path).date_range()
