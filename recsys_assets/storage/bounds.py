"""Types with bounds, values checked against the bounds that a struct's types declare, and the bounds in words."""

import difflib
import math
from collections.abc import Mapping
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta
from msgspec import inspect as types

MOST: Final = 1_000_000_000
"""Greatest number of a setting that has no bound of its own: sums and products of a few fit into 64 bits."""
Count = Annotated[int, Meta(ge=1, le=MOST)]
CountOrZero = Annotated[int, Meta(ge=0, le=MOST)]
Positive = Annotated[float, Meta(ge=0.001, le=MOST)]
NotNegative = Annotated[float, Meta(ge=0, le=MOST)]
Share = Annotated[float, Meta(ge=0, le=1)]
Days = Annotated[float, Meta(ge=0.01, le=100_000)]
DaysOrZero = Annotated[
    float, Meta(ge=0, le=100_000, description="0, or 0.01 to 100000", extra_json_schema={"least": 0.01})
]
Strength = Annotated[
    float, Meta(ge=0, le=1e6, description="0, or 1e-06 to 1000000", extra_json_schema={"least": 1e-6})
]
Text = Annotated[str, Meta(min_length=1)]
Line = Annotated[str, Meta(min_length=1, pattern=r"^[^\x00-\x1f\x7f]+$")]

_RENAMED: Final = {"objective": "model"}
"""Names of earlier versions -> today's."""
KeyPath = tuple[str, ...]
"""The keys that lead to a value: a section, then its field."""


class Mistake(NamedTuple):
    """A value that cannot be used."""

    path: KeyPath
    """The keys that lead to it."""
    text: str
    """The value found, and the values allowed."""


def mistake_in(table: Mapping[str, Any], struct: type[msgspec.Struct], path: KeyPath = ()) -> Mistake | None:
    """Return the first value of `table` that `struct` does not take, or an unknown or missing field.

    Args:
        table: as read from TOML; texts are taken for numbers, since variables are texts.
        struct: the fields, their types and bounds.
        path: the keys that lead to `table`.
    """
    fields = {field.name: field for field in msgspec.structs.fields(struct)}
    for name, value in table.items():
        here = (*path, name)
        if name not in fields:
            if _RENAMED.get(name) in fields:
                return Mistake(here, f"is called `{_RENAMED[name]}` now")
            (nearest,) = difflib.get_close_matches(name, fields, n=1, cutoff=0.0)
            return Mistake(here, f"unknown; the nearest known name is `{nearest}`")
        kind = fields[name].type
        if is_struct(kind) and isinstance(value, Mapping):
            mistake = mistake_in(value, kind, here)
            if mistake is not None:
                return mistake
        elif not _takes(kind, value):
            shown = "the value" if _is_secret(types.type_info(kind)) else _shown(value)
            return Mistake(here, f"{shown} is not allowed; give {allowed(kind)}")
    missing = next((name for name, field in fields.items() if field.required and name not in table), None)
    return None if missing is None else Mistake((*path, missing), "missing; it has no default")


def allowed(kind: Any) -> str:
    """Return the values that a type takes, such as `a whole number, 1 to 1024`."""
    return _in_words(types.type_info(kind))


def bounds_of(kind: Any) -> str:
    """Return the bounds of a type alone, such as `1 to 1024`; empty where it has none."""
    return _bounds(types.type_info(kind))


def _in_words(info: types.Type) -> str:  # noqa: PLR0911  a type a case
    match info:
        case types.UnionType():
            some = [_in_words(one) for one in info.types if not isinstance(one, types.NoneType)]
            return f"{' or '.join(some)}, or leave it out"
        case types.ListType() | types.VarTupleType():
            return f"a list, each {_in_words(info.item_type)}"
        case types.DictType():
            return f"a table, each {_in_words(info.value_type)}" if _bounds(info) else "a table"
        case types.IntType() | types.FloatType():
            noun = "a whole number" if isinstance(info, types.IntType) else "a number"
            return f"{noun}, {bounds}" if (bounds := _bounds(info)) else noun
        case types.StrType():
            text = "text of one line" if info.pattern else "text"
            return f"{text} that is not empty" if info.min_length else text
        case types.BoolType():
            return "true or false"
        case types.DateType():
            return "a date, YYYY-MM-DD"
        case types.Metadata() | types.LiteralType():
            return _bounds(info)
        case _:
            return "a table"


def _bounds(info: types.Type) -> str:  # noqa: PLR0911  a type a case
    match info:
        case types.UnionType():
            some = [_bounds(one) for one in info.types if not isinstance(one, types.NoneType)]
            return " or ".join(some) if all(some) else ""
        case types.ListType() | types.VarTupleType():
            return f"each {bounds}" if (bounds := _bounds(info.item_type)) else ""
        case types.DictType():
            return f"each {bounds}" if (bounds := _bounds(info.value_type)) else ""
        case types.Metadata():
            return str((info.extra_json_schema or {})["description"])
        case types.LiteralType():
            return " or ".join(f"`{value}`" for value in info.values)
        case types.IntType() | types.FloatType() if info.ge is not None and info.le not in {None, MOST}:
            return f"{info.ge:.12g} to {info.le:.12g}"
        case types.IntType() | types.FloatType():
            most = None if info.le == MOST else info.le  # it only keeps the number finite
            words = {"at least": info.ge, "more than": info.gt, "at most": most, "less than": info.lt}
            return ", ".join(f"{word} {bound:.12g}" for word, bound in words.items() if bound is not None)
        case _:
            return ""


def _takes(kind: Any, value: Any) -> bool:
    try:
        converted = msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        return False
    numbers = converted.values() if isinstance(converted, dict) else [converted]
    least = _least(types.type_info(kind))
    return all(
        not isinstance(number, float) or (math.isfinite(number) and (number == 0 or abs(number) >= least))
        for number in numbers
    )


def _least(info: types.Type) -> float:
    """Return the least number beside 0 that a type takes, where 0 has a meaning of its own; else 0."""
    match info:
        case types.Metadata():
            return float((info.extra_json_schema or {}).get("least", 0.0))
        case types.UnionType():
            return max(map(_least, info.types))
        case types.DictType():
            return _least(info.value_type)
        case _:
            return 0.0


def _is_secret(info: types.Type) -> bool:
    """Return True where the values of a type are not for messages, such as an address with a token."""
    match info:
        case types.Metadata():
            return bool((info.extra_json_schema or {}).get("secret"))
        case types.ListType() | types.VarTupleType():
            return _is_secret(info.item_type)
        case _:
            return False


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, float) else msgspec.json.encode(value).decode()


def is_struct(kind: Any) -> bool:
    """Return True for a msgspec struct's class."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
