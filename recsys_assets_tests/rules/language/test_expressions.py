"""The expression language: three-valued, over items alone or with a user, and nothing beside."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.rules.language.evaluator import Evaluator
from recsys_assets.rules.language.expression_tree import Columns, ExpressionError, ItemTable, TextColumn
from recsys_assets.rules.language.expressions import parse
from recsys_assets.storage.string_table import Vocabulary

COLUMNS = Columns(
    items={"item_id": "text", "price": "number", "category": "text", "events_28d.purchase": "number"},
    users={
        "user_id": "text",
        "median_price": "number",
        "favourite_category": "text",
        "events_28d.purchase": "number",
    },
    lists=frozenset({"sold_out"}),
)
TABLE = ItemTable(
    items=Vocabulary.from_strings(["a", "b", "c", "d"]),
    columns={
        "price": np.array([1.0, 2.0, np.nan, 4.0]),
        "events_28d.purchase": np.array([0.0, 3.0, 5.0, np.nan]),
        "category": TextColumn(
            codes=np.array([0, 1, 1, -1], dtype=np.int32),
            texts=("Green Tea", "Rye"),
            code_of={"Green Tea": 0, "Rye": 1},
        ),
    },
)
LISTS = {"sold_out": np.array([False, True, False, False])}


def outcome(text, user=None):
    """For each item: `y` where true, `n` where false, `?` where unknown."""
    truth = Evaluator(TABLE, LISTS).truth(
        parse(text, columns=COLUMNS, kind="boolean"), np.arange(4, dtype=np.int32), user or {}
    )
    return "".join("y" if yes else "n" if no else "?" for yes, no in zip(truth.yes, truth.no, strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("price <= 2", "yy?n"),
        ("not price <= 2", "nn?y"),
        ("1 < price < 4", "ny?n"),
        ("price <= 2 or category == 'Rye'", "yyy?"),
        ("price > 2 and category == 'Rye'", "nn??"),
        ("price is null", "nnyn"),
        ("category is not null", "yyyn"),
        ("category != 'Rye'", "ynn?"),
        ("category in ('Rye', 'Oats')", "nyy?"),
        ("category not in ('Rye', 'Oats')", "ynn?"),
        ("category == 'nowhere'", "nnn?"),
        ("contains(category, 'tea')", "ynn?"),
        ("starts_with(category, 'rY')", "nyy?"),
        ("item_id == 'c'", "nnyn"),
        ("item_id in lists.sold_out", "nynn"),
        ("item_id not in lists.sold_out", "ynyy"),
        ("price / 0 > 1", "????"),
        ("log(price) > 0", "ny?y"),
        ("log(price - 1) == 0", "?y?n"),
        ("coalesce(price, 3) == 3", "nnyn"),
        ("least(price, 2) + greatest(price, 2) == abs(0 - price) + 2", "yy?y"),
        ("-price < -1.5", "ny?y"),
        ("True", "yyyy"),
        ("events_28d.purchase >= 3", "nyy?"),
        ("price + events_28d.purchase == 5", "ny??"),
        ("price in (1, 4)", "yn?y"),
    ],
)
def test_a_predicate_over_items_is_true_false_or_unknown(text, expected):
    assert outcome(text) == expected


@pytest.mark.parametrize(
    ("text", "user", "expected"),
    [
        ("price <= user.median_price * 2", {"median_price": 1}, "yy?n"),
        ("price <= user.median_price * 2", {"median_price": None}, "????"),
        ("price <= user.median_price * 2", {}, "????"),
        ("category == user.favourite_category", {"favourite_category": "Rye"}, "nyy?"),
        ("category == user.favourite_category", {"favourite_category": "Oats"}, "nnn?"),
        ("category == user.favourite_category", {"favourite_category": None}, "????"),
        ("user.favourite_category in ('Rye',)", {"favourite_category": "Rye"}, "yyyy"),
        ("user.median_price is null", {}, "yyyy"),
        ("user.events_28d.purchase > 0", {"events_28d.purchase": 2}, "yyyy"),
        ("events_28d.purchase > user.events_28d.purchase", {"events_28d.purchase": 4}, "nny?"),
        ("user.events_28d.purchase > 0", {}, "????"),
        ("user.median_price > 1 and price > 1", {"median_price": 2}, "ny?y"),
        ("user.favourite_category == 'Rye'", {"favourite_category": "Oats"}, "nnnn"),
    ],
)
def test_a_predicate_may_ask_for_the_user(text, user, expected):
    assert outcome(text, user) == expected


def test_what_does_not_depend_on_the_user_is_computed_once():
    evaluator = Evaluator(TABLE, LISTS)
    expression = parse(
        "contains(category, 'tea') and price < user.median_price", columns=COLUMNS, kind="boolean"
    )
    nums = np.array([0, 3], dtype=np.int32)
    first = evaluator.truth(expression, nums, {"median_price": 9})
    TABLE.columns["price"][3] = -1.0
    try:
        again = evaluator.truth(expression, nums, {"median_price": 9})
    finally:
        TABLE.columns["price"][3] = 4.0
    assert expression.of_user
    assert first.yes.tolist() == again.yes.tolist() == [True, False]


@pytest.mark.parametrize(
    "text",
    [
        "[x for x in (1, 2)]", "lambda: 1", "price if price else 1", "f'{price}'", "price @ 2", "price ** 9",
        "price[0]", "(price := 3)", "user", "lists.sold_out", "user.median_price.real", "print(1)",
        "contains(category, *('a',))", "contains(category, x='a')", "contains('a', category)", "{1: 2}",
        "b'x'", "exec('1')", "1j", "...", "price << 2", "~price", "await_", "price is 3", "price in 3",
    ],
)  # fmt: skip
def test_nothing_else_of_python_is_taken(text):
    with pytest.raises(ExpressionError):
        parse(text, columns=COLUMNS, kind="boolean")


NUMBERS = st.sampled_from(
    ["price", "events_28d.purchase", "user.median_price", "0", "1e15", "1e300", "9" * 400, "1e999", "1.5"]
)
TEXTS = st.sampled_from(
    [
        "item_id",
        "category",
        "user.favourite_category",
        "'Rye'",
        "''",
        "'\\x00'",
        "'\\ud800'",
        "'" + "x" * 900 + "'",
    ]
)


def numbers_of(inner):
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
        st.builds("{}({})".format, st.sampled_from(["abs", "log", "-", "-" * 30, "-" * 1_900]), inner),
        st.builds("{}({}, {})".format, st.sampled_from(["least", "greatest", "coalesce"]), inner, inner),
    )


def predicates_of(inner):
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner),
        st.builds("{}({})".format, st.sampled_from(["not ", "not " * 20, "not " * 480]), inner),
        st.builds("({} is null)".format, inner),
    )


COMPARISONS = st.one_of(
    st.builds(
        "{} {} {}".format, st.recursive(NUMBERS, numbers_of), st.sampled_from(["<", "==", "!="]), NUMBERS
    ),
    st.builds("{} {} {}".format, TEXTS, st.sampled_from(["==", "!=", "<"]), TEXTS),
    st.builds("{} in ({}, {})".format, st.one_of(TEXTS, NUMBERS), TEXTS, st.one_of(TEXTS, NUMBERS)),
    st.builds("{}({}, {})".format, st.sampled_from(["contains", "starts_with"]), TEXTS, TEXTS),
    st.sampled_from(
        ["item_id in lists.sold_out", "True", "item_id is null", "user.median_price is not null"]
    ),
)


@given(
    st.recursive(COMPARISONS, predicates_of, max_leaves=6),
    st.sampled_from(
        [{}, {"median_price": 1e308, "favourite_category": "Rye"}, {"favourite_category": "\ud800"}]
    ),
)
@settings(max_examples=300)
def test_any_expression_that_is_accepted_has_three_values_for_every_item(text, user):
    try:
        parse(text, columns=COLUMNS, kind="boolean")
    except ExpressionError:
        return
    assert len(outcome(text, user)) == 4
