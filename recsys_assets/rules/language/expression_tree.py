"""A checked expression and the item columns that it reads: parts, types, errors, and columns as arrays."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

import numpy as np

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.storage.arrays import Float64, Int32
from recsys_assets.storage.string_table import Vocabulary

Kind = Literal["number", "text", "boolean"]
"""The type of a value."""

Constant = float | str | bool


class ExpressionError(Exception):
    """A mistake in an expression, and its line within the expression. The reader adds the file."""

    def __init__(self, found: str, *, line: int = 1, suggestion: str | None = None) -> None:
        super().__init__(found)
        self.found = found
        self.line = line
        self.suggestion = suggestion


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Names that an expression may use."""

    items: Mapping[str, Kind]
    """Item columns."""
    users: Mapping[str, Kind]
    """Features of the user, written `user.COLUMN`."""
    lists: frozenset[str] = frozenset()
    """Lists of item ids, written `lists.NAME`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """One checked part of an expression."""

    op: str
    """`item`, `user`, `list`, `constant`, an operator, `in`, `null`, `and`, `or`, `not`, or a function's name."""
    kind: Kind
    """Type of its value."""
    parts: tuple["Node", ...] = ()
    """Its operands."""
    name: str = ""
    """Column or list."""
    constants: tuple[Constant, ...] = ()
    """The constant, or those of an `in`."""
    of_user: bool = False
    """True where it reads a feature of the user, so that its value differs between requests."""

    @classmethod
    def constant(cls, value: Constant) -> "Node":
        """Make a constant."""
        if isinstance(value, bool):
            return cls(op="constant", kind="boolean", constants=(value,))
        if isinstance(value, str):
            return cls(op="constant", kind="text", constants=(value,))
        return cls(op="constant", kind="number", constants=(float(value),))

    @classmethod
    def over(cls, op: str, kind: Kind, parts: tuple["Node", ...]) -> "Node":
        """Make an operation or function over its operands."""
        return cls(op=op, kind=kind, parts=parts, of_user=any(part.of_user for part in parts))


@dataclass(frozen=True, kw_only=True, eq=False)
class Expression:
    """A checked expression."""

    text: str
    """As it was written."""
    node: Node
    """Its parts."""

    @property
    def of_user(self) -> bool:
        """True where it reads a feature of the user."""
        return self.node.of_user

    def item_columns(self) -> set[str]:
        """Return the item columns that it reads."""
        return {node.name for node in _walk(self.node) if node.op == "item"}

    def user_columns(self) -> set[str]:
        """Return the features of the user that it reads."""
        return {node.name for node in _walk(self.node) if node.op == "user"}

    def lists(self) -> set[str]:
        """Return the lists that it reads."""
        return {node.name for node in _walk(self.node) if node.op == "list"}


def _walk(node: Node) -> Iterable[Node]:
    yield node
    for part in node.parts:
        yield from _walk(part)


ITEM_TABLE: Final = "item_features"
USER_TABLE: Final = "user_features"
UNKNOWN: Final = -1
"""The code of a text that is null."""
AVAILABLE: Final = "available"
"""A truth value of each item that no feature table has: false where the item's state says so."""
NO_SUCH_TEXT: Final = -2
"""Stands for a text that no item has: it equals no code."""
_ROWS_AT_ONCE: Final = 8192
"""Rows in memory as Python objects; a million items at once would take a gigabyte."""


@dataclass(frozen=True, kw_only=True)
class TextColumn:
    """A text column: the code of each item, and the text of each code."""

    codes: Int32
    """(I,), `UNKNOWN` where null."""
    texts: tuple[str, ...]
    """The text of each code."""
    code_of: Mapping[str, int]
    """Text -> code."""


Column = Float64 | TextColumn
"""Numbers are float64 with NaN where null."""


