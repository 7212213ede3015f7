"""What lists of recommendations are like: a value a list, so that two sets of rules compare user by user.

Shapes: R lists, k places; -1 stands where a list is shorter.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys_assets.rules.engine.item_facts import Facts

Lists = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What users touched in held-out time. Shape: U users of the release, n pairs."""

    indptr: npt.NDArray[np.int64]
    """Where each user's items start, U + 1."""
    items: npt.NDArray[np.integer]
    """Item numbers, n."""


def as_lists(lists: list[list[int]], k: int) -> Lists:
    """(R, k) of item numbers, filled up with -1."""
    found = np.full((len(lists), k), -1, dtype=np.int64)
    for row, nums in zip(found, lists, strict=True):
        row[: len(nums[:k])] = nums[:k]
    return found


def ndcg(lists_Rk: Lists, user_nums: npt.NDArray[np.int64], truth: Truth) -> Values:
    """(R,): binary relevance, discount 1 / log2(rank + 1), ideal over min(k, held-out items), else NaN."""
    places = lists_Rk.shape[1]
    discounts_k = 1 / np.log2(np.arange(2, places + 2))
    ideal = np.concatenate([[0], np.cumsum(discounts_k)])
    found = np.full(len(lists_Rk), np.nan)
    for row, user_num in enumerate(user_nums.tolist()):
        wanted = truth.items[truth.indptr[user_num] : truth.indptr[user_num + 1]]
        if len(wanted):
            hits = np.isin(lists_Rk[row], wanted)
            found[row] = hits @ discounts_k / ideal[min(len(wanted), places)]
    return found


def intra_list_diversity(lists_Rk: Lists, facts: Facts) -> Values:
    """(R,): mean of 1 - cosine over all pairs of a list's items, 0-2; NaN for lists of fewer than two."""
    items_ID, inverse_I = facts.release.item_embeddings, facts.inverse_norms_I
    found = np.full(len(lists_Rk), np.nan)
    for row, nums in enumerate(lists_Rk):
        shown = nums[nums >= 0]
        count = len(shown)
        if count > 1:
            unit_nD = items_ID[shown] * inverse_I[shown, None]
            # the sum of all cosines but those of an item with itself
            total = float((unit_nD.sum(axis=0) ** 2).sum() - (unit_nD**2).sum())
            found[row] = 1 - total / (count * (count - 1))
    return found


def coverage(lists_Rk: Lists, items: int) -> float:
    """Share of the catalogue that anyone is shown, 0-1."""
    return len(np.unique(lists_Rk[lists_Rk >= 0])) / items


def categories(lists_Rk: Lists, facts: Facts) -> Values:
    """(R,): different categories in a list."""
    codes = facts.table.text("category").codes
    found = [len(np.unique(codes[nums[nums >= 0]])) for nums in lists_Rk]
    return np.asarray(found, dtype=np.float64)


def mean_of(lists_Rk: Lists, values_I: npt.NDArray[np.floating]) -> Values:
    """(R,): mean over a list's items of a value an item, unknown ones left out."""
    shown = np.where(lists_Rk >= 0, values_I[lists_Rk], np.nan)
    known = np.isfinite(shown)
    sums, counts = np.where(known, shown, 0).sum(axis=1), known.sum(axis=1)
    found: Values = np.divide(sums, counts, out=np.full(len(lists_Rk), np.nan), where=counts > 0)
    return found


def overlap(one_Rk: Lists, other_Rk: Lists) -> Values:
    """(R,): share of the longer list's items that both have, 0-1."""
    found = []
    for one, other in zip(one_Rk, other_Rk, strict=True):
        left, right = set(one[one >= 0].tolist()), set(other[other >= 0].tolist())
        longer = max(len(left), len(right))
        found.append(len(left & right) / longer if longer else 1.0)
    return np.asarray(found)


def mean(values: Values) -> float:
    """Mean of what is known; NaN where nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
