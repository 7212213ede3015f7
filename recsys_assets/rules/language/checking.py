"""Checks of one stage of a rules file: its fields, the names in it, and its expression."""

import re
from typing import Any, TypeVar

import msgspec

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
from recsys_assets.storage.toml_files import shown

T = TypeVar("T", bound=msgspec.Struct)


_FIELD = re.compile(r"\.(\w+)")
_PLACE = re.compile(r"[1-9][0-9]{0,4}")
_FILTERABLE = ("popular", "trending", "new")
_NEEDED_COLUMNS = {
    "trending": ("popularity_trend", "events_28d"), "new": ("days_since_first",), "category": ("category",),
}  # fmt: skip


class StageError(Exception):
    """A mistake in a stage, and the field that has it; no field where it is the stage itself."""

    def __init__(self, field: str, found: str, *, line: int = 0, suggestion: str | None = None) -> None:
        super().__init__(found)
        self.field = field
        self.found = found
        self.line = line
        """Lines below the field's first line."""
        self.suggestion = suggestion


def convert(body: Any, struct: type[T]) -> T:
    """Convert a TOML value into a struct.

    Raises:
        StageError: a value has the wrong type or is out of bounds; suggests the allowed ones.
    """
    try:
        return msgspec.convert(body, struct)
    except msgspec.ValidationError as error:
        found, _, where = str(error).partition(" - at `$")
        named = _FIELD.match(where)
        field = named[1] if named else ""
        found = f"{found[0].lower()}{found[1:]}"
        if not field:
            raise StageError("", found) from None
        if field not in body:
            raise StageError(field, f"`{field}`: {found}") from None
        hint = _allowed_values(str(body[field]), struct, field)
        raise StageError(field, f"`{field}`: {found} (found {shown(body[field])})", suggestion=hint) from None


def _allowed_values(value: str, struct: Any, field: str) -> str | None:
    """Suggest the nearest of a field's words, or its bounds."""
    schema = msgspec.json.schema(struct)["$defs"][struct.__name__]["properties"].get(field, {})
    schema = schema.get("items", schema)
    words = schema.get("enum") or next(
        (one["enum"] for one in schema.get("anyOf", []) if "enum" in one), None
    )
    if words:
        return closest(value, [str(word) for word in words])
    low, high = schema.get("minimum"), schema.get("maximum")
    return None if low is None and high is None else f"write {low} to {high}"


def check_stage(  # noqa: C901, PLR0911  one case a kind of stage
    spec: AnyStage, columns: Columns
) -> Expression | None:
    """Check a stage and return its checked expression; None for a stage without one.

    Raises:
        StageError: fields contradict each other, a name does not exist, or the expression is not valid.
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
        case OwnFilter(column="item_id"):
            raise StageError(
                "column", "`item_id` is no user", suggestion="name the column of the one who offers it"
            )
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
            raise StageError("source", f"`{spec.source}` needs the item column `{name}`, which is missing")
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
            f"`{expression.text}` reads a feature of the user; {what} is the same for everyone",
            suggestion="use a filter or a boost",
        )
    return expression


def _text_column(field: str, name: str, columns: Columns) -> Expression:
    texts = [column for column, kind in columns.items.items() if kind == "text"]
    if name not in texts:
        found = f"`{name}` is a number" if name in columns.items else f"items have no column `{name}`"
        raise StageError(field, f"{found}, expected a text column", suggestion=closest(name, texts))
    return parse(name, columns=columns, kind="text")
