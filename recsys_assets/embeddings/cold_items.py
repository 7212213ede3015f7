"""Vectors for items without a past, from the words of the catalogue: a ridge map from words to the model's space.

Tried beside it on later days of the default and random items of two sets: a map of two layers (NDCG@20 among new items
0.007 against 0.010), the mean of the nearest known items by text, and scores by the wishes for those, over the root
of their users (0.021; as related items of every model they would make each session's answer twice as slow).
The words' own weights are in `item_text`. Shapes: I known items, N new items, B columns of the text, D dimensions.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from recsys_assets.embeddings.item_text import ItemText
from recsys_assets.storage.arrays import NO_ITEM, Bools, Float32, Int32, Int64

RIDGES = (100.0, 30.0, 10.0, 3.0, 1.0)
"""L2 strengths that the map is tried with, in items: a word that fewer items have says less than the mean does."""

_HELD_OUT = 0.1
_STEPS = 10
"""Conjugate-gradient steps for a strength; each goes on from the one before."""
_CHUNK_ITEMS = 128


def cold_vectors(
    known_vectors_ID: Float32, counts_I: Int64, known: ItemText, new: ItemText, *, seed: int
) -> Float32:
    """Map words to the directions of known items' vectors by ridge regression, and apply it to new items.

    Directions and not vectors: a vector's length grows with the item's popularity, so that a fit to vectors is one
    to the popular items (on later days of the default, recall@50 among new items 0.020 against 0.032). For the
    same reason items are not weighted by their counts (0.026). The length is the mean one of the least known
    quarter of the items: a new item starts like them. An item with only its category gets about the category's
    mean; one without a known word gets 0. The strength is chosen on a tenth of the known items, held out.

    Returns:
        (N, D), float32, finite.
    """
    lengths_I = np.linalg.norm(known_vectors_ID, axis=1)
    units_ID = torch.from_numpy(known_vectors_ID / np.maximum(lengths_I, np.finfo(np.float32).tiny)[:, None])
    young_I = counts_I <= np.quantile(counts_I, 0.25)
    mean_D = units_ID.mean(0)
    firsts, place_I = _distinct(known)
    texts, place = known.take(firsts), torch.from_numpy(place_I)
    fitted_I = torch.from_numpy(np.random.default_rng(seed).random(len(known)) >= _HELD_OUT)
    path = _ridge_path(texts, place[fitted_I], (units_ID - mean_D)[fitted_I], RIDGES)
    errors = [
        float((texts.times(map_BD)[place] + mean_D - units_ID)[~fitted_I].square().sum()) for map_BD in path
    ]
    best = int(np.argmin(errors))
    (map_BD,) = _ridge_path(texts, place, units_ID - mean_D, (RIDGES[best],), start_BD=path[best])
    found_ND = (mean_D + new.times(map_BD)) * float(lengths_I[young_I].mean())
    found_ND[torch.from_numpy(~_says_something(known, new))] = 0
    return np.asarray(found_ND.numpy(), dtype=np.float32)


def _says_something(known: ItemText, new: ItemText) -> Bools:
    """Mark the new items that share a word with a known item, (N,)."""
    seen_B1 = torch.zeros(known.columns, 1)
    seen_B1[torch.from_numpy(known.column_nums.astype(np.int64))] = 1
    return np.asarray(new.times(seen_B1)[:, 0].numpy() > 0)


def _ridge_path(
    texts: ItemText,
    place_I: Tensor,
    targets_ID: Tensor,
    strengths: tuple[float, ...],
    start_BD: Tensor | None = None,
) -> list[Tensor]:
    """Solve (F'F + strength) W = F'Y for each strength, strongest first, (B, D) each, from `start_BD` or 0 on.

    Row i of F is `texts` at `place_I`: items with the same text are multiplied once. Conjugate gradients on all D
    right sides at once, preconditioned by the diagonal.
    """
    by_column = texts.transposed()
    items_T1 = torch.bincount(place_I, minlength=len(texts)).float()[:, None]
    sums_TD = torch.zeros(len(texts), targets_ID.shape[1]).index_add_(0, place_I, targets_ID)
    squares_B1 = replace(by_column, weights=by_column.weights**2).times(items_T1)
    wanted_BD = by_column.times(sums_TD)
    map_BD = torch.zeros_like(wanted_BD) if start_BD is None else start_BD
    found = []
    for strength in strengths:
        scale_B1 = 1 / (squares_B1 + strength)
        rest_BD = wanted_BD - by_column.times(items_T1 * texts.times(map_BD)) - strength * map_BD
        step_BD = scale_B1 * rest_BD
        size_D = (rest_BD * step_BD).sum(0)
        for _ in range(_STEPS):
            image_BD = by_column.times(items_T1 * texts.times(step_BD)) + strength * step_BD
            # A column that is solved has nothing left to divide.
            reach_D = size_D / (step_BD * image_BD).sum(0).clamp(min=torch.finfo(torch.float32).tiny)
            map_BD = map_BD + reach_D * step_BD
            rest_BD = rest_BD - reach_D * image_BD
            scaled_BD = scale_B1 * rest_BD
            before_D, size_D = size_D, (rest_BD * scaled_BD).sum(0)
            step_BD = scaled_BD + size_D / before_D.clamp(min=torch.finfo(torch.float32).tiny) * step_BD
        found.append(map_BD)
    return found


def nearest_by_text(
    known: ItemText, new: ItemText, counts_I: Int64, *, neighbours: int
) -> tuple[Int32, Float32]:
    """Return each new item's nearest known items by cosine, with the cosines, both (N, k), nearest first.

    Equally near items are ordered by their users, so that the first one is a name that people know. Items with
    the same text are searched once. k is the smaller of `neighbours` and I.
    """
    firsts, place_N = _distinct(new)
    known_firsts, place_I = _distinct(known)
    texts = known.take(known_firsts)
    # The items of a text one after another, most users first.
    items_I = np.lexsort((-counts_I, place_I)).astype(np.int32)
    sizes_T = np.bincount(place_I, minlength=len(texts))
    starts_T = np.cumsum(sizes_T) - sizes_T
    most_T = counts_I[items_I[starts_T]] if len(texts) else counts_I[:0]
    # Smaller than what a difference of texts makes.
    tie_T = torch.from_numpy(1e-4 * np.log1p(most_T) / np.log1p(max(1, counts_I.max(initial=0)))).float()
    k, near = min(neighbours, len(known)), min(neighbours, len(texts))
    found_Rk, cosines_Rk = np.empty((len(firsts), k), np.int32), np.empty((len(firsts), k), np.float32)
    for start in range(0, len(firsts), _CHUNK_ITEMS):
        rows = slice(start, min(start + _CHUNK_ITEMS, len(firsts)))
        cosines_RT = texts.times(new.take(firsts[rows]).dense().T.contiguous()).T.contiguous()
        near_Rn = torch.topk(cosines_RT + tie_T, near, dim=1).indices
        near_cosines_Rn = cosines_RT.gather(1, near_Rn).numpy()
        for row, (texts_n, values_n) in enumerate(zip(near_Rn.numpy(), near_cosines_Rn, strict=True), start):
            sizes_n = np.minimum(sizes_T[texts_n], k)
            ends_n = np.cumsum(sizes_n)
            used = int(np.searchsorted(ends_n, k)) + 1
            sizes_n, ends_n = sizes_n[:used], ends_n[:used]
            shift_n = starts_T[texts_n[:used]] - (ends_n - sizes_n)
            found_Rk[row] = items_I[(np.repeat(shift_n, sizes_n) + np.arange(ends_n[-1]))[:k]]
            cosines_Rk[row] = np.repeat(values_n[:used], sizes_n)[:k]
    found_Rk[cosines_Rk <= 0] = NO_ITEM
    return found_Rk[place_N], np.maximum(cosines_Rk, 0)[place_N]


def _distinct(text: ItemText) -> tuple[Int64, Int64]:
    """Return the first item of each distinct text, (R,), and the place of each item's text among them, (I,)."""
    places: dict[bytes, int] = {}
    firsts: list[int] = []
    place_I = np.empty(len(text), np.int64)
    for item in range(len(text)):
        words = text.column_nums[text.indptr[item] : text.indptr[item + 1]].tobytes()
        if words not in places:
            places[words] = len(firsts)
            firsts.append(item)
        place_I[item] = places[words]
    return np.asarray(firsts, dtype=np.int64), place_I
