"""The events that the source has too: compared at the coarser precision of both, and counted once."""

from datetime import date, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.event_days import EVENT_DAY, TakenEvents, event_store, merge_events
from recsys_assets.lake.event_rows import EventRows, events_not_in, precision_of
from recsys_assets.storage.home import Home
from recsys_assets_tests.lake.sent_events import event, on

SOURCE = RAW_INTERACTIONS.polars_schema()
DAY = date(2024, 1, 1)
Row = tuple[str, str, str | None, datetime]


def source(*rows: Row) -> pl.DataFrame:
    frame = pl.DataFrame(
        rows,
        schema={name: SOURCE[name] for name in ("user_id", "item_id", "kind", "timestamp")},
        orient="row",
    )
    return pl.concat([SOURCE.to_frame(), frame], how="diagonal")


def events(*rows: Row) -> pl.DataFrame:
    given_rows = [(f"e{n}", *row) for n, row in enumerate(rows)]
    names = ("event_id", "user_id", "item_id", "kind", "timestamp")
    frame = pl.DataFrame(given_rows, schema={name: EVENT_DAY[name] for name in names}, orient="row")
    return pl.concat([EVENT_DAY.to_frame(), frame], how="diagonal")


def new(of_source: pl.DataFrame, of_events: pl.DataFrame) -> list[str]:
    return events_not_in(of_source, of_events)["event_id"].to_list()


@pytest.mark.parametrize(
    ("exported", "sent", "same"),
    [
        (on(1, 10, 7, 31), on(1, 10, 7, 31), True),
        (on(1, 10, 7, 31), on(1, 10, 7, 31).replace(microsecond=250_000), True),
        (on(1, 10, 7, 31), on(1, 10, 7, 32), False),
        (on(1, 10, 7), on(1, 10, 7, 31), True),
        (on(1, 10, 7), on(1, 10, 8, 31), False),
        (on(1, 0), on(1, 10, 7, 31), True),
    ],
)
def test_a_purchase_by_event_and_by_export_is_one_at_the_coarser_of_both_precisions(exported, sent, same):
    found = new(source(("u", "i", "purchase", exported)), events(("u", "i", "purchase", sent)))
    assert (found == []) is same


@pytest.mark.parametrize("other", [("v", "i", "purchase"), ("u", "j", "purchase"), ("u", "i", "view")])
def test_an_event_of_another_user_item_or_kind_is_another_one(other):
    assert new(source(("u", "i", "purchase", on(1, 0))), events((*other, on(1, 10, 7, 31)))) == ["e0"]


@pytest.mark.parametrize("word", ["Order", " purchase ", "transaction"])
def test_kinds_are_compared_in_our_words(word):
    assert new(source(("u", "i", word, on(1))), events(("u", "i", "purchase", on(1)))) == []


@pytest.mark.parametrize(("kind", "same"), [("purchase", True), ("rating", True), ("view", False)])
def test_a_row_of_a_source_without_kinds_is_a_purchase_or_a_rating(kind, same):
    found = new(source(("u", "i", None, on(1, 10, 7, 31))), events(("u", "i", kind, on(1, 10, 7, 31))))
    assert (found == []) is same


def test_two_events_with_two_ids_are_two_however_alike():
    row = ("u", "i", "view", on(1))
    assert new(source(), events(row, row)) == ["e0", "e1"]


def test_the_precision_is_that_of_all_times():
    assert precision_of(pl.Series([on(1, 0), on(2, 0)])) == "1d"
    assert precision_of(pl.Series([on(1, 0), on(2, 3, 7)])) == "1m"
    assert precision_of(pl.Series([on(1, 0), on(2, 3, 7, 1)])) == "1s"


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 4), st.booleans()), max_size=30),
    st.sampled_from([1, 60, 86_400]),
)
def test_exactly_the_events_that_the_export_has_are_left_out(rows, seconds):
    """The export has some of the events, with times cut to `seconds`."""
    unit = {1: "1s", 60: "1m", 86_400: "1d"}[seconds]
    sent = [(f"u{user}", f"i{item}", "purchase", on(1, 1, at, 1)) for user, item, at, _ in rows]
    exported = [row for row, (*_, has) in zip(sent, rows, strict=True) if has]
    of_source = source(*exported).with_columns(pl.col("timestamp").dt.truncate(unit))
    found = set(new(of_source, events(*sent)))

    def key(row: Row) -> tuple[object, ...]:
        return (*row[:3], pl.Series([row[3]]).dt.truncate(unit)[0])

    has = {key(row) for row in exported}
    assert found == {f"e{n}" for n, row in enumerate(sent) if key(row) not in has}


def test_a_joined_day_has_the_rows_of_the_source_and_null_in_its_own_columns_of_events(tmp_path):
    store = event_store(Home(tmp_path))
    merge_events(
        store, [event(1, on(1, 11, 0, 5), kind="purchase"), event(2, on(1), item="i2")], TakenEvents()
    )
    store.settle()
    of_source = source(("u1", "i2", "view", on(1, 10))).with_columns(pl.lit("shop 7").alias("store_id"))
    rows = EventRows(store=store, last_day=DAY)
    ((_, joined),) = rows.joined([(DAY, of_source)])
    assert joined.schema == of_source.schema
    assert joined["item_id"].to_list() == ["i2", "i1"]
    assert joined["store_id"].to_list() == ["shop 7", None]
    assert rows.counts[DAY] == (1, 1)


def test_rows_of_the_source_after_its_last_day_do_not_count(tmp_path):
    store = event_store(Home(tmp_path))
    rows = EventRows(store=store, last_day=date(2023, 12, 31))
    ((_, joined),) = rows.joined([(DAY, source(("u1", "i2", "view", on(1))))])
    assert joined.is_empty()


def test_users_are_those_known_now_before_rows_are_compared(tmp_path):
    store = event_store(Home(tmp_path))
    merge_events(store, [event(1, on(1), user="anonymous")], TakenEvents())
    store.settle()
    rows = EventRows(store=store, last_day=DAY, users_now={"anonymous": "u1"})
    ((_, joined),) = rows.joined([(DAY, source(("u1", "i1", "view", on(1))))])
    assert joined["user_id"].to_list() == ["u1"]


def test_a_row_of_a_merged_user_lands_as_it_was_sent(tmp_path):
    store = event_store(Home(tmp_path))
    merge_events(store, [event(1, on(1), user="anonymous")], TakenEvents())
    store.settle()
    rows = EventRows(store=store, last_day=DAY, users_now={"anonymous": "u1"})
    ((_, joined),) = rows.joined([(DAY, source(("u1", "i2", "view", on(1))))])
    assert joined["user_id"].to_list() == ["u1", "anonymous"]
