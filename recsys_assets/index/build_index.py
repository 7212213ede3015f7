"""The index artifact: the search, and the lists scored ahead of serving, from which a request starts.

These are each user's best unseen items and each item's nearest ones by cosine. Work in blocks bounds the memory.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from recsys_assets.embeddings.model_files import load_embeddings
from recsys_assets.index.choose_index import choose_index
from recsys_assets.index.exact_search import NormOrdered, Pairs, top_products
from recsys_assets.index.index_report import IndexReport
from recsys_assets.index.item_index import ItemIndex
from recsys_assets.settings import IndexSettings
from recsys_assets.storage.arrays import NO_ITEM, Float32, Int32, Int64, create_array
from recsys_assets.storage.atomic import replaced_folder

CANDIDATE_ITEMS: Final = "candidates_items.npy"
CANDIDATE_SCORES: Final = "candidates_scores.npy"
_NEIGHBOUR_ITEMS: Final = "neighbours_items.npy"
_NEIGHBOUR_SCORES: Final = "neighbours_scores.npy"
_BLOCK: Final = 512
"""Vectors scored together: enough for a fast matrix product."""
_SHORTEST: Final = 1e-12
"""A vector shorter than this has no meaningful direction."""

Method = Literal["exact", "index", "nothing"]


@dataclass(frozen=True, kw_only=True)
class CandidateRows:
    """Method and length of the users' candidate lists."""

    by: Method
    """`exact` products, the `index`, or `nothing` if the settings turn candidates off."""
    kept: int
    """Items a user."""


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Length of the items' neighbour lists, and the number of items that have one."""

    kept: int
    """Neighbours an item."""
    items: int
    """Items that have neighbours, the most popular ones; the rows of all others hold -1."""


def write_candidates(
    folder: Path,
    *,
    user_embeddings: Float32,
    item_embeddings: Float32,
    history_indptr: Int64,
    history_items: Int32,
    index: ItemIndex,
    settings: IndexSettings,
) -> CandidateRows:
    """Write each user's best unseen items: `candidates_items.npy`, int32, and `candidates_scores.npy`.

    Both are (U, C): item numbers and float32 inner products, descending, without the items of the user's
    history. A short list ends with -1 and -inf. The lists are exact if that takes at most `precompute_pairs`
    scores, as estimated from the first block of users. Otherwise they come from the index, and a user with a
    long history may get a short list.

    Args:
        folder: where the two files go.
        user_embeddings: (U, D) float32.
        item_embeddings: (I, D) float32.
        history_indptr: start of each user's history in `history_items`, (U + 1,).
        history_items: item numbers of all histories, one after another.
        index: the index of the same items.
        settings: list length, pairs and threads.
    """
    users, items = len(user_embeddings), len(item_embeddings)
    kept = min(settings.candidates_per_user, items)
    if kept <= 0 or not users:
        return CandidateRows(by="nothing", kept=0)
    nums, scores = (
        create_array(folder / name, (users, kept), dtype)
        for name, dtype in ((CANDIDATE_ITEMS, np.int32), (CANDIDATE_SCORES, np.float32))
    )
    ordered = NormOrdered.of(item_embeddings)

    def score(rows: slice) -> int:
        top = top_products(
            np.ascontiguousarray(user_embeddings[rows]),
            ordered,
            kept,
            left_out=Pairs.of(history_indptr, history_items, rows),
        )
        nums[rows], scores[rows] = top.nums, top.scores
        return top.scored

    first, *others = _blocks(users)
    exact = score(first) * (users / first.stop) <= settings.precompute_pairs
    if exact:
        _in_threads(score, others, threads=settings.threads)
    else:
        for rows in (first, *others):
            x_BD = np.ascontiguousarray(user_embeddings[rows])
            found = index.search_many(x_BD, min(items, 2 * kept), threads=settings.threads)
            seen = Pairs.of(history_indptr, history_items, rows)
            nums[rows], scores[rows] = _without(*found, seen, kept)
    nums.flush()
    scores.flush()
    return CandidateRows(by="exact" if exact else "index", kept=kept)


def write_neighbours(
    folder: Path, *, item_embeddings: Float32, popular_items: Int32, settings: IndexSettings
) -> Neighbours:
    """Write each item's nearest ones: `neighbours_items.npy`, int32, and `neighbours_scores.npy`.

    Both are (I, N): item numbers and float32 cosines, descending, without the item itself. Only the most
    popular items have neighbours, as many as `precompute_pairs` allows. The rows of all others hold -1 and
    -inf, and serving computes them on request.

    Args:
        folder: where the two files go.
        item_embeddings: (I, D) float32.
        popular_items: (I,) item numbers, most popular first.
        settings: list length and pairs.
    """
    items = len(item_embeddings)
    kept = min(settings.neighbours_per_item, items - 1)
    if kept <= 0:
        return Neighbours(kept=0, items=0)
    norms_I = np.linalg.norm(item_embeddings, axis=1, keepdims=True)
    unit_ID = np.divide(
        item_embeddings, norms_I, out=np.zeros_like(item_embeddings), where=norms_I > _SHORTEST
    )
    ordered = NormOrdered(
        vectors_ID=unit_ID,
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
        top = top_products(unit_ID[own], ordered, kept, left_out=itself)
        nums[own], scores[own] = top.nums, top.scores

    _in_threads(score, _blocks(len(listed)), threads=settings.threads)
    nums.flush()
    scores.flush()
    return Neighbours(kept=kept, items=len(listed))


def _without(nums: Int32, scores: Float32, seen: Pairs, k: int) -> tuple[Int32, Float32]:
    """Drop seen items from search results, (N, more than k), and cut them to k; short lists end with -1 and -inf."""
    width = max(int(nums.max(initial=0)), int(seen.items.max(initial=0))) + 1
    keys = np.arange(len(nums))[:, None] * width + nums
    drop = (nums == NO_ITEM) | np.isin(keys, seen.rows * width + seen.items)
    order = np.argsort(drop, axis=1, kind="stable")[:, :k]
    dropped = np.take_along_axis(drop, order, axis=1)
    return (
        np.where(dropped, np.int32(NO_ITEM), np.take_along_axis(nums, order, axis=1)),
        np.where(dropped, np.float32(-np.inf), np.take_along_axis(scores, order, axis=1)),
    )


def _in_threads(score: Callable[[slice], object], blocks: Iterable[slice], *, threads: int) -> None:
    """Score blocks side by side: a block's products use one thread, and so does the rest of its work."""
    from threadpoolctl import threadpool_limits  # noqa: PLC0415  only where an index is built

    workers = threads or len(os.sched_getaffinity(0))
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(score, blocks):  # raises what a block raised
            pass


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK))


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
            history_indptr=found.history_indptr,
            history_items=found.history_items,
            index=ItemIndex.load(staged, found.item_embeddings),
            settings=settings,
        )
        neighbours = write_neighbours(
            staged,
            item_embeddings=found.item_embeddings,
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
