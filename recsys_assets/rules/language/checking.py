"""On which line of a TOML file a value stands, found with the standard library's own parser.

tomllib keeps no positions, so the file is parsed line by line longer until the value is there: its first line
is the one after the last whole part without it. That costs milliseconds, and only to report a mistake.
"""

import re
import tomllib
from collections.abc import Sequence
from typing import Any, Final

from recsys_assets.rules.language.expression_tree import Columns, Expression, ExpressionError, Kind
from recsys_assets.rules.language.expressions import closest, parse
from recsys_assets.rules.language.schema import (
    AnyStage,
    AtMost,
    Boost,
    CandidateSource,
    FeatureBoost,
    OwnFilter,
    Pin,
    Promote,
    Variants,
    WhereFilter,
)

_MISSING: Final = object()

Step = str | int


def line_of(text: str, path: Sequence[Step]) -> int:
    """The line (from 1) on which the value at `path` begins, or the nearest table around it.

    Args:
        text: a whole TOML document that parses.
        path: keys and places in arrays, outermost first.
    """
    lines = text.splitlines(keepends=True)
    for length in range(len(path), 0, -1):
        found = _first_line(lines, path[:length])
        if found is not None:
            return found
    return 1


def _first_line(lines: Sequence[str], path: Sequence[Step]) -> int | None:
    whole_without = 0
    for end in range(1, len(lines) + 1):
        try:
            table = tomllib.loads("".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue
        if _at(table, path) is not _MISSING:
            return whole_without + 1
        whole_without = end
    return None


def _at(value: Any, path: Sequence[Step]) -> Any:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return _MISSING
    return value


_PLACE = re.compile(r"[1-9][0-9]{0,4}")
_FILTERABLE = ("popular", "trending", "new")
_NEEDED_COLUMNS = {
    "trending": ("popularity_trend", "events_28d"), "new": ("days_since_first",), "category": ("category",),
}  # fmt: skip


class StageError(Exception):
    """What is wrong with a stage, and in which of its fields."""

    def __init__(self, field: str, found: str, *, line: int = 0, suggestion: str | None = None) -> None:
        super().__init__(found)
        self.field = field
        self.found = found
        self.line = line
        """Lines below the field's first one."""
        self.suggestion = suggestion


def check_stage(  # noqa: C901, PLR0911  one case a kind of stage
    spec: AnyStage, columns: Columns
) -> Expression | None:
    """The stage's expression, checked; None for a stage without one.

    Raises:
        StageError: the stage makes no sense, or its expression is not valid.
    """
    match spec:
        case CandidateSource():
            return _source(spec, columns)
        case WhereFilter(keep=keep, drop=drop):
            if (keep is None) == (drop is None):
                raise StageError(
                    "kind", "needs either `keep` or `drop`", suggestion='e.g. keep = "price <= 20"'
                )
            field = "drop" if keep is None else "keep"
            return _expression(field, keep or drop or "", columns, "boolean")
        case Boost(where=where):
            return _expression("where", where, columns, "boolean")
        case Promote(where=where):
            return _for_items(_expression("where", where, columns, "boolean"), "where", "a promotion")
        case FeatureBoost(value=value):
            return _expression("value", value, columns, "number")
        case AtMost(by=by) | Variants(by=by):
            return _text_column("by", by, columns)
        case OwnFilter(column=column):
            return _text_column("column", column, columns)
        case Pin(slots=slots):
            wrong = next((place for place in slots if not _PLACE.fullmatch(place)), None)
            if wrong is not None:
                raise StageError("slots", f"{wrong!r} is no place", suggestion='places count from "1"')
            if len(set(slots.values())) < len(slots):
                raise StageError("slots", "an item has two places", suggestion="pin it once")
    return None


def _source(spec: CandidateSource, columns: Columns) -> Expression | None:
    for name in _NEEDED_COLUMNS.get(spec.source, ()):
        if name not in columns.items:
            raise StageError("source", f"`{spec.source}` needs the item column `{name}`, which is not there")
    if (spec.source == "list") != (spec.items_of is not None):
        raise StageError("source", "`list` and `items_of` belong together", suggestion='items_of = "NAME"')
    if spec.items_of is not None and spec.items_of not in columns.lists:
        raise StageError(
            "items_of",
            f"there is no list `{spec.items_of}`",
            suggestion=closest(spec.items_of, columns.lists),
        )
    if spec.where is None:
        return None
    if spec.source not in _FILTERABLE:
        raise StageError(
            "where",
            f"`{spec.source}` takes no `where`",
            suggestion=f"use a filter; {', '.join(_FILTERABLE)} take one",
        )
    return _for_items(_expression("where", spec.where, columns, "boolean"), "where", "a source")


def _expression(field: str, text: str, columns: Columns, kind: Kind) -> Expression:
    try:
        return parse(text, columns=columns, kind=kind)
    except ExpressionError as error:
        raise StageError(field, error.found, line=error.line - 1, suggestion=error.suggestion) from None


def _for_items(expression: Expression, field: str, what: str) -> Expression:
    if expression.of_user:
        raise StageError(
            field,
            f"`{expression.text}` asks for the user; {what} is the same for everyone",
            suggestion="use a filter or a boost",
        )
    return expression


def _text_column(field: str, name: str, columns: Columns) -> Expression:
    texts = [column for column, kind in columns.items.items() if kind == "text"]
    if name not in texts:
        found = f"`{name}` is a number" if name in columns.items else f"items have no column `{name}`"
        raise StageError(field, f"{found}, expected a text column", suggestion=closest(name, texts))
    return parse(name, columns=columns, kind="text")
