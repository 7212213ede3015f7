"""The index artifact: the search, and the lists scored ahead of serving, from which a request starts.

These are each user's best unseen items (`candidate_rows`) and each item's nearest ones by cosine.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from recsys_assets.embeddings.model_files import load_embeddings
from recsys_assets.embeddings.score_parts import RelatedByUser
from recsys_assets.index.candidate_rows import Method, blocks, in_threads, write_candidates
from recsys_assets.index.choose_index import choose_index
from recsys_assets.index.exact_search import NormOrdered, Pairs, top_products
from recsys_assets.index.index_report import IndexReport
from recsys_assets.index.item_index import ItemIndex
from recsys_assets.settings import IndexSettings
from recsys_assets.storage.arrays import NO_ITEM, Float32, Int32, create_array
from recsys_assets.storage.atomic import replaced_folder

_NEIGHBOUR_ITEMS: Final = "neighbours_items.npy"
_NEIGHBOUR_SCORES: Final = "neighbours_scores.npy"
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
    folder: Path, *, item_factors: Float32, popular_items: Int32, settings: IndexSettings
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
    """
    items = len(item_factors)
    kept = min(settings.neighbours_per_item, items - 1)
    if kept <= 0:
        return Neighbours(kept=0, items=0)
    norms_I = np.linalg.norm(item_factors, axis=1, keepdims=True)
    unit_IF = np.divide(
        item_factors, norms_I, out=np.zeros(item_factors.shape, np.float32), where=norms_I > _SHORTEST
    )
    ordered = NormOrdered(
        vectors_ID=unit_IF,
        order_I=np.arange(items, dtype=np.int32),
        negative_norms_I=np.full(items, -1, dtype=np.float32),
    )
    listed = np.sort(popular_items[: settings.precompute_pairs // items])
    nums, scores = (
        create_array(folder / name, (items, kept), dtype)
        for name, dtype in ((_NEIGHBOUR_ITEMS, np.int32), (_NEIGHBOUR_SCORES, np.float32))
    )
    nums[:], scores[:] = NO_ITEM, -np.inf

    def score(rows: slice) -> None:
        own = listed[rows]
        itself = Pairs(rows=np.arange(len(own)), items=own)
        top = top_products(unit_IF[own], ordered, kept, left_out=itself)
        nums[own], scores[own] = top.nums, top.scores

    in_threads(score, blocks(len(listed)), threads=settings.threads)
    nums.flush()
    scores.flush()
    return Neighbours(kept=kept, items=len(listed))


@dataclass(frozen=True, kw_only=True)
class Precomputed:
    """Lists scored ahead of serving."""

    candidates_by: Method
    """Method that found the users' candidates."""
    candidates: int
    """Items kept for a user."""
    neighbours: int
    """Items kept for an item."""
    items_with_neighbours: int
    """Items that have neighbours, the most popular ones."""


@dataclass(frozen=True, kw_only=True)
class IndexOutcome:
    """Result of an index build."""

    report: IndexReport
    """Searches measured and the one chosen."""
    precomputed: Precomputed
    """Lists scored ahead of serving."""


def build_item_index(
    embeddings: Path, folder: Path, settings: IndexSettings, *, seed: int = 0
) -> IndexOutcome:
    """Build the search and the precomputed lists, and replace the artifact in `folder` by them.

    Args:
        embeddings: a folder that `save_embeddings` wrote.
        folder: the index artifact.
        settings: recall target, threads, and sizes of the precomputed lists.
        seed: seed of the samples that the search is measured on.

    Raises:
        TrainingDataError: an embedding is not finite.
    """
    found = load_embeddings(embeddings)
    with replaced_folder(folder) as staged:
        report = choose_index(
            found.item_embeddings, staged, settings, seed=seed, queries=found.user_embeddings
        )
        candidates = write_candidates(
            staged,
            user_embeddings=found.user_embeddings,
            item_embeddings=found.item_embeddings,
            seen_indptr=found.seen_indptr,
            seen_items=found.seen_items,
            related=RelatedByUser.of(found.score, found),
            index=ItemIndex.load(staged, found.item_embeddings),
            settings=settings,
        )
        neighbours = write_neighbours(
            staged,
            item_factors=found.item_embeddings[:, : found.score.recipe.factor_size],
            popular_items=found.popular_items,
            settings=settings,
        )
    precomputed = Precomputed(
        candidates_by=candidates.by,
        candidates=candidates.kept,
        neighbours=neighbours.kept,
        items_with_neighbours=neighbours.items,
    )
    return IndexOutcome(report=report, precomputed=precomputed)
