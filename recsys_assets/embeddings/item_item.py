"""The component `item_item`: the items that a wish for an item speaks for, by EASE's weights, kept sparse.

EASE (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data") predicts each item from all the others by
ridge regression: X ≈ XB with a zero diagonal, in closed form B = 1 - P / diag(P), P = (X'X + λ)^-1. A user's scores
are the sum of the rows of B that belong to the items wished for. Only the N largest weights of a row are kept.
P is inverted by items or by users where one of them is small, and group by group where neither is.
Shapes: U users, I items, n entries, N weights kept a row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, entries_of
from recsys_assets.embeddings.item_groups import GROUP, GROUP_BYTES, LEAST_USERS, grouped_weights
from recsys_assets.embeddings.item_inverse import InverseByItems, InverseByUsers, slice_of_items
from recsys_assets.storage.arrays import NO_ITEM, Float32, Int32, Int64

DENSE_SIDE = 8_000
"""Largest number of items, or of users, whose square is inverted: 256 MB, about a minute on two cores."""
USER_FORM_SUMS = 10**10
"""Most additions (entries times items) of the form by users, some ten seconds of one core. The default needs 4 times
as many; group by group it is as good in 25 seconds of one core instead of 61."""
_TIMES_USERS = 5.0
_LEAST_STRENGTH = 300.0
"""On validation days of five small sets λ of 300 ranked best or within 1.5 % of the best, whatever the mean number of
users of an item: 100 to 1,000 are alike."""
NORMALISE = 0.25
"""On validation days of the same sets as good as no normalisation; on later days of magazines 5 % better, and on
Gowalla, in the dense form, 6 %."""
_CUBED_A_SECOND, _SUMS_A_SECOND, _GROUP_SECONDS = 5e10, 2.5e8, 0.24
"""Speed of an inverse, of gathering rows, and the time of a group, on two busy cores: twice as slow as idle ones."""
_KEPT = (100, 400)
"""Least and most weights kept a row, see `kept_weights`."""
_KEPT_NUMBERS = 1 << 22
"""Weights kept in all, as long as a row may have more than the least."""


@dataclass(frozen=True, kw_only=True)
class RelatedItems:
    """The items that a wish for each item speaks for. Shapes: I items, N weights kept."""

    items: Int32
    """(I, N), largest weight first; -1 where a row ends."""
    weights: Float32
    """(I, N), 0 where a row has ended; a negative weight speaks against the item."""


def related_items(
    matrix: InteractionMatrix,
    *,
    strength: float | None = None,
    normalise: float = NORMALISE,
    kept: int | None = None,
) -> RelatedItems:
    """Regress every item on all the others and keep the weights of each row with the largest size.

    The same arguments give the same bytes on the same machine and thread count. Bytes needed: `item_item_bytes`.

    Args:
        matrix: the observed pairs.
        strength: λ, the L2 strength, > 0; None chooses it by `default_strength`.
        normalise: an entry's value is 1 / (users of its item x items of its user) ** normalise, times a constant,
            so that neither the busiest users nor the most popular items decide alone; 0 takes 1 for all.
        kept: N, >= 1, at most the number of items; None chooses it by `kept_weights`.
    """
    items = len(matrix.items)
    kept = min(items, kept or kept_weights(items))
    strength = default_strength(matrix) if strength is None else strength
    scaled_n = strength**-0.5 * _normalised(matrix, normalise)
    popular_I = np.maximum(np.bincount(matrix.item_nums, minlength=items), 1).astype(np.float32) ** normalise
    form = inverse_form(matrix.shape, matrix.entries)
    if form == "groups":
        rows_m, cols_m, weights_m = grouped_weights(matrix, scaled_n, kept=kept)
        weights_m *= popular_I[cols_m] / popular_I[rows_m]
        return _by_row(rows_m, cols_m, weights_m, shape=(items, kept))
    inverse: InverseByItems | InverseByUsers
    inverse = (InverseByItems if form == "items" else InverseByUsers)(matrix, scaled_n)
    found = _no_relations((items, kept))
    size = slice_of_items(items)
    for start in range(0, items, size):
        stop = min(start + size, items)
        weights_RI = inverse.rows(start, stop) / -inverse.diagonal_I
        weights_RI.diagonal(start).zero_()
        weights_RI *= torch.from_numpy(popular_I) / torch.from_numpy(popular_I[start:stop, None])
        found.items[start:stop], found.weights[start:stop] = largest_weights(weights_RI, kept)
    return found


def _normalised(matrix: InteractionMatrix, exponent: float) -> Float32:
    """Return the value of each entry, (n,), with a mean square of 1."""
    of_item = np.bincount(matrix.item_nums, minlength=len(matrix.items))[matrix.item_nums]
    of_user = np.repeat(np.diff(matrix.indptr), np.diff(matrix.indptr))
    values_n = (of_item.astype(np.float64) * of_user) ** -exponent
    scaled_n: Float32 = (values_n / np.sqrt(np.square(values_n).mean())).astype(np.float32)
    return scaled_n


def _by_row(rows_m: Int32, cols_m: Int32, weights_m: Float32, *, shape: tuple[int, int]) -> RelatedItems:
    """Keep the largest weights of each row out of m triples in any order."""
    order = np.lexsort((cols_m, -np.abs(weights_m), rows_m))
    rows_m, cols_m, weights_m = rows_m[order], cols_m[order], weights_m[order]
    place_m = np.arange(len(rows_m)) - np.searchsorted(rows_m, rows_m)
    kept = (place_m < shape[1]) & (weights_m != 0)
    rows_m, cols_m, weights_m = rows_m[kept], cols_m[kept], weights_m[kept]
    order = np.lexsort((cols_m, -weights_m, rows_m))
    place_m = np.arange(len(rows_m)) - np.searchsorted(rows_m, rows_m)
    found = _no_relations(shape)
    found.items[rows_m, place_m] = cols_m[order]
    found.weights[rows_m, place_m] = weights_m[order]
    return found


def _no_relations(shape: tuple[int, int]) -> RelatedItems:
    return RelatedItems(items=np.full(shape, NO_ITEM, np.int32), weights=np.zeros(shape, np.float32))


def largest_weights(weights_RI: Tensor, kept: int) -> tuple[Int32, Float32]:
    """Return items and weights of the `kept` entries of each row with the largest size, by falling weight."""
    _, items_RN = torch.topk(weights_RI.abs(), kept, dim=1, sorted=False)
    weights_RN, order_RN = weights_RI.gather(1, items_RN).sort(dim=1, descending=True, stable=True)
    items_RN = items_RN.gather(1, order_RN)
    nothing_RN = weights_RN == 0
    # what is nothing ends the row
    order_RN = nothing_RN.int().argsort(dim=1, stable=True)
    items_RN.masked_fill_(nothing_RN, NO_ITEM)
    return (
        items_RN.gather(1, order_RN).int().numpy(),
        weights_RN.gather(1, order_RN).numpy(),
    )


def default_strength(matrix: InteractionMatrix) -> float:
    """Return λ by the data: 5 times the mean number of users of an item, and at least 300."""
    return max(_LEAST_STRENGTH, _TIMES_USERS * matrix.entries / len(matrix.items))


def inverse_form(shape: tuple[int, int], entries: int) -> Literal["items", "users", "groups"]:
    """Return the form of the inverse: of items or of users, whole, where that is quick enough, or group by group."""
    users, items = shape
    if users <= DENSE_SIDE and users < items and entries * items <= USER_FORM_SUMS:
        return "users"
    return "items" if items <= DENSE_SIDE else "groups"


def kept_weights(items: int) -> int:
    """Return N by the number of items: the denser a small catalogue, the more weights a row needs."""
    least, most = _KEPT
    return min(max(_KEPT_NUMBERS // items, least), most)


def item_item_seconds(matrix: InteractionMatrix) -> float:
    """Return the seconds of `related_items` on two busy cores, about, from the sizes alone."""
    users, items = matrix.shape
    match inverse_form(matrix.shape, matrix.entries):
        case "items":
            return float(items) ** 3 / _CUBED_A_SECOND
        case "users":
            return float(users) ** 3 / _CUBED_A_SECOND + float(matrix.entries) * items / _SUMS_A_SECOND
        case _:
            grouped = np.count_nonzero(np.bincount(matrix.item_nums) >= LEAST_USERS)
            return -(-int(grouped) // GROUP) * _GROUP_SECONDS


def item_item_bytes(shape: tuple[int, int], entries: int) -> int:
    """Return the bytes that `related_items` holds at its worst moment beside the matrix.

    Args:
        shape: (users, items).
        entries: observed pairs.
    """
    users, items = shape
    kept = min(items, kept_weights(items))
    result = 8 * items * kept
    by_item = 24 * entries  # user, value and order of each entry, beside its own value
    form = inverse_form(shape, entries)
    if form != "groups":
        small = items if form == "items" else users
        a_slice = 4 * slice_of_items(max(shape)) * max(shape)
        return by_item + 4 * small * small + 6 * a_slice + result
    triples = 12 * items * kept
    return by_item + max(GROUP_BYTES, 5 * triples) + triples + result


def by_related_items(
    matrix: InteractionMatrix, related: RelatedItems, *, values_n: Float32 | None = None
) -> Callable[[Int64], Tensor]:
    """Return a function from user numbers (R,) to the scores of every item (R, I): sums of the rows of a history.

    Args:
        matrix: the history.
        related: rows in the numbering of the matrix.
        values_n: a of each entry, (n,), which its row is multiplied by; None: 1.
    """
    items = len(matrix.items)
    columns_IN = np.where(related.items == NO_ITEM, 0, related.items)
    first_of = matrix.indptr

    def score(user_nums: Int64) -> Tensor:
        row_n, item_n = entries_of(matrix, user_nums)
        weights_nN = related.weights[item_n]
        if values_n is not None:
            lengths = first_of[user_nums + 1] - first_of[user_nums]
            within_n = np.arange(len(row_n)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            weights_nN = weights_nN * values_n[first_of[user_nums][row_n] + within_n][:, None]
        cells = row_n[:, None] * items + columns_IN[item_n]
        scores = np.bincount(cells.ravel(), weights=weights_nN.ravel(), minlength=len(user_nums) * items)
        return torch.from_numpy(scores.astype(np.float32)).view(len(user_nums), items)

    return score
