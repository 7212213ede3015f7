"""Returns take pieces off the purchases before them, on any day; nothing is read where none came back."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.interactions.cleaning import Cleaned, clean_days
from recsys_assets.interactions.returns import taken_off
from recsys_assets.interactions.row_rule import RowRule
from recsys_assets.interactions.wish_rule import WishRule
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.raw_returns import with_note
from recsys_assets.storage.partition_store import PartitionStore

FIRST = date(2024, 1, 1)
SCHEMA = RAW_INTERACTIONS.polars_schema()


def store_of(folder, rows: list[dict]) -> PartitionStore:
    """Write raw rows as days; `day` counts from FIRST, `hour` is that of the event."""
    store = with_note(PartitionStore(root=folder, schema=SCHEMA))
    for number in {row["day"] for row in rows}:
        day = FIRST + timedelta(days=number)
        events = [
            {"user_id": "u", "item_id": "i"}
            | {key: value for key, value in row.items() if key not in {"day", "hour"}}
            | {"timestamp": datetime(day.year, day.month, day.day, row.get("hour", 12), tzinfo=UTC)}
            for row in rows
            if row["day"] == number
        ]
        store.write(day, pl.DataFrame(events, schema=SCHEMA))
    return store


def cleaned(store: PartitionStore, rule: RowRule) -> list[Cleaned]:
    (chunk,) = store.read_chunks(store.days(), every_column=True)
    return clean_days(chunk, rule=WishRule(), rows=rule, taken_off=taken_off(store, rule))


def kept(store: PartitionStore, rule: RowRule) -> list[tuple]:
    """Day number, item, quantity and value of what is left."""
    return [
        (number, *row)
        for number, of_day in enumerate(cleaned(store, rule))
        for row in of_day.frame.select("item_id", "quantity", "value").rows()
    ]


SOLD = [
    {"day": 0, "item_id": "back", "quantity": 2.0, "value": 10.0},
    {"day": 0, "item_id": "part", "quantity": 1.0, "value": 5.0},
    {"day": 1, "item_id": "part", "quantity": 4.0, "value": 20.0},
    {"day": 1, "item_id": "kept", "quantity": 1.0, "value": 1.0},
    {"day": 2, "item_id": "back", "quantity": -2.0, "value": -10.0},
    {"day": 2, "item_id": "part", "quantity": -1.0, "value": -5.0},
]


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        ("cancel", [(0, "part", 1.0, 5.0), (1, "kept", 1.0, 1.0), (1, "part", 3.0, 15.0)]),
        (
            "keep",
            [(0, "back", 2.0, 10.0), (0, "part", 1.0, 5.0), (1, "kept", 1.0, 1.0), (1, "part", 4.0, 20.0)],
        ),
        ("drop", [(1, "kept", 1.0, 1.0)]),
    ],
)
def test_the_latest_purchase_before_it_loses_the_pieces_of_a_return(tmp_path, choice, left):
    assert kept(store_of(tmp_path, SOLD), RowRule(returns=choice)) == left


def test_a_purchase_with_nothing_left_is_counted_with_its_return(tmp_path):
    found = cleaned(store_of(tmp_path, SOLD), RowRule())
    assert [of_day.dropped for of_day in found] == [{"returned": 1}, {}, {"returned": 2}]


@pytest.mark.parametrize("back", [{"quantity": -1.0}, {"kind": "Refund"}, {"kind": " return "}])
def test_a_return_without_a_quantity_is_one_piece(tmp_path, back):
    rows = [{"day": 0, "hour": 9}, {"day": 0, "hour": 10, "kind": "purchase"}, {"day": 1, **back}]
    (first, _) = cleaned(store_of(tmp_path, rows), RowRule())
    assert first.frame["kind"].to_list() == [None]


@pytest.mark.parametrize(
    "other", [{"kind": "view"}, {"rating": 5.0}, {"kind": "like"}, {"user_id": "v"}, {"day": 2}]
)
def test_only_purchases_of_the_pair_before_it_lose_pieces(tmp_path, other):
    rows = [{"day": 0} | other, {"day": 1, "quantity": -1.0}]
    store = store_of(tmp_path, rows)
    assert sum(of_day.frame.height for of_day in cleaned(store, RowRule())) == 1


def test_a_return_that_came_twice_counts_once(tmp_path):
    rows = [{"day": 0, "quantity": 2.0}, *[{"day": 1, "quantity": -1.0}] * 2]
    assert kept(store_of(tmp_path, rows), RowRule()) == [(0, "i", 1.0, None)]


def test_a_later_return_changes_the_days_that_it_touches_and_no_other(tmp_path):
    store, rule = store_of(tmp_path, SOLD[:4]), RowRule()
    assert taken_off(store, rule).frame.is_empty()
    store_of(tmp_path, SOLD)
    found = taken_off(store, rule)
    touched = [day for day in store.days() if found.fingerprint(day)]
    assert touched == [FIRST, FIRST + timedelta(days=1)]


class UnreadStore(PartitionStore):
    """A store of which no day may be read."""

    def read_chunks(self, days, **_):
        assert not list(days)
        return iter(())


def test_where_no_day_has_a_return_no_day_is_opened(tmp_path):
    written = store_of(tmp_path, SOLD[:4])
    assert taken_off(UnreadStore(root=written.root, schema=SCHEMA), RowRule()).frame.is_empty()


def test_a_day_of_an_earlier_version_is_searched_for_returns(tmp_path):
    written = store_of(tmp_path, SOLD)
    plain = PartitionStore(root=written.root, schema=SCHEMA)
    for day in plain.days():
        plain.write(day, plain.read(day))
    assert taken_off(plain, RowRule()).frame.height == 2


ROW = st.fixed_dictionaries(
    {
        "day": st.integers(0, 3),
        "hour": st.integers(0, 3),
        "item_id": st.sampled_from("ab"),
        "quantity": st.sampled_from([None, 1.0, 2.0, 3.0, -1.0, -2.0]),
        "value": st.sampled_from([None, 6.0]),
        "kind": st.sampled_from([None, "purchase", "view", "refund"]),
    }
)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=12), choice=st.sampled_from(["cancel", "keep", "drop"]))
def test_every_row_is_accounted_for_and_no_piece_is_made_up(rows, choice, tmp_path_factory):
    store = store_of(tmp_path_factory.mktemp("raw"), rows)
    rule = RowRule(returns=choice)
    found = cleaned(store, rule)
    assert sum(of_day.account.rows for of_day in found) == len(rows)
    assert sum(of_day.frame.height for of_day in found) == sum(of_day.account.kept for of_day in found)
    whole = cleaned(store, RowRule(returns="keep"))
    for part, all_of_it in zip(found, whole, strict=True):
        key = ["user_id", "item_id", "timestamp", "kind"]
        both = part.frame.join(all_of_it.frame, on=key, nulls_equal=True)
        assert both.height == part.frame.height
        assert both.filter(pl.col("quantity") > pl.col("quantity_right").fill_null(1.0)).is_empty()
        assert both.filter(pl.col("quantity").fill_null(1.0) <= 0).is_empty()
