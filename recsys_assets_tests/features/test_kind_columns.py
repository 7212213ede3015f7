"""Kinds get columns that predicates can name, the most frequent ones only; taste counts wishes, activity all events."""

import ast

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.features.contract import ITEM_FEATURES, USER_FEATURES, registry_rows
from recsys_assets.features.feature_database import build_features, read_features, table_ddl
from recsys_assets.features.feature_store import FeatureStore
from recsys_assets.features.kind_columns import (
    COUNTS,
    MOST_KINDS,
    kind_name,
    kinds_of,
    kinds_with_columns,
    with_kinds,
)
from recsys_assets.rules.language.expression_tree import columns_of, load_items
from recsys_assets.storage.home import FEATURE_DATABASE
from recsys_assets.storage.string_table import Vocabulary
from recsys_assets_tests.features.rows import CATALOGUE, DAY, events, item_features, user_features


def kinded(*rows: tuple[str, str, int, str | None, float]) -> pl.LazyFrame:
    """Return interactions from (user, item, age in days, kind, weight), each of the value 2."""
    plain = events(*((user, item, age, 2.0) for user, item, age, *_ in rows)).collect()
    return plain.with_columns(
        kind=pl.Series([row[3] for row in rows], dtype=pl.String),
        weight=pl.Series([row[4] for row in rows], dtype=pl.Float32),
    ).lazy()


ROWS = kinded(
    ("u", "a", 1, "purchase", 1.0),
    ("u", "b", 2, "view", 0.2),
    ("u", "b", 3, "view", 0.2),
    ("u", "c", 40, "hide", 0.0),
    ("u", "c", 41, "hide", 0.0),
    ("u", "c", 42, "hide", 0.0),
    ("v", "c", 5, "hide", 0.0),
)


def of(frame, user):
    return next(row for row in frame.to_dicts() if row["user_id"] == user)


def test_events_are_counted_by_kind_in_every_window():
    found = of(user_features(ROWS, CATALOGUE), "u")
    assert [found[f"{count}.view"] for count in COUNTS] == [2, 2, 2, 2]
    assert [found[f"{count}.hide"] for count in COUNTS] == [3, 0, 0, 3]
    assert [found[count] for count in COUNTS] == [6, 3, 3, 6]


def test_an_item_without_events_of_a_kind_has_zero():
    items = item_features(ROWS, CATALOGUE)
    assert items["events_28d.purchase"].to_list() == [1, 0, 0]
    assert items["events_total.hide"].to_list() == [0, 0, 4]


def test_what_was_only_seen_is_not_popular():
    items = item_features(ROWS, CATALOGUE)
    assert items["popularity_rank"].to_list() == [2, 1, None]
    assert items["popularity_percentile"].to_list() == [0.5, 1.0, 0.0]
    assert items["popularity_trend"].to_list() == [2.0, 3.0, 1.0]
    assert items["events_total"].to_list() == [1, 2, 4]


def test_a_favourite_is_wished_for():
    found = of(user_features(ROWS, CATALOGUE), "u")
    assert (found["favourite_category"], found["favourite_category_share"]) == ("BAKERY", 0.666667)


def test_a_user_without_a_wish_has_no_taste_but_activity():
    found = of(user_features(ROWS, CATALOGUE), "v")
    taste = (
        "mean_popularity",
        "favourite_category",
        "favourite_category_share",
        "median_price",
        "price_level",
    )
    assert [found[name] for name in taste] == [None] * len(taste)
    assert (found["events_total"], found["active_days"], found["days_since_last"]) == (1, 1, 5)


def test_the_price_of_a_view_is_not_spent():
    found = of(user_features(ROWS, CATALOGUE), "u")
    assert (found["spend_total"], found["spend_28d"]) == (2.0, 2.0)


