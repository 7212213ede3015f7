"""Valid raw rows become interactions; each dropped row is counted under one reason."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.interactions.cleaned_days import audit_days, publish_interactions
from recsys_assets.interactions.cleaning import clean, clean_days
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.interactions.row_rule import ForeseenRows, RowRule
from recsys_assets.interactions.wish_rule import WishRule
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.quality.contract import validate
from recsys_assets.storage.partition_store import PartitionStore

DAY = date(2017, 3, 5)
PLAIN = WishRule()
NOON = datetime(2017, 3, 5, 12, tzinfo=UTC)


def raw(*rows: dict) -> pl.DataFrame:
    plain = {"user_id": "u", "item_id": "i", "timestamp": NOON, "rating": None, "quantity": 1.0, "value": 2.0}
    return pl.DataFrame([plain | row for row in rows], schema=RAW_INTERACTIONS.polars_schema())


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"user_id": None}, "no_user"),
        ({"user_id": "  "}, "no_user"),
        ({"item_id": None}, "no_item"),
        ({"timestamp": NOON + timedelta(days=1)}, "outside_day"),
        ({"timestamp": datetime(2017, 3, 6, tzinfo=UTC)}, "outside_day"),
        ({"quantity": 0.0}, "quantity_not_positive"),
        ({"quantity": -2.0}, "returned"),
        ({"kind": "Refund", "quantity": None}, "returned"),
        ({"kind": " CANCELLED "}, "cancelled"),
        ({"value": -2.0}, "value_negative"),
        ({"value": float("nan")}, "not_finite"),
        ({"rating": float("inf")}, "not_finite"),
    ],
)
def test_an_invalid_row_is_dropped_and_counted(row, reason):
    cleaned = clean(raw({"item_id": "other"}, row), day=DAY, rule=PLAIN)
    assert cleaned.dropped == {reason: 1}
    assert cleaned.frame["item_id"].to_list() == ["other"]


def test_keeps_the_first_and_the_last_microsecond_of_the_day():
    start = datetime(2017, 3, 5, tzinfo=UTC)
    end = start + timedelta(days=1) - timedelta(microseconds=1)
    assert clean(raw({"timestamp": start}, {"timestamp": end}), day=DAY, rule=PLAIN).frame.height == 2


def test_strips_ids():
    cleaned = clean(raw({"user_id": " u\t", "item_id": "i "}), day=DAY, rule=PLAIN)
    assert cleaned.frame.select("user_id", "item_id").row(0) == ("u", "i")


def test_equal_rows_are_one_event():
    cleaned = clean(raw({}, {}, {}), day=DAY, rule=PLAIN)
    assert (cleaned.frame.height, cleaned.dropped) == (1, {"duplicate": 2})


def test_lines_of_one_event_add_up():
    cleaned = clean(
        raw({"quantity": 1.0, "value": 2.0}, {"quantity": 2.0, "value": 4.0}), day=DAY, rule=PLAIN
    )
    assert cleaned.frame.select("quantity", "value").row(0) == (3.0, 6.0)
    assert cleaned.dropped == {"merged": 1}


def test_rows_that_differ_in_a_column_of_the_source_only_are_pieces():
    lines = raw({"quantity": None}, {"quantity": None}, {"quantity": None})
    cleaned = clean(lines.with_columns(line=pl.Series(["1", "2", "2"])), day=DAY, rule=PLAIN)
    assert cleaned.frame.select("quantity", "value", "weight").row(0) == (
        2.0,
        4.0,
        pytest.approx(1.585, abs=1e-3),
    )
    assert cleaned.dropped == {"duplicate": 1, "merged": 1}


def test_identical_rows_are_pieces_where_the_shop_says_so():
    pieces = RowRule(identical_rows="pieces")
    unknown, known = ({"quantity": quantity, "item_id": str(quantity)} for quantity in (None, 1.0))
    cleaned = clean(raw(unknown, unknown, unknown, known, known), day=DAY, rule=PLAIN, rows=pieces)
    assert cleaned.frame.sort("item_id")["quantity"].to_list() == [1.0, 3.0]
    assert cleaned.dropped == {"duplicate": 1, "merged": 2}


def test_cancelled_orders_and_what_is_no_product_are_left_out():
    rows = raw(
        {"item_id": "POST"}, {"item_id": "GIFT_10"}, {"item_id": "POSTER"}, {"item_id": "a"}, {"item_id": "b"}
    )
    rows = rows.with_columns(status=pl.Series(["paid", "paid", "paid", " Cancelled", None]))
    cleaned = clean(rows, day=DAY, rule=PLAIN, rows=RowRule(not_products=("POST", "GIFT_*")))
    assert cleaned.frame["item_id"].to_list() == ["POSTER", "b"]
    assert cleaned.dropped == {"not_product": 2, "cancelled": 1}


def test_each_reason_has_an_example():
    cleaned = clean(raw({}, {"user_id": None, "item_id": "i4"}, {"quantity": -2.0}), day=DAY, rule=PLAIN)
    assert cleaned.account.lines() == [
        "1 without a user (no_user): user_id=None item_id='i4' 2017-03-05 12:00:00 quantity=1 value=2",
        "1 returned, or a return (returned): user_id='u' item_id='i' 2017-03-05 12:00:00 quantity=-2 value=2",
    ]


def test_merging_leaves_the_unknown_unknown():
    rows = ({"quantity": None, "value": None, "rating": rating} for rating in (2.0, 5.0))
    frame = clean(raw(*rows), day=DAY, rule=PLAIN).frame
    assert frame.select("rating", "quantity", "value").row(0) == (5.0, None, None)


@pytest.mark.parametrize(
    ("quantity", "weight"), [(None, 1.0), (1.0, 1.0), (3.0, 2.0), (15.0, 4.0), (9000.0, 4.0)]
)
def test_weight_of_a_quantity(quantity, weight):
    assert clean(raw({"quantity": quantity}), day=DAY, rule=PLAIN).frame["weight"].to_list() == [weight]


def test_empty_day_is_a_typed_empty_frame():
    cleaned = clean(RAW_INTERACTIONS.polars_schema().to_frame(), day=DAY, rule=PLAIN)
    assert cleaned.frame.schema == INTERACTIONS.polars_schema()
    assert cleaned.dropped == {}


def test_losing_most_of_a_day_in_cleaning_blocks_it():
    rows = [{"quantity": 0.0 if n % 4 else 1.0, "item_id": str(n)} for n in range(100)]
    (results,) = audit_days([(DAY, clean(raw(*rows), day=DAY, rule=PLAIN))], rule=PLAIN)
    assert {r.check for r in results if r.verdict == "block"} == {"kept_by_cleaning"}


def test_a_range_publishes_rejects_and_counts_by_day(tmp_path):
    next_day, missing = DAY + timedelta(days=1), DAY + timedelta(days=2)
    source = PartitionStore(root=tmp_path / "raw", schema=RAW_INTERACTIONS.polars_schema())
    store = PartitionStore(root=tmp_path / "interactions", schema=INTERACTIONS.polars_schema())
    source.write(DAY, raw({}, {}, {"quantity": 0.0}))
    source.write(next_day, raw(*({"item_id": str(n)} for n in range(100))))  # all of the day before
    outcome = publish_interactions(
        [DAY, next_day, missing],
        raw=source,
        store=store,
        quarantine=tmp_path / "quarantine",
        rule=PLAIN,
        rows=RowRule(),
    )
    assert outcome.published.rows == {DAY: 1}
    assert list(outcome.published.rejected) == [next_day]
    dropped = {reason: found.rows for reason, found in outcome.account.reasons.items()}
    assert dropped == {"quantity_not_positive": 1, "duplicate": 1, "outside_day": 100}
    assert outcome.missing == [missing]
    assert store.days() == [DAY]


NUMBER = st.none() | st.floats(-1e6, 1e6, width=32) | st.sampled_from([float("nan"), float("inf")])
ROW = st.fixed_dictionaries(
    {
        "user_id": st.none() | st.text(" ab", max_size=2),
        "item_id": st.none() | st.text(" ab", max_size=2),
        "timestamp": st.none()
        | st.sampled_from([NOON, NOON + timedelta(days=1), NOON - timedelta(days=400)]),
        "rating": NUMBER,
        "quantity": NUMBER,
        "value": NUMBER,
        "kind": st.none() | st.sampled_from(["view", " View", "hide", ""]),
    }
)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(ROW, max_size=8))
def test_the_result_keeps_the_contract_and_every_row_is_accounted_for(rows):
    frame = pl.DataFrame(rows, schema=RAW_INTERACTIONS.polars_schema())
    cleaned = clean(frame, day=DAY, rule=PLAIN)
    validate(INTERACTIONS, cleaned.frame)
    assert cleaned.frame.height + sum(cleaned.dropped.values()) == len(rows)


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(ROW, max_size=8))
def test_cleaning_twice_changes_nothing(rows):
    once = clean(pl.DataFrame(rows, schema=RAW_INTERACTIONS.polars_schema()), day=DAY, rule=PLAIN).frame
    again = clean(once.select(list(RAW_INTERACTIONS.columns)), day=DAY, rule=PLAIN)
    assert again.frame.equals(once)
    assert again.dropped == {}


@settings(max_examples=100, deadline=None)
@given(deliveries=st.lists(st.lists(ROW, max_size=6), min_size=1, max_size=5), backwards=st.booleans())
def test_many_days_are_cleaned_and_audited_as_each_alone(deliveries, backwards):
    days = [DAY + timedelta(days=n) for n in range(len(deliveries))]
    if backwards:
        days.reverse()
    schema = RAW_INTERACTIONS.polars_schema()
    frames = [
        (day, pl.DataFrame(rows, schema=schema).with_columns(pl.col("timestamp") + pl.duration(days=n % 2)))
        for n, (day, rows) in enumerate(zip(days, deliveries, strict=True))
    ]
    together = clean_days(frames, rule=PLAIN)
    alone = [clean(frame, day=day, rule=PLAIN) for day, frame in frames]
    for one, other in zip(together, alone, strict=True):
        assert one.frame.equals(other.frame)
        assert list(one.dropped.items()) == list(other.dropped.items())
        assert one.account == other.account
    audited = audit_days(list(zip(days, together, strict=True)), rule=PLAIN)
    assert audited == [audit_days([pair], rule=PLAIN)[0] for pair in zip(days, alone, strict=True)]


def test_a_row_counts_in_the_day_it_was_delivered_in():
    late = raw({"timestamp": NOON}, {"timestamp": NOON + timedelta(days=1)})
    first, second = clean_days([(DAY, raw({}, {})), (DAY + timedelta(days=1), late)], rule=PLAIN)
    assert (first.frame.height, first.dropped) == (1, {"duplicate": 1})
    assert (second.frame.height, second.dropped) == (1, {"outside_day": 1})


def test_what_is_no_fault_of_the_delivery_rejects_no_day():
    rows = [{"quantity": -1.0 if n % 4 else 1.0, "item_id": str(n)} for n in range(100)]
    (results,) = audit_days([(DAY, clean(raw(*rows), day=DAY, rule=PLAIN))], rule=PLAIN)
    assert {result.verdict for result in results} == {"ok"}


def test_a_rejected_day_shows_the_raw_rows_that_were_dropped():
    rows = [{"user_id": None if n % 10 < 7 else "u", "item_id": str(n)} for n in range(100)]
    (results,) = audit_days([(DAY, clean(raw(*rows), day=DAY, rule=PLAIN))], rule=PLAIN)
    (result,) = (one for one in results if one.verdict == "block")
    assert result.detail == "70 of 100 rows without a user; at least 80% should be kept"
    assert (len(result.sample), result.sample[0]["reason"], result.sample[0]["item_id"]) == (
        20,
        "no_user",
        "0",
    )


def test_a_column_of_the_source_that_a_day_lacks_does_not_matter():
    frames = [(DAY, raw({}).with_columns(extra=pl.lit(1))), (DAY + timedelta(days=1), raw({}))]
    assert [cleaned.frame.height for cleaned in clean_days(frames, rule=PLAIN)] == [1, 0]


def test_init_foresees_the_rows_that_cleaning_leaves_out_for_their_own_values():
    rows = raw({"user_id": None}, {"quantity": 0.0}, {"item_id": " "}, {"user_id": None}, {})
    cleaned = clean(rows, day=DAY, rule=WishRule())
    foreseen = ForeseenRows(RowRule())
    foreseen.add(rows.head(2))
    foreseen.add(rows.tail(3))

    assert foreseen.account(DAY, DAY).reasons == cleaned.account.reasons
    assert foreseen.account(DAY + timedelta(days=1), DAY + timedelta(days=2)).rows == 0