@dataclass(frozen=True, kw_only=True)
class ItemTable:
    """The item columns that the rules read. Shape: I items of the release's vocabulary."""

    items: Vocabulary
    """Item ids by number."""
    columns: Mapping[str, Column]
    """Columns by name."""

    def __len__(self) -> int:
        return len(self.items)

    def number(self, name: str) -> Float64:
        """Return a number column, (I,)."""
        column = self.columns[name]
        assert isinstance(column, np.ndarray)  # noqa: S101  the checker knows the types
        return column

    def text(self, name: str) -> TextColumn:
        """Return a text column."""
        column = self.columns[name]
        assert isinstance(column, TextColumn)  # noqa: S101  the checker knows the types
        return column


def columns_of(database: Path) -> Columns:
    """Return the item and user columns of a feature database, with their types.

    Raises:
        BrokenReleaseError: the file cannot be read or lacks a table.
    """
    tables = {}
    with closing(_open(database)) as connection:
        for table in (ITEM_TABLE, USER_TABLE):
            rows = connection.execute(f"PRAGMA table_info({table})").fetchall()
            if not rows:
                raise BrokenReleaseError(
                    f"{database}: no table {table}; publish the release again or roll back"
                )
            tables[table] = {row[1]: _kind(row[2]) for row in rows}
    return Columns(items={AVAILABLE: "boolean", **tables[ITEM_TABLE]}, users=tables[USER_TABLE])


def load_items(database: Path, items: Vocabulary, wanted: Iterable[str]) -> ItemTable:
    """Read columns for the items of a vocabulary; an item without a row has nulls.

    Args:
        database: a release's `features.sqlite`.
        items: vocabulary that gives each row its item number.
        wanted: columns of `columns_of(database)`; `item_id` is not read, since the vocabulary has it. Every item is
            `available`, as no release knows better.
    """
    kinds = columns_of(database).items
    named = set(wanted)
    made: dict[str, Column] = {name: np.ones(len(items)) for name in named if kinds.get(name) == "boolean"}
    names = sorted(named - made.keys() - {"item_id"})
    if not names:
        return ItemTable(items=items, columns=made)
    numbers = {name: np.full(len(items), np.nan) for name in names if kinds[name] != "text"}
    codes = {name: np.full(len(items), UNKNOWN, dtype=np.int32) for name in names if kinds[name] == "text"}
    code_of: dict[str, dict[str, int]] = {name: {} for name in codes}
    wanted_columns = ", ".join(f'"{name}"' for name in names)
    with closing(_open(database)) as connection:
        cursor = connection.execute(f"SELECT item_id, {wanted_columns} FROM {ITEM_TABLE}")  # noqa: S608
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            item_ids, *values = zip(*rows, strict=True)
            nums = items.nums(item_ids)
            known = nums >= 0
            for name, column in zip(names, values, strict=True):
                if name in numbers:
                    numbers[name][nums[known]] = np.array(column, dtype=np.float64)[known]
                else:
                    codes[name][nums[known]] = _coded(column, code_of[name])[known]
    texts = {name: _text_column(column, code_of[name]) for name, column in codes.items()}
    return ItemTable(items=items, columns={**numbers, **texts, **made})


def _coded(values: Sequence[str | None], code_of: dict[str, int]) -> Int32:
    """Return the code of each text; a new text gets the next code."""
    found = (UNKNOWN if text is None else code_of.setdefault(text, len(code_of)) for text in values)
    return np.fromiter(found, np.int32, len(values))


def _text_column(codes_I: Int32, code_of: Mapping[str, int]) -> TextColumn:
    """Renumber the codes so that the texts are sorted."""
    texts = sorted(code_of)
    sorted_codes = np.full(len(texts) + 1, UNKNOWN, dtype=np.int32)  # the last one maps `UNKNOWN`, -1
    sorted_codes[[code_of[text] for text in texts]] = np.arange(len(texts))
    return TextColumn(
        codes=sorted_codes.take(codes_I, mode="wrap"),
        texts=tuple(texts),
        code_of={text: code for code, text in enumerate(texts)},
    )


def _kind(declared: str) -> Kind:
    return "text" if declared.upper() == "TEXT" else "number"


def _open(database: Path) -> sqlite3.Connection:
    if not database.is_file():
        raise BrokenReleaseError(f"{database}: no such file; publish the release again or roll back")
    return sqlite3.connect(f"file:{quote(str(database.resolve()))}?mode=ro&immutable=1", uri=True)