def test_items_seen_on_the_same_day_are_not_bought_together():
    rows = kinded(("u", "a", 1, "purchase", 1.0), ("u", "b", 1, "hide", 0.0), ("u", "c", 1, "purchase", 1.0))
    assert item_features(rows, CATALOGUE)["copurchase_degree"].to_list() == [1, 0, 1]


def test_both_tables_meet_the_contract_with_their_kinds():
    users, items = user_features(ROWS, CATALOGUE), item_features(ROWS, CATALOGUE)
    for contract, frame in ((USER_FEATURES, users), (ITEM_FEATURES, items)):
        assert kinds_of(frame.columns) == ("hide", "purchase", "view")
        with_kinds(contract, kinds_of(frame.columns)).pandera_schema().validate(frame)


def test_a_source_without_kinds_has_the_plain_columns():
    assert user_features(events(("u", "a", 1)), None).columns == list(USER_FEATURES.columns)


def test_database_registry_and_rules_have_the_kinds(tmp_path):
    rows = kinded(("u", "a", 1, 'odd "kind"', 1.0), ("u", "b", 1, "return", 1.0))
    report = build_features(rows, CATALOGUE, tmp_path / "features", as_of=DAY)
    database = tmp_path / "features" / FEATURE_DATABASE

    assert report.kinds == ("odd__kind_", "return_")
    store = FeatureStore(database)
    assert (store.user("u")["events_7d.return_"], store.item("c")["events_7d.return_"]) == (1, 0)
    described = {row["name"]: row["description"] for row in store.registry() if row["entity"] == "item"}
    assert described["events_28d.return_"] == "Events of the kind return_ in the last 28 days."
    assert read_features(database, USER_FEATURES).equals(user_features(rows, CATALOGUE))
    known = columns_of(database)
    assert known.items["events_90d.odd__kind_"] == known.users["events_90d.odd__kind_"] == "number"
    table = load_items(database, Vocabulary.from_strings(["a", "b"]), ["events_28d.return_", "category"])
    assert table.number("events_28d.return_").tolist() == [0.0, 1.0]


def test_the_ddl_and_the_registry_have_a_line_a_kind_and_count():
    contract = with_kinds(USER_FEATURES, ("a", "b"))
    assert table_ddl(contract).count('CHECK ("events_28d.a" >= 0)') == 1
    assert len(contract.columns) == len(USER_FEATURES.columns) + 2 * len(COUNTS)
    assert len(registry_rows(("a", "b"))) == len(registry_rows()) + 2 * 2 * len(COUNTS)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("purchase", "purchase"),
        ("add to cart", "add_to_cart"),
        ("return", "return_"),
        ("1", "_1"),
        ("größe", "größe"),
        ("ｆｕｌｌ", "full"),
        ("!", "_"),
        ("x" * 60, "x" * 40),
    ],
)
def test_a_kind_is_written_as_an_identifier(kind, name):
    assert kind_name(kind) == name


@given(kind=st.text(min_size=1, max_size=50))
def test_a_predicate_can_name_every_kind(kind):
    name = kind_name(kind)
    assert name == name.lower() or not name.isascii()
    assert kind_name(name) in {name, f"{name}_"[:41]}
    parsed = ast.parse(f"(events_28d.{name}\n)", mode="eval").body
    assert isinstance(parsed, ast.Attribute)
    assert parsed.attr == name


@given(counts=st.dictionaries(st.text(min_size=1, max_size=3), st.integers(1, 50), max_size=20))
def test_the_most_frequent_kinds_have_columns(counts):
    chosen = kinds_with_columns(counts)
    names = set(chosen.values())
    assert len(names) <= MOST_KINDS
    assert chosen == {kind: kind_name(kind) for kind in chosen}
    events_of = {}
    for kind, events_ in counts.items():
        events_of[kind_name(kind)] = events_of.get(kind_name(kind), 0) + events_
    left_out = [total for name, total in events_of.items() if name not in names]
    assert not left_out or max(left_out) <= min(events_of[name] for name in names)
