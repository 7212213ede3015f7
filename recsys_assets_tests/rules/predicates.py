"""Random predicates, as text for the real engine and as a meaning for the reference; and the columns they name."""

# ruff: noqa: ARG005, E731, FBT003, PLR0911  meanings are lambdas over (item, user, world)

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

NUMBERS = ("price", "events_28d", "popularity_trend", "days_since_first")
TEXTS = ("category", "brand")
ITEM_COLUMNS = {"item_id": "TEXT", "price": "REAL", "events_28d": "INTEGER", "popularity_trend": "REAL",
                "days_since_first": "INTEGER", "category": "TEXT", "brand": "TEXT"}  # fmt: skip
USER_COLUMNS = {"user_id": "TEXT", "median_price": "REAL", "favourite_category": "TEXT"}
CATEGORIES = ("Tea", "Coffee", "Bread")
BRANDS = ("u0", "u1", "Acme")
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
WEIGHTS = (-1.0, -0.5, -0.25, 0.125, 0.5, 1.0)

_COMPARE = {
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
}  # fmt: skip


@dataclass(frozen=True)
class Written:
    """An expression as text, and what it means."""

    text: str
    of_user: bool
    evaluate: Any

    def __repr__(self):
        return self.text


def _lifted(operate, *parts):
    def evaluate(*row):
        found = [part(*row) for part in parts]
        return None if None in found else operate(*found)

    return evaluate


@st.composite
def numbers(draw):
    kind = draw(st.sampled_from(["column", "column", "constant", "user", "times", "minus"]))
    if kind == "column":
        name = draw(st.sampled_from(NUMBERS))
        return Written(name, False, lambda item, user, world: item[name])
    if kind == "constant":
        value = draw(st.integers(-2, 6)) / 2
        return Written(f"{value}", False, lambda item, user, world: value)
    if kind == "user":
        return Written("user.median_price", True, lambda item, user, world: user.get("median_price"))
    one, other = draw(numbers()), draw(numbers())
    sign, operate = ("*", lambda a, b: a * b) if kind == "times" else ("-", lambda a, b: a - b)
    return Written(
        f"({one.text} {sign} {other.text})", one.of_user or other.of_user,
        _lifted(operate, one.evaluate, other.evaluate),
    )  # fmt: skip


@st.composite
def leaves(draw, lists):
    kind = draw(
        st.sampled_from(
            ["number", "number", "text", "in", "null", "user text", "contains", *(["list"] if lists else [])]
        )
    )
    if kind == "number":
        one, other, op = draw(numbers()), draw(numbers()), draw(st.sampled_from(sorted(_COMPARE)))
        return Written(
            f"{one.text} {op} {other.text}", one.of_user or other.of_user,
            _lifted(_COMPARE[op], one.evaluate, other.evaluate),
        )  # fmt: skip
    column = draw(st.sampled_from(TEXTS))
    value = lambda item, user, world: item[column]
    if kind == "text":
        text, op = (
            draw(st.sampled_from([*CATEGORIES, *BRANDS, "none such"])),
            draw(st.sampled_from(["==", "!="])),
        )
        return Written(f"{column} {op} '{text}'", False, _lifted(lambda a: _COMPARE[op](a, text), value))
    if kind == "in":
        texts = draw(st.lists(st.sampled_from([*CATEGORIES, *BRANDS]), min_size=1, max_size=2))
        negate = draw(st.booleans())
        written = f"{column} {'not ' if negate else ''}in [{', '.join(map(repr, texts))}]"
        return Written(written, False, _lifted(lambda a: (a in texts) != negate, value))
    if kind == "null":
        name, negate = draw(st.sampled_from([*NUMBERS, *TEXTS])), draw(st.booleans())
        written = f"{name} is {'not ' if negate else ''}null"
        return Written(written, False, lambda item, user, world: (item[name] is None) != negate)
    if kind == "user text":
        return Written(
            "category == user.favourite_category", True,
            _lifted(lambda a, b: a == b, lambda item, *_: item["category"],
                    lambda item, user, world: user.get("favourite_category")),
        )  # fmt: skip
    if kind == "contains":
        return Written(f"contains({column}, 'E')", False, _lifted(lambda a: "e" in a.casefold(), value))
    return Written(
        "item_id in lists.some", False, lambda item, user, world: item["num"] in world.lists["some"]
    )


def _and(parts):
    def evaluate(*row):
        found = [part.evaluate(*row) for part in parts]
        return False if False in found else None if None in found else True

    return evaluate


def _or(parts):
    def evaluate(*row):
        found = [part.evaluate(*row) for part in parts]
        return True if True in found else None if None in found else False

    return evaluate


def predicates(*, lists=True, of_user=True):
    def join(children):
        pairs = st.lists(children, min_size=2, max_size=3)
        return st.one_of(
            pairs.map(
                lambda p: Written(" and ".join(f"({x.text})" for x in p), any(x.of_user for x in p), _and(p))
            ),
            pairs.map(
                lambda p: Written(" or ".join(f"({x.text})" for x in p), any(x.of_user for x in p), _or(p))
            ),
            children.map(
                lambda x: Written(f"not ({x.text})", x.of_user, _lifted(lambda a: not a, x.evaluate))
            ),
        )

    found = st.recursive(leaves(lists), join, max_leaves=4)
    return found if of_user else found.filter(lambda written: not written.of_user)
