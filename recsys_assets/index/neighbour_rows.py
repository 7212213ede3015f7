"""Each item's nearest ones by cosine, scored ahead of serving."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from recsys_assets.embeddings.model_files import Embeddings
from recsys_assets.index.candidate_rows import blocks, in_threads
from recsys_assets.index.exact_search import NormOrdered, Pairs, top_products
from recsys_assets.settings import IndexSettings
from recsys_assets.storage.arrays import NO_ITEM, Float32, Int32, create_array

NEIGHBOUR_ITEMS: Final = "neighbours_items.npy"
NEIGHBOUR_SCORES: Final = "neighbours_scores.npy"
_SHORTEST: Final = 1e-12
"""A vector shorter than this has no meaningful direction."""


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Length of the items' neighbour lists, and the number of items that have one."""

    kept: int
    """Neighbours an item."""
    items: int
    """Items that have neighbours, the most popular ones; the rows of all others hold -1."""


def write_neighbours(
    folder: Path,
    *,
    item_factors: Float32,
    popular_items: Int32,
    settings: IndexSettings,
    elsewhere: Callable[[Sequence[slice]], None] | None = None,
) -> Neighbours:
    """Write each item's nearest ones: `neighbours_items.npy`, int32, and `neighbours_scores.npy`.

    Both are (I, N): item numbers and float32 cosines, descending, without the item itself. Only the most
    popular items have neighbours, as many as `precompute_pairs` allows. The rows of all others hold -1 and
    -inf, and serving computes them on request.

    Args:
        folder: where the two files go.
        item_factors: (I, F) float32, the item embeddings without the prior.
        popular_items: (I,) item numbers, most popular first.
        settings: list length and pairs.
        elsewhere: fills blocks of `listed_items` in other processes; None: threads of this process.
    """
    items = len(item_factors)
    kept = min(settings.neighbours_per_item, items - 1)
    if kept <= 0:
        return Neighbours(kept=0, items=0)
    lists = tuple(
        create_array(folder / name, (items, kept), dtype)
        for name, dtype in ((NEIGHBOUR_ITEMS, np.int32), (NEIGHBOUR_SCORES, np.float32))
    )
    lists[0][:], lists[1][:] = NO_ITEM, -np.inf
    listed = listed_items(popular_items, settings)
    rows = list(blocks(len(listed)))
    if elsewhere is None:
        fill_neighbours(lists, item_factors, listed, rows, settings)
    else:
        elsewhere(rows)
    for array in lists:
        array.flush()
    return Neighbours(kept=kept, items=len(listed))


def listed_items(popular_items: Int32, settings: IndexSettings) -> Int32:
    """Return the items that have neighbours, ascending."""
    return np.sort(popular_items[: settings.precompute_pairs // len(popular_items)])


def fill_neighbours(
    lists: Sequence[np.memmap[Any, Any]],
    item_factors: Float32,
    listed: Int32,
    rows: Sequence[slice],
    settings: IndexSettings,
) -> None:
    """Fill the rows of the items in these blocks of `listed` in the two files, item numbers and cosines."""
    nums, scores = lists
    items, kept = nums.shape
    norms_I = np.linalg.norm(item_factors, axis=1, keepdims=True)
    unit_IF = np.divide(
        item_factors, norms_I, out=np.zeros(item_factors.shape, np.float32), where=norms_I > _SHORTEST
    )
    ordered = NormOrdered(
        vectors_ID=unit_IF,
        order_I=np.arange(items, dtype=np.int32),
        negative_norms_I=np.full(items, -1, dtype=np.float32),
    )

    def score(block: slice) -> None:
        own = listed[block]
        itself = Pairs(rows=np.arange(len(own)), items=own)
        top = top_products(unit_IF[own], ordered, kept, left_out=itself)
        nums[own], scores[own] = top.nums, top.scores

    in_threads(score, rows, threads=settings.threads)


def item_factors(found: Embeddings) -> Float32:
    """Return the item embeddings without the prior, (I, F)."""
    return found.item_embeddings[:, : found.score.recipe.factor_size]
