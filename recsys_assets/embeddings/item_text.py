"""The words of the item catalogue as sparse vectors: hashed tf-idf of title, department, category and brand.

No vocabulary is kept: a word's place is its checksum, so that a new item is embedded like any other. What is
learnt from the words is in `cold_items`.
Shapes: I items, B columns (buckets that a word fell into), n words, D embedding_size.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from recsys_assets import columns
from recsys_assets.storage.arrays import Float32, Int32, Int64

BUCKETS = 1 << 18
"""Places of words; 50,000 different words share theirs with another one in a sixth of the cases."""

_NAMES = (columns.DEPARTMENT, columns.CATEGORY, columns.BRAND)
"""Columns whose whole text is a word too: `PET FOOD` is more than a pet and a food."""
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, kw_only=True)
class ItemText:
    """Weighted words, CSR by item; each item has length 1, or 0 where its text says nothing."""

    indptr: Int64
    """Start of each item's words, I + 1."""
    column_nums: Int32
    """Column of each word, n, ascending within an item."""
    weights: Float32
    """Weight of each word, n, > 0."""
    columns: int
    """Number of columns, B."""

    def __len__(self) -> int:
        """Return the number of items, I."""
        return len(self.indptr) - 1

    def take(self, item_nums: Int64) -> "ItemText":
        """Return the text of some items, in their order, over the same columns."""
        lengths = np.diff(self.indptr)[item_nums]
        ends = np.cumsum(lengths)
        place_n = np.arange(lengths.sum()) + np.repeat(self.indptr[item_nums] - (ends - lengths), lengths)
        return ItemText(
            indptr=np.concatenate([[0], ends]).astype(np.int64),
            column_nums=self.column_nums[place_n],
            weights=self.weights[place_n],
            columns=self.columns,
        )

    def transposed(self) -> "ItemText":
        """Return the same numbers by column: each "item" is a column, and each "column" an item."""
        order = np.argsort(self.column_nums, kind="stable")
        counts_B = np.bincount(self.column_nums, minlength=self.columns)
        items_n = np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.indptr))
        return ItemText(
            indptr=np.concatenate([[0], np.cumsum(counts_B)]).astype(np.int64),
            column_nums=items_n[order],
            weights=self.weights[order],
            columns=len(self),
        )

    def times(self, matrix_BD: Tensor) -> Tensor:
        """Return the product with a dense float32 matrix, (I, D)."""
        return embedding_bag(
            torch.from_numpy(self.column_nums),
            matrix_BD,
            torch.from_numpy(self.indptr.astype(np.int32)),
            mode="sum",
            per_sample_weights=torch.from_numpy(self.weights),
            include_last_offset=True,
        )

    def dense(self) -> Tensor:
        """Return the whole matrix, (I, B), float32; only for few items."""
        found_IB = torch.zeros(len(self), self.columns)
        items_n = torch.from_numpy(np.repeat(np.arange(len(self)), np.diff(self.indptr)))
        found_IB[items_n, torch.from_numpy(self.column_nums.astype(np.int64))] = torch.from_numpy(
            self.weights
        )
        return found_IB


def item_text(catalogue: pl.DataFrame, item_ids: Sequence[str]) -> ItemText:
    """Return the words of `item_ids`, in their order, weighted by rarity among them.

    A word's weight is its idf, ln((1 + I) / (1 + items with the word)) + 1, over the item's length. A title rarely
    repeats a word, so that repeats aren't counted. The same catalogue gives the same bytes on every machine.

    Args:
        catalogue: the columns of the ITEM_CATALOGUE contract; price isn't read.
        item_ids: known and new items together, so that they share columns. One without a row has no words.
    """
    names = [columns.TITLE, *_NAMES]
    rows = dict(zip(catalogue[columns.ITEM_ID], catalogue.select(names).iter_rows(), strict=True))
    none = (None,) * len(names)
    found = [_buckets(rows.get(item_id, none)) for item_id in item_ids]
    lengths_I = np.fromiter(map(len, found), dtype=np.int64, count=len(found))
    buckets_n = np.fromiter((b for bs in found for b in bs), dtype=np.int64, count=int(lengths_I.sum()))
    used_B, column_n = np.unique(buckets_n, return_inverse=True)
    idf_B = np.log((1 + len(found)) / (1 + np.bincount(column_n, minlength=len(used_B)))) + 1
    items_n = np.repeat(np.arange(len(found)), lengths_I)
    squares_I = np.bincount(items_n, weights=idf_B[column_n] ** 2, minlength=len(found))
    return ItemText(
        indptr=np.concatenate([[0], np.cumsum(lengths_I)]).astype(np.int64),
        column_nums=column_n.astype(np.int32),
        weights=(idf_B[column_n] / np.sqrt(squares_I)[items_n]).astype(np.float32),
        columns=len(used_B),
    )


def _buckets(row: tuple[str | None, ...]) -> list[int]:
    """Return the distinct buckets of a catalogue row's words, ascending."""
    others = row[1:]
    found = {bucket for text in row if text for bucket in _words_of(text)}
    found |= {_bucket(f"{name}={text.lower()}") for name, text in zip(_NAMES, others, strict=True) if text}
    return sorted(found)


@lru_cache(maxsize=1 << 16)
def _words_of(text: str) -> tuple[int, ...]:
    return tuple(_bucket(word) for word in _WORD.findall(text.lower()))


def _bucket(word: str) -> int:
    """Return a word's place: its CRC-32 is the same in every process, unlike `hash`, and in every version."""
    return crc32(word.encode()) % BUCKETS
