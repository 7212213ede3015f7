"""What is scored ahead of serving: each user's best unseen items, and each item's nearest ones by cosine.

A request then starts from a row of an array instead of a search. numpy only; blocks bound the memory, and the
same vectors give the same bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from recsys_assets.index.exact import NormOrdered
from recsys_assets.index.graph import Graph
from recsys_assets.settings import IndexSettings

CANDIDATE_ITEMS_FILE: Final = "candidates_items.npy"
CANDIDATE_SCORES_FILE: Final = "candidates_scores.npy"
NEIGHBOUR_ITEMS_FILE: Final = "neighbours_items.npy"
NEIGHBOUR_SCORES_FILE: Final = "neighbours_scores.npy"

USER_BLOCK = 256
"""Users scored together: enough for a fast matrix product."""
FIRST_ITEMS, MOST_ITEMS = 4_096, 16_384
"""Items scored at once, at first and at most: 16 MB of scores."""

SHORTEST = 1e-12
"""A vector shorter than this has no direction worth a neighbour."""

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Precomputed:
    """What was written."""

    candidates_by: Literal["exact", "index", "nothing"]
    """How users' candidates were found."""
    candidates: int
    """Items kept for a user."""
    neighbours: int
    """Items kept for an item."""
    items_with_neighbours: int
    """Items that have neighbours, the most popular ones; the others' rows hold -1."""


