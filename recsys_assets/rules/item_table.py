"""Item features as arrays by item number, read once per release from its SQLite file. numpy only."""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from recsys_assets.embeddings.vocabulary import Vocabulary
from recsys_assets.errors import BrokenReleaseError
from recsys_assets.rules.expressions import Columns, Kind

Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]

ITEM_TABLE: Final = "item_features"
USER_TABLE: Final = "user_features"
UNKNOWN: Final = -1
"""The code of a text that is null."""


@dataclass(frozen=True, kw_only=True)
class TextColumn:
    """A text column: a code an item, and the text of each code."""

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
    """The item columns that some rules read. Shape: I items of the release's vocabulary."""

    items: Vocabulary
    """Ids by number."""
    columns: Mapping[str, Column]
    """By name."""

    def __len__(self) -> int:
        return len(self.items)

    def number(self, name: str) -> Float64:
        """A number column, (I,)."""
        column = self.columns[name]
        assert isinstance(column, np.ndarray)  # noqa: S101  the checker knows the types
        return column

    def text(self, name: str) -> TextColumn:
        """A text column."""
        column = self.columns[name]
        assert isinstance(column, TextColumn)  # noqa: S101  the checker knows the types
        return column


def columns_of(database: Path) -> Columns:
    """The item and user columns of a feature database, with their types.

    Raises:
        BrokenReleaseError: it cannot be read or lacks a table.
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
    return Columns(items=tables[ITEM_TABLE], users=tables[USER_TABLE])


def load_items(database: Path, items: Vocabulary, wanted: Iterable[str]) -> ItemTable:
    """Read the wanted columns for the items of a vocabulary; an item without a row has nulls.

    Args:
        database: a release's `features.sqlite`.
        items: whose numbers the rows get.
        wanted: columns of `columns_of(database)`; `item_id` needs no reading.
    """
    kinds = columns_of(database).items
    names = sorted(set(wanted) - {"item_id"})
    if not names:
        return ItemTable(items=items, columns={})
    with closing(_open(database)) as connection:
        rows = connection.execute(f"SELECT item_id, {', '.join(names)} FROM {ITEM_TABLE}").fetchall()  # noqa: S608
    nums = items.nums([row[0] for row in rows])
    known = nums >= 0
    places = nums[known]
    columns: dict[str, Column] = {}
    for at, name in enumerate(names, start=1):
        values = [row[at] for row in rows]
        if kinds[name] == "text":
            columns[name] = _text_column(values, places, known, len(items))
        else:
            numbers = np.full(len(items), np.nan)
            numbers[places] = np.array(values, dtype=np.float64)[known]
            columns[name] = numbers
    return ItemTable(items=items, columns=columns)


def _text_column(values: list[Any], places: Int32, known: npt.NDArray[np.bool_], items: int) -> TextColumn:
    texts = sorted({value for value in values if value is not None})
    code_of = {text: code for code, text in enumerate(texts)}
    found = np.fromiter((code_of.get(value, UNKNOWN) for value in values), np.int32, len(values))
    codes = np.full(items, UNKNOWN, dtype=np.int32)
    codes[places] = found[known]
    return TextColumn(codes=codes, texts=tuple(texts), code_of=code_of)


def _kind(declared: str) -> Kind:
    return "text" if declared.upper() == "TEXT" else "number"


def _open(database: Path) -> sqlite3.Connection:
    if not database.is_file():
        raise BrokenReleaseError(f"{database}: no such file; publish the release again or roll back")
    return sqlite3.connect(f"file:{quote(str(database.resolve()))}?mode=ro&immutable=1", uri=True)
