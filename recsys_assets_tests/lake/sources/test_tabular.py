"""Any table becomes events by a column mapping, in any of the formats."""

import gzip
import os
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.contract import ITEM_CATALOGUE
from recsys_assets.lake.sources.tabular import Tabular
from recsys_assets.source_settings import ReadingSettings

MOMENT = datetime(2017, 7, 14, 2, 40, 0, 250_000, tzinfo=UTC)
MAPPING = {"user_id": "who", "item_id": "what", "timestamp": "when", "rating": "stars", "store_id": "shop"}
FRAME = pl.DataFrame(
    {
        "shop": ["a", None], "who": ["u1", "u,2"], "what": ["i1", 'i"2'],
        "when": ["2017-07-14T02:40:00.25Z"] * 2, "stars": [4.5, None], "other": ["x", "y"],
    }
)  # fmt: skip
EVENTS = [
    ("u1", "i1", MOMENT, 4.5, None, None, None, "a"),
    ("u,2", 'i"2', MOMENT, None, None, None, None, None),
]


def written(folder: Path, name: str) -> Path:
    path = folder / name
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    match plain.suffix:
        case ".csv":
            FRAME.write_csv(plain)
        case ".tsv":
            FRAME.write_csv(plain, separator="\t")
        case ".jsonl":
            FRAME.write_ndjson(plain)
        case _:
            FRAME.write_parquet(plain)
    if path != plain:
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
    return path


@pytest.mark.parametrize(
    "name", ["f.csv", "f.tsv", "f.jsonl", "f.parquet", "f.csv.gz", "f.tsv.gz", "f.jsonl.gz"]
)
def test_every_format_gives_the_same_events(tmp_path, name):
    source = Tabular(written(tmp_path, name), columns=MAPPING)

    assert source.scan().collect().rows() == EVENTS
    assert list(source.contract.columns)[-1] == "store_id"


