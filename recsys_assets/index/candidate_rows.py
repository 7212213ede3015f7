"""Each user's best unseen items, scored ahead of serving. Work in blocks bounds the memory."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeVar

import numpy as np

from recsys_assets.embeddings.model_files import Embeddings
from recsys_assets.embeddings.score_parts import RelatedByUser
from recsys_assets.index.exact_search import NormOrdered, Pairs, Top, top_of_rows, top_products
from recsys_assets.index.item_index import ItemIndex
from recsys_assets.settings import IndexSettings
from recsys_assets.storage.arrays import NO_ITEM, Float32, Int32, Int64, create_array

R = TypeVar("R")

CANDIDATE_ITEMS: Final = "candidates_items.npy"
CANDIDATE_SCORES: Final = "candidates_scores.npy"
_BLOCK: Final = 512
"""Vectors scored together: enough for a fast matrix product."""
_SCORES_AT_ONCE: Final = 4_000_000
"""Scores of a block of users over the whole catalogue, 16 MB."""

Method = Literal["exact", "index", "nothing"]


@dataclass(frozen=True, kw_only=True)
class CandidateRows:
    """Method and length of the users' candidate lists."""

    by: Method
    """`exact` products, the `index`, or `nothing` if the settings turn candidates off."""
    kept: int
    """Items a user."""


@dataclass(frozen=True, kw_only=True)
class CandidateInputs:
    """Arrays that the candidates are scored from. Shapes: U users, I items, D dimensions."""

    user_embeddings: Float32
    """(U, D)."""
    item_embeddings: Float32
    """(I, D)."""
    seen_indptr: Int64
    """Start of each user's seen items, (U + 1,)."""
    seen_items: Int32
    """Item numbers of all users, one user after another."""
    index: ItemIndex
    """The index of the same items."""
    related: RelatedByUser | None = None
    """The related part of the same users' scores; None where the score is the inner product."""

    @classmethod
    def of(cls, found: Embeddings, index: Path) -> "CandidateInputs":
        """Take saved embeddings, and the index of their items in the folder `index`."""
        return cls(
            user_embeddings=found.user_embeddings,
            item_embeddings=found.item_embeddings,
            seen_indptr=found.seen_indptr,
            seen_items=found.seen_items,
            related=RelatedByUser.of(found.score, found),
            index=ItemIndex.load(index, found.item_embeddings),
        )


class FillElsewhere(Protocol):
    """Other processes that fill rows of lists whose files are there already."""

    def __call__(self, rows: Sequence[slice], *, exact: bool) -> None:
        """Fill these blocks of rows, by exact products or by the index."""


def write_candidates(
    folder: Path, inputs: CandidateInputs, settings: IndexSettings, *, elsewhere: FillElsewhere | None = None
) -> CandidateRows:
    """Write each user's best unseen items: `candidates_items.npy`, int32, and `candidates_scores.npy`.

    Both are (U, C): item numbers and float32 scores, descending, without the items seen. A short list ends with -1
    and -inf. The lists are exact if that takes at most `precompute_pairs` scores, as estimated from the first block of
    users. Otherwise they come from the index and the related items, and a user who has seen much may get a short list.

    Args:
        folder: where the two files go.
        inputs: vectors, what was seen, and the index.
        settings: list length, pairs and threads.
        elsewhere: fills the blocks after the first; None: threads of this process.
    """
    users = len(inputs.user_embeddings)
    kept = min(settings.candidates_per_user, len(inputs.item_embeddings))
    if kept <= 0 or not users:
        return CandidateRows(by="nothing", kept=0)
    lists = tuple(
        create_array(folder / name, (users, kept), dtype)
        for name, dtype in ((CANDIDATE_ITEMS, np.int32), (CANDIDATE_SCORES, np.float32))
    )
    at_once = _BLOCK if inputs.related is None else _users_at_once(len(inputs.item_embeddings))
    first, *others = blocks(users, at_once)
    scored = fill_candidates(lists, inputs, [first], settings, exact=True)
    exact = scored * (users / first.stop) <= settings.precompute_pairs
    if not exact:
        others = [first, *others]
    if elsewhere is None:
        fill_candidates(lists, inputs, others, settings, exact=exact)
    else:
        elsewhere(others, exact=exact)
    for array in lists:
        array.flush()
    return CandidateRows(by="exact" if exact else "index", kept=kept)


