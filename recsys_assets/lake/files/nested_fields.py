"""Fields within fields, addressed by one name: `a.b`, `items[].sku`, `params[key=page].value.string_value`.

`[]` makes one row of each element of a list, with the record's other fields repeated; a record without an element
is one row without these fields. `[key=page]` is the first element whose field `key` is `page`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import reduce
from itertools import pairwise
from json import dumps
from typing import Any, Final

import polars as pl

from recsys_assets.columns import SEVERAL
from recsys_assets.errors import SourceFormatError

_STEP: Final = re.compile(r"([^.\[\]]+)((?:\[[^\]]*\])*)(?:\.|$)")
_EXACT: Final = 2**53
"""Whole numbers below it are exact as floats."""
_DEEPEST: Final = 8
_MOST_NAMES: Final = 1_000
_RECORD: Final = "\0record"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step into a record."""

    name: str = ""
    """Field of an object; empty for a step into a list."""
    key: str = ""
    """Field of a list's elements that is compared; empty for each element."""
    value: str = ""
    """The value that it is compared with."""


Path = tuple[Step, ...]
EACH: Final = Step()


def parse_path(text: str, literal: Sequence[str] = ()) -> Path:
    """Return the steps of a column's name.

    Args:
        text: the name.
        literal: names of fields that are taken as they are, though they hold a `.` or a bracket.
    """
    if text in literal or _STEP.sub("", text):
        return (Step(name=text),)
    steps = list[Step]()
    for name, brackets in _STEP.findall(text):
        steps.append(Step(name=name))
        for inside in re.findall(r"\[([^\]]*)\]", brackets):
            key, _, value = inside.partition("=")
            steps.append(Step(key=key, value=value))
    return tuple(steps)