def test_columns_of_our_names_need_no_mapping(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("timestamp,value,item_id,user_id\n2017-07-14,2.5,i,u\n")

    assert Tabular(path).scan().collect().rows() == [
        ("u", "i", datetime(2017, 7, 14, tzinfo=UTC), None, None, 2.5, None)
    ]


def test_a_glob_is_read_in_the_order_of_names(tmp_path):
    for name in ("b.csv", "a.csv", "c.txt"):
        (tmp_path / name).write_text(f"user_id,item_id,timestamp\n{name},i,2017-07-14\n")

    assert Tabular(tmp_path / "*.csv").scan().collect()["user_id"].to_list() == ["a.csv", "b.csv"]


@pytest.mark.parametrize(
    "when",
    [
        pl.Series([MOMENT]),
        pl.Series([MOMENT]).cast(pl.Datetime("ns", "UTC")),
        pl.Series([MOMENT]).dt.convert_time_zone("America/New_York"),
        pl.Series([MOMENT.replace(tzinfo=None)]),
        pl.Series([MOMENT.replace(tzinfo=None)]).cast(pl.Datetime("ms")),
        pl.Series([1_500_000_000.25]),
        pl.Series([1_500_000_000_250]),
        pl.Series([1_500_000_000_250_000]),
        pl.Series([1_500_000_000_250_000_000]),
        pl.Series(["1500000000250"]),
        pl.Series(["1500000000.25"]),
        pl.Series(["2017-07-14 04:40:00.25+02:00"]),
    ],
    ids=lambda when: f"{when.dtype} {when[0]}",
)
def test_a_timestamp_of_any_type_is_read(tmp_path, when):
    path = tmp_path / "f.parquet"
    pl.DataFrame({"user_id": ["u"], "item_id": ["i"], "timestamp": when}).write_parquet(path)

    assert Tabular(path).scan().collect()["timestamp"].to_list() == [MOMENT]


def test_a_date_is_its_midnight(tmp_path):
    path = tmp_path / "f.parquet"
    pl.DataFrame({"user_id": ["u"], "item_id": ["i"], "timestamp": [date(2017, 7, 14)]}).write_parquet(path)

    assert Tabular(path).scan().collect()["timestamp"].to_list() == [datetime(2017, 7, 14, tzinfo=UTC)]


@given(ids=st.lists(st.integers(0, 2**53), min_size=1))
def test_ids_that_are_numbers_become_text_without_a_fraction(tmp_path_factory, ids):
    path = tmp_path_factory.mktemp("ids") / "f.parquet"
    pl.DataFrame(
        {"user_id": ids, "item_id": [float(number) for number in ids], "timestamp": MOMENT}
    ).write_parquet(path)

    found = Tabular(path).scan().collect()

    assert found["user_id"].to_list() == found["item_id"].to_list() == [str(number) for number in ids]


def test_a_key_may_be_missing_from_the_first_json_line(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text(
        '{"user_id": 1, "item_id": "i", "timestamp": 1500000000}\n'
        '{"user_id": "u", "item_id": "i", "timestamp": 1500000000, "rating": "4.5"}\n'
    )

    assert Tabular(path).scan().select("user_id", "rating").collect().rows() == [("1", None), ("u", 4.5)]


def test_mapped_descriptions_are_the_catalogue(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text(
        "user_id,item_id,timestamp,name,cost\n"
        "u,b,2017-07-15,New name,2.5\nu,b,2017-07-14,Old name,9\nu,b,2017-07-16,,n/a\nu,a,2017-07-14,A,-1\n"
        "u,c,2017-07-14,,\nu,,2017-07-14,x,1\n"
    )

    source = Tabular(path, columns={"title": "name", "price": "cost"})

    assert source.catalogue().select("item_id", "title", "price").rows() == [
        ("a", "A", None),
        ("b", "New name", 2.5),
        ("c", None, None),
    ]
    assert source.catalogue().schema == ITEM_CATALOGUE.polars_schema()


def test_without_mapped_descriptions_there_is_no_catalogue(tmp_path):
    assert Tabular(written(tmp_path, "f.csv"), columns=MAPPING).catalogue() is None


def test_parquet_comes_in_batches_of_bounded_size(tmp_path):
    path = tmp_path / "f.parquet"
    rows = 250_000
    pl.DataFrame({"user_id": range(rows), "item_id": "i", "timestamp": MOMENT}, strict=False).write_parquet(
        path
    )

    heights = [batch.height for batch in Tabular(path).batches()]

    assert sum(heights) == rows
    assert max(heights) <= 100_000


def test_raises_with_a_suggestion_when_a_mapped_column_is_not_there(tmp_path):
    path = written(tmp_path, "f.csv")

    with pytest.raises(
        SourceFormatError,
        match=r"f\.csv: no column 'wen' \(did you mean 'when'\?\), only shop, .*timestamp in",
    ):
        Tabular(path, columns={**MAPPING, "timestamp": "wen"})


def test_raises_with_what_to_write_when_a_required_column_is_not_there(tmp_path):
    with pytest.raises(
        SourceFormatError, match=r"no column 'user_id'.*by --column user_id=… or in \[source.columns\]"
    ):
        Tabular(written(tmp_path, "f.parquet"))


def test_a_column_of_some_files_is_null_in_the_others(tmp_path):
    (tmp_path / "a.csv").write_text("user_id,item_id,timestamp,rating,shop\nu,i,2017-07-14,1,s\n")
    (tmp_path / "b.csv").write_text("timestamp,item_id,user_id\n1500000000,i,u\n")

    events = Tabular(tmp_path / "*.csv", columns={"store_id": "shop"}).scan().collect()

    assert events.select("rating", "store_id").rows() == [(1.0, "s"), (None, None)]
    assert [when.date() for when in events["timestamp"]] == [date(2017, 7, 14)] * 2


def test_raises_when_a_later_file_of_a_glob_lacks_a_required_column(tmp_path):
    (tmp_path / "a.csv").write_text("user_id,item_id,timestamp\nu,i,2017-07-14\n")
    (tmp_path / "b.csv").write_text("user_id,timestamp\nu,2017-07-14\n")

    with pytest.raises(SourceFormatError, match=r"b\.csv: no column 'item_id'"):
        Tabular(tmp_path / "*.csv")


def events_of(folder, text, **given):
    (folder / "events.csv").write_text(text)
    return Tabular(folder / "events.csv", **given)


def test_the_first_of_alternative_columns_that_a_file_has_is_read(tmp_path):
    source = events_of(tmp_path, "b,item_id,timestamp\nu,i,2017-07-14\n", columns={"user_id": ("a", "b")})

    assert source.scan().collect()["user_id"].to_list() == ["u"]


def test_an_id_has_one_form_in_every_format(tmp_path):
    source = events_of(
        tmp_path,
        'user_id,item_id,timestamp\n17850.0,007,2017-07-14\n"17850 ",7,2017-07-14\nNaN,,2017-07-14\n',
    )

    assert source.scan().select("user_id", "item_id").collect().rows() == [
        ("17850", "007"), ("17850", "7"), (None, None)
    ]  # fmt: skip


def test_a_decimal_comma_is_read_by_the_whole_column(tmp_path):
    source = events_of(
        tmp_path,
        'user_id;item_id;timestamp;rating;value\nu;i;2017-07-14;"4,5";1.234,50 €\nu;i;2017-07-14;3;2\n',
    )

    assert source.scan().select("rating", "value").collect().rows() == [(4.5, 1234.5), (3.0, 2.0)]


@pytest.mark.parametrize(
    ("snapshot", "day"), [("2020-02-29", date(2020, 2, 29)), ("file", date(2017, 7, 14))]
)
def test_a_file_without_a_time_is_read_on_one_day(tmp_path, snapshot, day):
    source = events_of(tmp_path, "user_id,item_id\nu,i\n", reading=ReadingSettings(snapshot=snapshot))
    os.utime(tmp_path / "events.csv", (1_500_000_000, 1_500_000_000))

    assert [when.date() for when in source.scan().collect()["timestamp"]] == [day]


def test_kinds_are_translated_and_a_constant_kind_is_set(tmp_path):
    text = "user_id,item_id,timestamp,kind\nu,i,2017-07-14, AddToCart\nu,i,2017-07-14,other\n"
    translated = events_of(tmp_path, text, reading=ReadingSettings(kinds={"addtocart": "cart"}))
    assert translated.scan().collect()["kind"].to_list() == ["cart", "other"]

    constant = events_of(tmp_path, text.replace("kind", "x"), reading=ReadingSettings(kind="view"))
    assert constant.scan().collect()["kind"].to_list() == ["view", "view"]


def test_only_the_first_line_of_an_order_needs_customer_and_time(tmp_path):
    source = events_of(
        tmp_path,
        "order_id,user_id,item_id,timestamp\n1,u,a,2017-07-14\n1,,b,\n2,,c,2017-07-15\n1,,d,2017-07-16\n",
    )

    events = source.scan().select("user_id", "item_id", pl.col("timestamp").dt.date()).collect()
    assert events.rows() == [
        ("u", "a", date(2017, 7, 14)), ("u", "b", date(2017, 7, 14)),
        (None, "c", date(2017, 7, 15)), (None, "d", date(2017, 7, 16)),
    ]  # fmt: skip


def test_the_days_first_order_is_told_by_a_row_far_below_the_first(tmp_path):
    lines = ["u,i,01/02/2020"] * 5_000
    lines[4_321] = "u,i,31/01/2020"
    source = events_of(tmp_path, "\n".join(["user_id,item_id,timestamp", *lines]) + "\n")

    assert source.scan().collect()["timestamp"].dt.date().unique().sort().to_list() == [
        date(2020, 1, 31), date(2020, 2, 1)
    ]  # fmt: skip
