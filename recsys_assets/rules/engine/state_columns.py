"""Item columns as rules see them now: the release's, with the prices, categories and availability of states over them.

Hidden items and factors of scores are no columns: lists heed them without any rule.
"""

from collections.abc import Mapping
from typing import NamedTuple
from zlib import crc32

import numpy as np

from recsys_assets import columns
from recsys_assets.release.bound_states import BoundStates
from recsys_assets.rules.language.expression_tree import AVAILABLE, Column, ItemTable, TextColumn
from recsys_assets.storage.arrays import Float64


class ColumnStates(NamedTuple):
    """The part of states that rules see as columns, by item number. Equal parts need no new binding of the rules."""

    prices: Mapping[int, float]
    categories: Mapping[int, str]
    unavailable: frozenset[int]

    @property
    def version(self) -> str:
        """A checksum of all values, the same in every process; empty where there are none."""
        if not (self.prices or self.categories or self.unavailable):
            return ""
        every = (sorted(self.prices.items()), sorted(self.categories.items()), sorted(self.unavailable))
        return f".{crc32(repr(every).encode()):08x}"

    @classmethod
    def of(cls, states: BoundStates) -> "ColumnStates":
        """Return that part of some states."""
        unavailable = frozenset(num for num, one in states.by_num.items() if one.available is False)
        return cls(states.prices, states.categories, unavailable)

    def over(self, table: ItemTable) -> ItemTable:
        """Return the columns of a release with these values in place of its own."""
        found: dict[str, Column] = dict(table.columns)
        if columns.PRICE in found and self.prices:
            found[columns.PRICE] = _with_numbers(table.number(columns.PRICE), self.prices)
        if AVAILABLE in found and self.unavailable:
            found[AVAILABLE] = _with_numbers(table.number(AVAILABLE), dict.fromkeys(self.unavailable, 0.0))
        if columns.CATEGORY in found and self.categories:
            found[columns.CATEGORY] = _with_texts(table.text(columns.CATEGORY), self.categories)
        return ItemTable(items=table.items, columns=found)


def _with_numbers(values_I: Float64, others: Mapping[int, float]) -> Float64:
    found = values_I.copy()
    found[list(others)] = list(others.values())
    return found


def _with_texts(column: TextColumn, others: Mapping[int, str]) -> TextColumn:
    code_of = dict(column.code_of)
    codes = column.codes.copy()
    codes[list(others)] = np.array([code_of.setdefault(text, len(code_of)) for text in others.values()])
    return TextColumn(codes=codes, texts=tuple(code_of), code_of=code_of)
