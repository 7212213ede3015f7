"""The values that a type takes are said in words, and a mistake is found wherever it is nested."""

from datetime import date
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from recsys_assets.storage.bounds import Mistake, allowed, bounds_of, mistake_in


@pytest.mark.parametrize(
    ("kind", "words", "bounds"),
    [
        (Annotated[int, Meta(ge=1, le=1024)], "a whole number, 1 to 1024", "1 to 1024"),
        (Annotated[float, Meta(gt=0)] | None, "a number, more than 0, or leave it out", "more than 0"),
        (Literal["cpu", "cuda"], "`cpu` or `cuda`", "`cpu` or `cuda`"),
        (
            tuple[Annotated[str, Meta(pattern="x", description="MM-DD")], ...],
            "a list, each MM-DD",
            "each MM-DD",
        ),
        (Annotated[str, Meta(min_length=1)], "text that is not empty", ""),
        (date, "a date, YYYY-MM-DD", ""),
        (bool, "true or false", ""),
        (dict[str, str], "a table", ""),
        (dict[str, Annotated[float, Meta(ge=0)]], "a table, each a number, at least 0", "each at least 0"),
        (Literal["all"] | list[str] | None, "`all` or a list, each text, or leave it out", ""),
        (int, "a whole number", ""),
    ],
)
def test_a_type_is_said_in_words(kind, words, bounds):
    assert (allowed(kind), bounds_of(kind)) == (words, bounds)


class Inner(msgspec.Struct):
    size: Annotated[int, Meta(ge=1)] = 1


class Outer(msgspec.Struct):
    name: str
    inner: Inner = msgspec.field(default_factory=Inner)


@pytest.mark.parametrize(
    ("table", "mistake"),
    [
        ({"name": "x", "inner": {"size": 2}}, None),
        ({"name": "x", "inner": {"size": "2"}}, None),
        (
            {"name": "x", "inner": {"size": 0}},
            Mistake(("inner", "size"), "0 is not allowed; give a whole number, at least 1"),
        ),
        ({"name": "x", "inner": 3}, Mistake(("inner",), "3 is not allowed; give a table")),
        ({"name": "x", "iner": {}}, Mistake(("iner",), "unknown; the nearest known name is `inner`")),
        ({}, Mistake(("name",), "missing; it has no default")),
    ],
)
def test_the_first_mistake_is_found(table, mistake):
    assert mistake_in(table, Outer) == mistake
