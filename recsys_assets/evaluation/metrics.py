"""All metrics of lists of recommendations: against held-out items, over the catalogue, and of the lists themselves.

Definitions (T: the user's held-out items, hits: those among the best k):
recall = hits / |T|;  hit_rate = 1 if any hit;  mrr = 1 / rank of the first hit;
ndcg = Σ_hits 1/log2(rank + 1) over the same sum for a list that starts with all of T, binary relevance.
coverage = share of the catalogue that anyone is recommended;
novelty = mean of -log2(share of training users who have the item) over all recommendations.
Shapes: R lists, one a user; k places, `NO_ITEM` where a list is shorter; I items, D embedding_size.
"""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.storage.arrays import NO_ITEM, Bools, Float32, Float64, Int64

if TYPE_CHECKING:
    from recsys_assets.evaluation.held_out import Ranking  # imports torch


def user_metrics(ranking: "Ranking", held_out: InteractionMatrix, *, k: int) -> dict[str, Float64]:
    """Return `ndcg`, `recall`, `hit_rate` and `mrr` at k of each ranked user, (R,); each has held-out items."""
    hits_Rk = _hits(ranking.items_Rk, ranking.user_nums, held_out)[:, :k]
    sizes_R = np.diff(held_out.indptr)[ranking.user_nums]
    any_hit_R = hits_Rk.any(axis=1)
    return {
        "ndcg": _ndcg_of_hits(hits_Rk, sizes_R),
        "recall": hits_Rk.sum(axis=1) / sizes_R,
        "hit_rate": any_hit_R.astype(np.float64),
        "mrr": np.where(any_hit_R, 1 / (hits_Rk.argmax(axis=1) + 1), 0.0),
    }


def ndcg(lists_Rk: Int64, user_nums: Int64, held_out: InteractionMatrix) -> Float64:
    """Return NDCG at k of each list, (R,), 0-1; NaN for a user without held-out items.

    Args:
        lists_Rk: item numbers, best first.
        user_nums: the user of each list, R.
        held_out: what users touch later, in the numbering of the lists.
    """
    return _ndcg_of_hits(_hits(lists_Rk, user_nums, held_out), np.diff(held_out.indptr)[user_nums])


def _ndcg_of_hits(hits_Rk: Bools, sizes_R: Int64) -> Float64:
    """Compute NDCG from the hits of each list and the number of held-out items of its user, (R,)."""
    places = hits_Rk.shape[1]
    discounts_k = 1 / np.log2(np.arange(2, places + 2))
    ideal_R = np.concatenate([[np.nan], np.cumsum(discounts_k)])[np.minimum(sizes_R, places)]
    found_R: Float64 = (hits_Rk @ discounts_k) / ideal_R
    return found_R


def _hits(lists_Rk: Int64, user_nums: Int64, held_out: InteractionMatrix) -> Bools:
    """Mark the recommended items that are held out for their user, (R, k)."""
    items = len(held_out.items)
    wanted_n = held_out.user_nums().astype(np.int64) * items + held_out.item_nums
    shown_Rk = np.where(lists_Rk == NO_ITEM, NO_ITEM, user_nums[:, None] * items + lists_Rk)
    places_Rk = np.searchsorted(wanted_n, shown_Rk)
    found_Rk: Bools = np.append(wanted_n, NO_ITEM - 1)[places_Rk] == shown_Rk
    return found_Rk


def catalogue_metrics(ranking: "Ranking", train: InteractionMatrix, *, k: int) -> dict[str, float]:
    """Return `coverage` and `novelty` at k over all ranked users."""
    lists_Rk = ranking.items_Rk[:, :k]
    shown = lists_Rk[lists_Rk != NO_ITEM]
    users_I = np.bincount(train.item_nums, minlength=len(train.items))
    return {
        "coverage": coverage(lists_Rk, len(train.items)),
        "novelty": float(-np.log2(np.maximum(users_I[shown], 1) / len(train.users)).mean()),
    }


def coverage(lists_Rk: Int64, items: int) -> float:
    """Return the share of the catalogue that any of the lists shows, 0-1."""
    return len(np.unique(lists_Rk[lists_Rk != NO_ITEM])) / items


def padded_lists(lists: list[list[int]], k: int) -> Int64:
    """Return lists of item numbers as one array, (R, k), cut to k or filled up with `NO_ITEM`."""
    found_Rk = np.full((len(lists), k), NO_ITEM, dtype=np.int64)
    for row, nums in zip(found_Rk, lists, strict=True):
        row[: len(nums[:k])] = nums[:k]
    return found_Rk


def intra_list_diversity(lists_Rk: Int64, items_ID: Float32, inverse_norms_I: Float32) -> Float64:
    """Return the mean of 1 - cosine over all pairs of a list's items, (R,), 0-2; NaN for fewer than two items.

    Args:
        lists_Rk: item numbers.
        items_ID: item embeddings.
        inverse_norms_I: 1 / length of each embedding; 0 for one without direction.
    """
    found_R = np.full(len(lists_Rk), np.nan)
    for row, nums in enumerate(lists_Rk):
        shown = nums[nums != NO_ITEM]
        count = len(shown)
        if count > 1:
            unit_nD = items_ID[shown] * inverse_norms_I[shown, None]
            # the sum of all cosines but those of an item with itself
            total = float((unit_nD.sum(axis=0) ** 2).sum() - (unit_nD**2).sum())
            found_R[row] = 1 - total / (count * (count - 1))
    return found_R


def category_counts(lists_Rk: Int64, codes_I: npt.NDArray[np.integer]) -> Float64:
    """Return the number of different categories in each list, (R,), from the category's code of each item."""
    found = [len(np.unique(codes_I[nums[nums != NO_ITEM]])) for nums in lists_Rk]
    return np.asarray(found, dtype=np.float64)


def mean_over_items(lists_Rk: Int64, values_I: npt.NDArray[np.floating]) -> Float64:
    """Return the mean of a value over each list's items, (R,), without those whose value is unknown (NaN)."""
    shown_Rk = np.where(lists_Rk != NO_ITEM, values_I[lists_Rk], np.nan)
    known_Rk = np.isfinite(shown_Rk)
    sums_R, counts_R = np.where(known_Rk, shown_Rk, 0).sum(axis=1), known_Rk.sum(axis=1)
    found_R: Float64 = np.divide(sums_R, counts_R, out=np.full(len(lists_Rk), np.nan), where=counts_R > 0)
    return found_R


def overlap(one_Rk: Int64, other_Rk: Int64) -> Float64:
    """Return the share of the longer list's items that both lists have, (R,), 0-1."""
    found = []
    for one, other in zip(one_Rk, other_Rk, strict=True):
        left, right = set(one[one != NO_ITEM].tolist()), set(other[other != NO_ITEM].tolist())
        longer = max(len(left), len(right))
        found.append(len(left & right) / longer if longer else 1.0)
    return np.asarray(found)


def mean_known(values: Float64) -> float:
    """Return the mean of the values that are finite; NaN where none is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