def precompute(
    folder: Path,
    *,
    user_embeddings: Float32,
    item_embeddings: Float32,
    history_indptr: Int64,
    history_items: Int32,
    popular_items: Int32,
    graph: Graph,
    settings: IndexSettings,
) -> Precomputed:
    """Write candidates and neighbours into `folder` as far as the settings ask for them.

    Files: `candidates_items.npy` int32 (U, C) and `candidates_scores.npy` float32, inner products,
    descending, without the items of the user's history; `neighbours_items.npy` int32 and
    `neighbours_scores.npy`, cosines, descending, without the item itself. Short rows end with -1 and -inf.
    """
    users, items = len(user_embeddings), len(item_embeddings)
    kept = min(settings.candidates_per_user, items)
    by: Literal["exact", "index", "nothing"] = "nothing"
    if kept:
        by = "exact" if users * items <= settings.precompute_pairs else "index"
        nums = np.lib.format.open_memmap(folder / CANDIDATE_ITEMS_FILE, "w+", np.int32, (users, kept))
        scores = np.lib.format.open_memmap(folder / CANDIDATE_SCORES_FILE, "w+", np.float32, (users, kept))
        ordered = NormOrdered.of(item_embeddings)
        for rows in _blocks(users):
            x_BD = np.ascontiguousarray(user_embeddings[rows])
            seen = _Pairs.of(history_indptr, history_items, rows)
            if by == "exact":
                nums[rows], scores[rows] = top_products(x_BD, ordered, kept, seen=seen)
            else:
                found = graph.search_many(x_BD, min(items, 2 * kept), threads=settings.threads)
                nums[rows], scores[rows] = _without(*found, seen, kept)
        nums.flush()
        scores.flush()
    near = min(settings.neighbours_per_item, items - 1)
    asked = (
        np.sort(popular_items[: settings.precompute_pairs // max(1, items)])
        if near > 0
        else popular_items[:0]
    )
    if near > 0:
        _write_neighbours(folder, item_embeddings, asked, near)
    return Precomputed(
        candidates_by=by, candidates=kept, neighbours=max(0, near), items_with_neighbours=len(asked)
    )


def top_products(x_ND: Float32, ordered: NormOrdered, k: int, *, seen: "_Pairs") -> tuple[Int32, Float32]:
    """The k unseen items of greatest inner product for each of N vectors; equal scores by item number.

    Items are taken from the longest to the shortest, and a vector leaves the race once no item left can enter
    its list (the bound of `exact`).
    """
    count = len(ordered.order_I)
    lengths_N = np.linalg.norm(x_ND, axis=1)
    nums = np.full((len(x_ND), k), -1, dtype=np.int32)
    scores = np.full((len(x_ND), k), -np.inf, dtype=np.float32)
    place_of_item = np.empty(count, dtype=np.int32)
    place_of_item[ordered.order_I] = np.arange(count, dtype=np.int32)
    seen_places = place_of_item[seen.items]
    racing = np.arange(len(x_ND))
    start, size = 0, FIRST_ITEMS
    while start < count and len(racing):
        end = min(start + size, count)
        block = x_ND[racing] @ ordered.vectors_ID[start:end].T
        row_of = np.full(len(x_ND), -1)
        row_of[racing] = np.arange(len(racing))
        inside = (seen_places >= start) & (seen_places < end) & (row_of[seen.rows] >= 0)
        block[row_of[seen.rows[inside]], seen_places[inside] - start] = -np.inf
        _merge(nums, scores, racing, block, ordered.order_I[start:end])
        least = scores[racing, -1]
        with np.errstate(divide="ignore", invalid="ignore"):
            needed = np.where(least > 0, 0.9999 * least / lengths_N[racing], -1.0)
        longest_left = -ordered.negative_norms_I[end] if end < count else 0.0
        racing = racing[needed <= longest_left]
        start, size = end, min(2 * size, MOST_ITEMS)
    return nums, scores


def _merge(nums: Int32, scores: Float32, racing: Int64, block: Float32, items: Int32) -> None:
    """Take the block's scores that reach the lists into `nums` and `scores`, in place."""
    k = nums.shape[1]
    floor = scores[racing, -1]
    if block.shape[1] > k:
        cut = block.shape[1] - k
        unfilled = np.isneginf(floor)
        if unfilled.any():
            floor = floor.copy()
            floor[unfilled] = np.partition(block[unfilled], cut, axis=1)[:, cut]
    rows, places = np.nonzero((block >= floor[:, None]) & (block > -np.inf))
    if not len(rows):
        return
    new_scores, new_items = block[rows, places], items[places]
    touched = np.unique(rows)
    old_rows = np.repeat(touched, k)
    all_rows = np.concatenate([old_rows, rows])
    all_scores = np.concatenate([scores[racing[touched]].ravel(), new_scores])
    all_items = np.concatenate([nums[racing[touched]].ravel(), new_items])
    order = np.lexsort((all_items, -all_scores, all_rows))
    starts = np.searchsorted(all_rows[order], touched)
    taken = order[starts[:, None] + np.arange(k)]
    scores[racing[touched]] = all_scores[taken]
    nums[racing[touched]] = all_items[taken]


def _write_neighbours(folder: Path, item_embeddings: Float32, asked: Int32, near: int) -> None:
    items = len(item_embeddings)
    norms = np.linalg.norm(item_embeddings, axis=1, keepdims=True)
    unit_ID = np.divide(item_embeddings, norms, out=np.zeros_like(item_embeddings), where=norms > SHORTEST)
    ordered = NormOrdered(
        vectors_ID=unit_ID,
        order_I=np.arange(items, dtype=np.int32),
        negative_norms_I=np.full(items, -1, dtype=np.float32),
    )
    nums = np.lib.format.open_memmap(folder / NEIGHBOUR_ITEMS_FILE, "w+", np.int32, (items, near))
    scores = np.lib.format.open_memmap(folder / NEIGHBOUR_SCORES_FILE, "w+", np.float32, (items, near))
    nums[:], scores[:] = -1, -np.inf
    for rows in _blocks(len(asked)):
        own = asked[rows]
        itself = _Pairs(rows=np.arange(len(own)), items=own)
        nums[own], scores[own] = top_products(unit_ID[own], ordered, near, seen=itself)
    nums.flush()
    scores.flush()


@dataclass(frozen=True, kw_only=True)
class _Pairs:
    """Which items are left out for which row of a block."""

    rows: Int64
    items: Int32

    @classmethod
    def of(cls, indptr: Int64, items: Int32, block: slice) -> "_Pairs":
        bounds = np.asarray(indptr[block.start : block.stop + 1])
        return cls(
            rows=np.repeat(np.arange(len(bounds) - 1), np.diff(bounds)),
            items=np.asarray(items[bounds[0] : bounds[-1]]),
        )


def _without(nums: Int32, scores: Float32, seen: _Pairs, k: int) -> tuple[Int32, Float32]:
    """Drop seen items from lists of search results and cut them to k, filled up with -1 and -inf."""
    width = int(nums.max(initial=0)) + 1
    keys = np.arange(len(nums))[:, None] * width + nums
    drop = (nums < 0) | np.isin(keys, seen.rows * width + seen.items)
    order = np.argsort(drop, axis=1, kind="stable")[:, :k]
    dropped = np.take_along_axis(drop, order, axis=1)
    return (
        np.where(dropped, -1, np.take_along_axis(nums, order, axis=1)).astype(np.int32),
        np.where(dropped, -np.inf, np.take_along_axis(scores, order, axis=1)).astype(np.float32),
    )


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, min(start + USER_BLOCK, count)) for start in range(0, count, USER_BLOCK))