def names_in(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of all fields of records, in the order in which they appear."""
    found = dict[str, bool]()
    for record in records:
        for name, known in _names(record, "", 0):
            found[name] = found.get(name, False) or known
            if len(found) > _MOST_NAMES:
                break
    return [name for name, known in found.items() if known or not _is_parent(name, found)]


def _is_parent(name: str, names: Mapping[str, bool]) -> bool:
    return any(other.startswith((f"{name}.", f"{name}[")) for other in names)


def _names(found: Any, name: str, depth: int) -> Iterator[tuple[str, bool]]:
    """Yield names, and False for one that is only null or empty."""
    if isinstance(found, Mapping) and (found or not name) and depth < _DEEPEST:
        for key, value in found.items():
            yield from _names(value, f"{name}.{key}" if name else key, depth + 1)
    elif isinstance(found, list) and found and isinstance(found[0], Mapping):
        for element in found:
            if isinstance(element, Mapping):
                if {"key", "value"} <= element.keys():
                    yield from _names(element["value"], f"{name}[key={element['key']}].value", depth + 1)
                yield from _names(element, f"{name}[]", depth + 1)
    else:
        yield name, found is not None and found not in ([], {})
        if isinstance(found, list) and found:
            yield f"{name}[]", True


def names_of_schema(schema: Mapping[str, Any]) -> list[str]:
    """Return the names of all fields of a table with nested columns, as polars types them."""
    return [name for column, dtype in schema.items() for name in _typed_names(column, dtype)]


def _typed_names(name: str, dtype: Any) -> Iterator[str]:
    if isinstance(dtype, pl.Struct):
        for inner in dtype.fields:
            yield from _typed_names(f"{name}.{inner.name}", inner.dtype)
    elif isinstance(dtype, pl.List | pl.Array):
        if not isinstance(dtype.inner, pl.Struct):
            yield name
        yield from _typed_names(f"{name}[]", dtype.inner)
    else:
        yield name


@dataclass
class _Node:
    """A field of the records, with the fields within it that are wanted."""

    inner: dict[str, "_Node"] = field(default_factory=dict)
    is_list: bool = False
    leaf: Any = pl.String

    def dtype(self) -> Any:
        """Return the type that reads it."""
        own: Any = (
            pl.Struct({name: node.dtype() for name, node in self.inner.items()}) if self.inner else self.leaf
        )
        return pl.List(own) if self.is_list else own


def schema_of(paths: Sequence[Path], *, records: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Return the schema that reads these fields and no other: numbers where a sample has no others, else text.

    Args:
        paths: the fields.
        records: a sample.
    """
    top = _Node()
    for path in paths:
        node = top
        for step in path:
            if step.name:
                node = node.inner.setdefault(step.name, _Node())
            else:
                node.is_list = True
                if step.key:
                    node.inner.setdefault(step.key, _Node())
        values = [value for record in records if (value := _found(record, path, {})) is not None]
        if any(isinstance(value, list) for value in values):
            node.is_list = True
        elif all(type(value) in {int, float} and abs(value) < _EXACT for value in values) and values:
            node.leaf = pl.Float64 if any(isinstance(value, float) for value in values) else pl.Int64
    return {name: node.dtype() for name, node in top.inner.items()}


def leaf_of(schema: Mapping[str, Any], path: Path) -> Any:
    """Return the type that a schema of `schema_of` has for a field that is in no list."""
    dtype: Any = schema[path[0].name]
    for step in path[1:]:
        fields = dtype.fields if isinstance(dtype, pl.Struct) else []
        dtype = next((field.dtype for field in fields if field.name == step.name), pl.Null)
    return dtype


def lists_of(paths: Sequence[Path]) -> list[Path]:
    """Return the lists whose elements are rows, from outside to inside.

    Raises:
        SourceFormatError: one is not within the other.
    """
    found = {path[: n + 1] for path in paths for n, step in enumerate(path) if step == EACH}
    ordered = sorted(found, key=len)
    for outer, inner in pairwise(ordered):
        if inner[: len(outer)] != outer:
            names = " and ".join(sorted(step.name for step in (outer[-2], inner[-2])))
            raise SourceFormatError(f"columns of two lists, {names}, make no row together; map fields of one")
    return ordered


def flat(frame: pl.DataFrame, columns: Mapping[str, Path]) -> tuple[pl.DataFrame, pl.Series | None]:
    """Return the named fields as columns.

    Args:
        frame: records with nested columns.
        columns: name -> its path.

    Returns:
        The rows, and the number of each row's record, from 0; None where each record is a row.
    """
    lists, bases = lists_of(list(columns.values())), dict[Path, str]()
    if lists:
        frame = frame.with_row_index(_RECORD)
    for number, path in enumerate(lists):
        column = f"\0list{number}"
        frame = frame.with_columns(_value(path[:-1], bases).alias(column))
        if isinstance(frame.schema[column], pl.Array):
            frame = frame.with_columns(pl.col(column).arr.to_list())
        frame = frame.with_columns(
            pl.when(pl.col(column).list.len() > 0).then(pl.col(column)).alias(column)
        ).explode(column)
        bases[path] = column
    rows = frame.select(_value(path, bases).alias(name) for name, path in columns.items())
    rows = rows.with_columns(
        pl.col(name).list.eval(pl.element().cast(pl.String)).list.join(SEVERAL, ignore_nulls=True)
        for name, dtype in rows.schema.items()
        if isinstance(dtype, pl.List) and not isinstance(dtype.inner, pl.Struct | pl.List)
    )
    return rows, frame[_RECORD] if lists else None


def _value(path: Path, bases: Mapping[Path, str]) -> pl.Expr:
    base = max((known for known in bases if path[: len(known)] == known), key=len, default=())
    start = pl.col(bases[base]) if base else pl.col(path[0].name)
    return reduce(_stepped, path[len(base) or 1 :], start)


def _stepped(value: pl.Expr, step: Step) -> pl.Expr:
    if step.name:
        return value.struct.field(step.name)
    wanted = pl.element().struct.field(step.key).cast(pl.String) == step.value
    return value.list.filter(wanted).list.first()


def rows_of(record: Mapping[str, Any], paths: Sequence[Path]) -> list[list[str | None]]:
    """Return one record's rows as `flat` does, for a record that no schema reads.

    Args:
        record: decoded JSON.
        paths: the fields.
    """
    contexts: list[dict[Path, Any]] = [{}]
    for path in lists_of(paths):
        following = list[dict[Path, Any]]()
        for context in contexts:
            found = _found(record, path[:-1], context)
            elements = found if isinstance(found, list) else [found]
            following += [{**context, path: element} for element in elements or [None]]
        contexts = following
    return [[text_of(_found(record, path, context)) for path in paths] for context in contexts]


def _found(record: Mapping[str, Any], path: Path, context: Mapping[Path, Any]) -> Any:
    base = max((known for known in context if path[: len(known)] == known), key=len, default=())
    found: Any = context[base] if base else record
    for step in path[len(base) :]:
        if step.name:
            found = found.get(step.name) if isinstance(found, Mapping) else None
        else:
            elements = found if isinstance(found, list) else []
            keyed = (one for one in elements if isinstance(one, Mapping))
            found = next((one for one in keyed if text_of(one.get(step.key)) == step.value), None)
    return found


def text_of(found: Any) -> str | None:
    """Return a JSON value as polars writes it: 17850.0 as `17850`, a list as JSON."""
    if found is None or isinstance(found, str):
        return found
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, float):
        return f"{Decimal(repr(found)):f}".removesuffix(".0")
    if isinstance(found, list) and found and not any(isinstance(one, list | Mapping) for one in found):
        return SEVERAL.join(text_of(one) or "" for one in found if one is not None)
    return str(found) if isinstance(found, int) else dumps(found, ensure_ascii=False)
