"""The weight of an event follows its kind and its rating, and an event that is no wish stays."""

from datetime import UTC, date, datetime

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.interactions.cleaned_days import audit_days
from recsys_assets.interactions.cleaning import clean
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.interactions.wish_rule import WishRule, hides_item
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.quality.contract import validate
from recsys_assets.settings import DEFAULT_SOURCE, InteractionsSettings, Settings

DAY = date(2024, 1, 5)
NOON = datetime(2024, 1, 5, 12, tzinfo=UTC)
STARS = WishRule(rating_positive=4.0)


def raw(*rows: dict) -> pl.DataFrame:
    plain = {"user_id": "u", "timestamp": NOON, "rating": None, "quantity": None, "value": None, "kind": None}
    numbered = [plain | {"item_id": f"i{n:03d}"} | row for n, row in enumerate(rows)]
    return pl.DataFrame(numbered, schema=RAW_INTERACTIONS.polars_schema())


def weights(rule: WishRule, *rows: dict) -> list[float]:
    found = clean(raw(*rows), day=DAY, rule=rule).frame.sort("item_id")["weight"]
    return [round(weight, 6) for weight in found.to_list()]


def settings_of(spec: str, **interactions) -> Settings:
    source = msgspec.structs.replace(DEFAULT_SOURCE, spec=spec)
    return Settings(source=source, interactions=InteractionsSettings(**interactions))


def test_a_kind_weighs_what_the_table_says_and_an_unlisted_one_a_whole_wish():
    kinds = ("purchase", "cart", "view", "hide", "wishlist", None)
    assert weights(WishRule(), *({"kind": kind} for kind in kinds)) == [1.0, 0.5, 0.2, 0.0, 1.0, 1.0]


def test_the_kinds_weight_is_times_the_quantitys():
    assert weights(WishRule(), {"kind": "cart", "quantity": 3.0}) == [1.0]


def test_a_rating_below_the_least_positive_one_is_seen_but_no_wish():
    assert weights(STARS, *({"rating": rating} for rating in (1.0, 3.9, 4.0, 5.0, None))) == [0, 0, 1, 1, 1]


def test_a_low_rating_of_a_purchase_is_no_wish():
    assert weights(STARS, {"kind": "purchase", "rating": 1.0}, {"kind": "view", "rating": 5.0}) == [0.0, 0.2]


def test_a_threshold_that_float32_cannot_hold_includes_its_own_rating():
    assert weights(WishRule(rating_positive=0.7), {"rating": 0.7}, {"rating": 0.6}) == [1.0, 0.0]


def test_the_wishes_of_a_day_are_counted():
    cleaned = clean(raw({"kind": "hide"}, {"rating": 5.0}, {"rating": 1.0}), day=DAY, rule=STARS)
    assert (cleaned.frame.height, cleaned.wishes) == (3, 1)


def test_a_view_and_a_purchase_in_the_same_second_are_two_events():
    cleaned = clean(raw({"kind": "view"}, {"kind": "purchase", "item_id": "i000"}), day=DAY, rule=WishRule())
    assert cleaned.frame["kind"].to_list() == ["purchase", "view"]
    assert cleaned.dropped == {}


def test_lines_are_merged_within_a_kind_only():
    lines = [
        {"item_id": "i", "kind": kind, "value": value} for kind in ("view", "buy") for value in (1.0, 2.0)
    ]
    cleaned = clean(raw(*lines), day=DAY, rule=WishRule())
    assert cleaned.frame.select("kind", "value").rows() == [("buy", 3.0), ("view", 3.0)]
    assert cleaned.dropped == {"merged": 2}


def test_kinds_are_stripped_and_in_lower_case_and_an_empty_one_is_null():
    rows = ({"kind": kind} for kind in (" Purchase\t", "  ", None))
    cleaned = clean(raw(*rows), day=DAY, rule=WishRule())
    assert cleaned.frame.sort("item_id")["kind"].to_list() == ["purchase", None, None]