def fill_candidates(
    lists: Sequence[np.memmap[Any, Any]],
    inputs: CandidateInputs,
    rows: Sequence[slice],
    settings: IndexSettings,
    *,
    exact: bool,
) -> int:
    """Fill blocks of rows of the two files, item numbers and scores; return the number of scores computed."""
    nums, scores = lists
    related, items_ID, kept = inputs.related, inputs.item_embeddings, nums.shape[1]
    if exact:
        best = (_by_products if related is None else _by_sums)(items_ID, kept, related)
    else:
        best = _by_index(inputs.index, items_ID, kept, related, threads=settings.threads)

    def score(block: slice) -> int:
        seen = Pairs.of(inputs.seen_indptr, inputs.seen_items, block)
        top = best(np.ascontiguousarray(inputs.user_embeddings[block]), seen, block)
        nums[block], scores[block] = top.nums, top.scores
        return top.scored

    if exact:
        return sum(in_threads(score, rows, threads=settings.threads))
    return sum(map(score, rows))


def _users_at_once(items: int) -> int:
    return max(1, min(_BLOCK, _SCORES_AT_ONCE // items))


BestOfBlock = Callable[[Float32, Pairs, slice], Top]
"""Returns the best items of a block of users from their vectors, what they have seen, and their numbers."""


def _by_products(items_ID: Float32, k: int, _: RelatedByUser | None) -> BestOfBlock:
    ordered = NormOrdered.of(items_ID)
    return lambda x_BD, seen, _: top_products(x_BD, ordered, k, left_out=seen)


def _by_sums(items_ID: Float32, k: int, related: RelatedByUser | None) -> BestOfBlock:
    assert related is not None  # noqa: S101  else the products are the scores

    def best(x_BD: Float32, seen: Pairs, rows: slice) -> Top:
        scores_BI = x_BD @ items_ID.T
        related.add_to(scores_BI, rows)
        scores_BI[seen.rows, seen.items] = -np.inf
        return top_of_rows(scores_BI, k)

    return best


def _by_index(
    index: ItemIndex, items_ID: Float32, k: int, related: RelatedByUser | None, *, threads: int
) -> BestOfBlock:
    reach = min(len(items_ID), 2 * k)

    def best(x_BD: Float32, seen: Pairs, rows: slice) -> Top:
        found = index.search_many(x_BD, reach, threads=threads)
        if related is None:
            nums, scores = _without(*found, seen, k)
        else:
            every = _with_related(*found, x_BD, items_ID, related, rows)
            nums, scores = _best_of_each(every, seen, k)
        return Top(nums=nums, scores=scores, scored=found[0].size)

    return best


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


def _with_related(  # noqa: PLR0917  a block's arrays
    nums: Int32, products: Float32, x_BD: Float32, items_ID: Float32, related: RelatedByUser, users: slice
) -> Iterator[tuple[Int32, Float32]]:
    """Yield for each user of a block the items found and the related ones, each once, and their whole scores."""
    for found, scores, x_D, user_num in zip(
        nums, products, x_BD, range(users.start, users.stop), strict=True
    ):
        sums = related.of_user(user_num)
        others = (found != NO_ITEM) & ~sums.holds(np.maximum(found, 0))
        own = items_ID.take(sums.nums, axis=0).dot(x_D) + sums.scores
        yield np.concatenate([sums.nums, found[others]]), np.concatenate([own, scores[others]])


def _best_of_each(every: Iterable[tuple[Int32, Float32]], seen: Pairs, k: int) -> tuple[Int32, Float32]:
    """Return each row's k best items that are not seen, (B, k); short lists end with -1 and -inf."""
    rows = list(every)
    nums_Bk = np.full((len(rows), k), NO_ITEM, dtype=np.int32)
    scores_Bk = np.full((len(rows), k), -np.inf, dtype=np.float32)
    ends = np.searchsorted(seen.rows, np.arange(len(rows) + 1))
    for row, (nums, scores) in enumerate(rows):
        left = ~np.isin(nums, seen.items[ends[row] : ends[row + 1]])
        nums, scores = nums[left], scores[left]  # noqa: PLW2901  the same row without what was seen
        if len(nums) > k:
            few = np.argpartition(-scores, k - 1)[:k]
            nums, scores = nums[few], scores[few]  # noqa: PLW2901
        order = np.lexsort((nums, -scores))
        nums_Bk[row, : len(nums)], scores_Bk[row, : len(nums)] = nums[order], scores[order]
    return nums_Bk, scores_Bk


def in_threads(score: Callable[[slice], R], blocks: Iterable[slice], *, threads: int) -> list[R]:
    """Score blocks side by side: a block's products use one thread, and so does the rest of its work."""
    from threadpoolctl import threadpool_limits  # noqa: PLC0415  only where an index is built

    workers = threads or len(os.sched_getaffinity(0))
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
        return list(pool.map(score, blocks))  # raises what a block raised


def blocks(stop: int, size: int = _BLOCK, *, start: int = 0) -> Iterator[slice]:
    """Yield consecutive slices of `size` that cover `start` to `stop`, the last one shorter."""
    return (slice(first, min(first + size, stop)) for first in range(start, stop, size))
