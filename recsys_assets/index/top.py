"""The best items for many vectors at once, exactly, by blocks of matrix products; numpy only.

A list is kept as 64-bit keys, the score's bits above the item number, so that one integer sort orders by
score and, of equal scores, by number: the same vectors give the same lists.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from recsys_assets.index.exact import NormOrdered

FIRST_ITEMS: Final = 4_096
MOST_ITEMS: Final = 16_384
"""Items scored at once, at first and at most: for 256 vectors, 16 MB of scores."""
NO_ITEM: Final = -1
"""Fills a list that has fewer items than asked for; its score is -inf."""

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

_EMPTY: Final = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_SIGN: Final = np.uint32(0x8000_0000)
_ALL: Final = np.uint32(0xFFFF_FFFF)


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Items that are left out, each for one vector of a block."""

    rows: Int64
    """Row of the block."""
    items: Int32
    """Item number."""

    @classmethod
    def none(cls) -> "Pairs":
        """Leave nothing out."""
        return cls(rows=np.zeros(0, dtype=np.int64), items=np.zeros(0, dtype=np.int32))

    @classmethod
    def of(cls, indptr: Int64, items: Int32, block: slice) -> "Pairs":
        """The entries of some consecutive rows of a CSR matrix."""
        bounds = np.asarray(indptr[block.start : block.stop + 1])
        rows = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        return cls(rows=rows, items=np.asarray(items[bounds[0] : bounds[-1]]))


@dataclass(frozen=True, kw_only=True)
class Top:
    """Lists for N vectors, best first."""

    nums: Int32
    """(N, k) item numbers, `NO_ITEM` at the end of a short list."""
    scores: Float32
    """(N, k) inner products, -inf at the end of a short list."""
    scored: int
    """How many pairs had to be scored."""


def top_products(x_ND: Float32, ordered: NormOrdered, k: int, *, left_out: Pairs) -> Top:
    """The k items of greatest inner product for each of N vectors; of equal scores the lower number first.

    Items are taken from the longest to the shortest, and a vector leaves the race once no item left can enter
    its list (the bound that `exact` explains).

    Args:
        x_ND: the vectors, float32. N × MOST_ITEMS scores are held at once.
        ordered: the items.
        k: length of the lists, > 0.
        left_out: what must not be in them.
    """
    count = len(ordered.order_I)
    lengths_N = np.linalg.norm(x_ND, axis=1)
    keys_NK = np.full((len(x_ND), k), _EMPTY)
    floor_N = np.full(len(x_ND), -np.inf, dtype=np.float32)
    places = ordered.places[left_out.items].astype(np.int64)
    racing = np.arange(len(x_ND))
    start, size, scored = 0, max(FIRST_ITEMS, 2 * k), 0
    while start < count and len(racing):
        end = min(start + size, count)
        block = x_ND[racing] @ ordered.vectors_ID[start:end].T
        scored += block.size
        _leave_out(block, racing, left_out.rows, places - start, len(x_ND))
        keys_NK[racing], floor_N[racing] = _merge(
            keys_NK[racing], floor_N[racing], block, ordered.order_I[start:end]
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            needed = np.where(floor_N[racing] > 0, 0.9999 * floor_N[racing] / lengths_N[racing], -1.0)
        longest_left = -ordered.negative_norms_I[end] if end < count else 0.0
        racing = racing[needed <= longest_left]
        start, size = end, min(2 * size, MOST_ITEMS)
    nums, scores = _decoded(np.sort(keys_NK, axis=1))
    return Top(nums=nums, scores=scores, scored=scored)


def _leave_out(block: Float32, racing: Int64, rows: Int64, places: Int64, count: int) -> None:
    row_of = np.full(count, -1)
    row_of[racing] = np.arange(len(racing))
    inside = (places >= 0) & (places < block.shape[1]) & (row_of[rows] >= 0)
    block[row_of[rows[inside]], places[inside]] = -np.inf


def _merge(keys_BK: Keys, floor_B: Float32, block: Float32, items: Int32) -> tuple[Keys, Float32]:
    """The lists, and the least score in them, after the block's scores were taken in."""
    k, width = keys_BK.shape[1], block.shape[1]
    unfilled = np.isneginf(floor_B)
    if width > k and unfilled.any():
        least = np.partition(block[unfilled], width - k, axis=1)[:, width - k]
        floor_B = floor_B.copy()
        floor_B[unfilled] = least
    found = np.flatnonzero(block >= floor_B[:, None])
    rows, places = np.divmod(found, width)
    scores = block.ravel()[found]
    if np.isneginf(floor_B).any():
        allowed = scores > -np.inf
        rows, places, scores = rows[allowed], places[allowed], scores[allowed]
    counts = np.bincount(rows, minlength=len(block))
    added = np.full((len(block), int(counts.max(initial=0))), _EMPTY)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    added[rows, np.arange(len(rows)) - starts[rows]] = _encoded(scores, items[places])
    both = np.concatenate([keys_BK, added], axis=1)
    kept = np.partition(both, k - 1, axis=1)[:, :k] if both.shape[1] > k else both
    worst = kept.max(axis=1)
    return kept, np.where(worst == _EMPTY, np.float32(-np.inf), _scores(worst))


def _encoded(scores: Float32, items: Int32) -> Keys:
    bits = (scores + np.float32(0)).view(np.uint32)  # + 0 makes -0.0 equal to 0.0
    ascending = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    return ((_ALL - ascending).astype(np.uint64) << np.uint64(32)) | items.astype(np.uint32)


def _decoded(keys: Keys) -> tuple[Int32, Float32]:
    nums = keys.astype(np.uint32).view(np.int32)
    return nums, np.where(nums == NO_ITEM, np.float32(-np.inf), _scores(keys))


def _scores(keys: Keys) -> Float32:
    ascending = _ALL - (keys >> np.uint64(32)).astype(np.uint32)
    return np.where(ascending & _SIGN, ascending ^ _SIGN, ~ascending).view(np.float32)