@pytest.mark.parametrize(
    ("kinds", "verdict"), [(["view"] * 50, "ok"), (["page"] * 50, "warn"), ([None] * 50, "ok")]
)
def test_a_kind_without_a_weight_warns(kinds, verdict):
    cleaned = clean(raw(*({"kind": kind} for kind in kinds)), day=DAY, rule=WishRule())
    (results,) = audit_days([(DAY, cleaned)], rule=WishRule())
    assert {result.verdict for result in results if result.check == "kind_listed"} == {verdict}


def test_ratings_mean_what_the_source_says_unless_a_number_is_given():
    assert WishRule.of(settings_of("amazon:r.json")).rating_positive == 4.0
    assert WishRule.of(settings_of("movielens:ml")).rating_positive == 4.0
    assert WishRule.of(settings_of("tabular:e.csv")).rating_positive is None
    assert WishRule.of(settings_of("completejourney")).rating_positive is None
    assert WishRule.of(settings_of("amazon:r.json", rating_positive=3.0)).rating_positive == 3.0


def test_equal_rules_are_written_alike():
    given = settings_of("tabular:e.csv", kinds={"view": 0.2, "buy": 1.0})
    other = settings_of("tabular:e.csv", kinds={"buy": 1.0, "view": 0.2})
    assert str(WishRule.of(given)) == str(WishRule.of(other)) != str(WishRule())


@pytest.mark.parametrize(
    ("seen", "hidden"),
    [
        (None, ["view", "purchase", "hide", None]),
        ("all", ["view", "purchase", "hide", "impression", None]),
        ([" Purchase", "hide"], ["purchase", "hide", None]),
        ([], ["hide", None]),
    ],
)
def test_the_kinds_that_hide_an_item_are_a_setting(seen, hidden):
    rows = pl.DataFrame(
        {
            "kind": ["view", "purchase", "hide", "impression", None],
            "rating": None,
            "weight": [0.2, 1, 0, 0, 1],
        }
    )
    assert rows.filter(hides_item(InteractionsSettings(seen=seen)))["kind"].to_list() == hidden


def test_a_rating_that_is_no_wish_hides_whatever_the_kinds():
    rows = pl.DataFrame({"kind": ["view", "view"], "rating": [1.0, 5.0], "weight": [0.0, 1.0]})
    hidden = rows.filter(hides_item(InteractionsSettings(seen=["purchase"])))
    assert hidden["rating"].to_list() == [1.0]


KIND = st.none() | st.sampled_from(["view", " View ", "hide", "purchase", "odd", ""]) | st.text(max_size=3)
NUMBER = st.none() | st.floats(-10, 10, width=32) | st.just(float("nan"))
RULE = st.builds(
    WishRule,
    kinds=st.dictionaries(st.sampled_from(["view", "hide", "purchase", "odd"]), st.floats(0, 5), max_size=4),
    rating_positive=st.none() | st.floats(-10, 10, width=32),
)


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(st.fixed_dictionaries({"kind": KIND, "rating": NUMBER, "quantity": NUMBER}), max_size=8),
    rule=RULE,
)
def test_a_rule_changes_weights_alone(rows, rule):
    plain = clean(raw(*rows), day=DAY, rule=WishRule(kinds={}))
    ruled = clean(raw(*rows), day=DAY, rule=rule)
    validate(INTERACTIONS, ruled.frame)
    assert ruled.frame.drop("weight").equals(plain.frame.drop("weight"))
    assert ruled.dropped == plain.dropped
    for row, unruled in zip(ruled.frame.to_dicts(), plain.frame["weight"].to_list(), strict=True):
        low = rule.rating_positive is not None and (row["rating"] or 0) < rule.rating_positive
        low = low and row["rating"] is not None
        expected = 0.0 if low else unruled * rule.kinds.get(row["kind"], 1.0)
        assert np.isclose(row["weight"], expected, rtol=1e-5)
    assert ruled.wishes == (ruled.frame["weight"] > 0).sum()
