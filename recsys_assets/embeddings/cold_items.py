"""Vectors, related items and expected popularity for items without a past, from the words of the catalogue.

Two ways to score a new item, both linear, so that serving does not change. Its vector is what its words say in the
model's space (a ridge map, fitted to the known items). Its related items are the known ones with the nearest text:
a wish for one of them speaks for it. The words' own weights are in `item_text`.
Shapes: U users, I known items, N new items, B columns of the text, D embedding_size, k neighbours, n entries.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, entries_of
from recsys_assets.embeddings.item_text import ItemText
from recsys_assets.storage.arrays import NO_ITEM, Bools, Float32, Int32, Int64

NEIGHBOURS = 100
"""Known items kept for a new one."""
RIDGES = (100.0, 30.0, 10.0, 3.0, 1.0)
"""L2 strengths that the map is tried with, in items: a word that fewer items have says less than the mean does."""

_HELD_OUT = 0.1
_STEPS = 10
"""Conjugate-gradient steps for a strength; each goes on from the one before."""
_CHUNK_ITEMS = 128
_SLOPE_ITEMS, _SLOPE_USERS = 128, 10_000


@dataclass(frozen=True, kw_only=True)
class ColdItems:
    """The new items in the model's space."""

    vectors: Float32
    """Factor part of each new item's vector, (N, D); 0 where its text shares no word with a known item."""
    related: Int32
    """The known items with the nearest text, nearest first, (N, k); `NO_ITEM` where a row ends."""
    related_weights: Float32
    """Score that a wish for the related item adds to the new one, (N, k), >= 0, on the scale of a touch (0 or 1)."""

    def nearest(self) -> Int32:
        """Return the known item that is nearest by text, (N,), for "new, like …"; `NO_ITEM` where none is."""
        return np.ascontiguousarray(self.related[:, 0])


def cold_items(
    matrix: InteractionMatrix, known_vectors_ID: Float32, known: ItemText, new: ItemText, *, seed: int
) -> ColdItems:
    """Embed items without a past from their words.

    Args:
        matrix: the observed pairs; its items are the known ones.
        known_vectors_ID: factor part of the known items' vectors, without the prior's dimension.
        known: text of the known items, in the matrix's numbering.
        new: text of the new items, over the same columns.
        seed: draws the known items that the map's strength and the scale of the weights are measured on.
    """
    counts_I = np.bincount(matrix.item_nums, minlength=len(known))
    related_Nk, cosines_Nk = nearest_by_text(known, new, counts_I)
    slope = touches_per_content(matrix, known, seed=seed)
    return ColdItems(
        vectors=cold_vectors(known_vectors_ID, counts_I, known, new, seed=seed),
        related=related_Nk,
        related_weights=np.float32(slope) * _content_weights(related_Nk, cosines_Nk, counts_I),
    )


def cold_vectors(
    known_vectors_ID: Float32, counts_I: Int64, known: ItemText, new: ItemText, *, seed: int
) -> Float32:
    """Map words to the directions of known items' vectors by ridge regression, and apply it to new items.

    Directions and not vectors: a vector's length grows with the item's popularity, so that a fit to vectors is one
    to the popular items (on later days of the default, recall@50 among new items 0.020 against 0.031). For the
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
    held_out_I = np.random.default_rng(seed).random(len(known)) < _HELD_OUT
    fitted, tried = np.flatnonzero(~held_out_I), np.flatnonzero(held_out_I)
    strength = RIDGES[0]
    if len(fitted) and len(tried):
        tried_text, tried_units = known.take(tried), units_ID[tried] - mean_D
        path = _ridge_path(known.take(fitted), units_ID[fitted] - mean_D, RIDGES)
        errors = [float((tried_text.times(map_BD) - tried_units).square().sum()) for map_BD in path]
        strength = RIDGES[int(np.argmin(errors))]
    map_BD = _ridge_path(known, units_ID - mean_D, [s for s in RIDGES if s >= strength])[-1]
    found_ND = (mean_D + new.times(map_BD)) * float(lengths_I[young_I].mean())
    found_ND[torch.from_numpy(~_says_something(known, new))] = 0
    return found_ND.numpy().astype(np.float32)


def _says_something(known: ItemText, new: ItemText) -> Bools:
    """Mark the new items that share a word with a known item, (N,)."""
    seen_B1 = torch.zeros(known.columns, 1)
    seen_B1[torch.from_numpy(known.column_nums.astype(np.int64))] = 1
    return new.times(seen_B1)[:, 0].numpy() > 0


def _ridge_path(
    text: ItemText, targets_ID: Tensor, strengths: list[float] | tuple[float, ...]
) -> list[Tensor]:
    """Solve (F'F + strength) W = F'Y for each strength, strongest first, (B, D) each.

    Conjugate gradients on all D right sides at once, preconditioned by the diagonal; F is only ever multiplied.
    """
    by_column = text.transposed()
    squares_B = torch.from_numpy(
        np.bincount(text.column_nums, weights=text.weights.astype(np.float64) ** 2, minlength=text.columns)
    ).float()
    wanted_BD = by_column.times(targets_ID)
    map_BD = torch.zeros_like(wanted_BD)
    found = []
    for strength in strengths:
        scale_B1 = (1 / (squares_B + strength))[:, None]
        rest_BD = wanted_BD - by_column.times(text.times(map_BD)) - strength * map_BD
        step_BD = scale_B1 * rest_BD
        size_D = (rest_BD * step_BD).sum(0)
        for _ in range(_STEPS):
            image_BD = by_column.times(text.times(step_BD)) + strength * step_BD
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
    known: ItemText, new: ItemText, counts_I: Int64, *, neighbours: int = NEIGHBOURS
) -> tuple[Int32, Float32]:
    """Return each new item's nearest known items by cosine, with the cosines, both (N, k), nearest first.

    Equally near items are ordered by their users, so that the first one is a name that people know. Items with
    the same text are searched once. k is the smaller of `neighbours` and I.
    """
    firsts, place_N = _distinct(new)
    k = min(neighbours, len(known))
    found_Rk, cosines_Rk = np.empty((len(firsts), k), np.int32), np.empty((len(firsts), k), np.float32)
    # Smaller than what a difference of texts makes.
    tie_I = torch.from_numpy(1e-4 * np.log1p(counts_I) / np.log1p(max(1, counts_I.max()))).float()
    for start in range(0, len(firsts), _CHUNK_ITEMS):
        rows = slice(start, min(start + _CHUNK_ITEMS, len(firsts)))
        cosines_RI = known.times(new.take(firsts[rows]).dense().T.contiguous()).T.contiguous()
        nums_Rk = torch.topk(cosines_RI + tie_I, k, dim=1).indices
        cosines_Rk[rows] = cosines_RI.gather(1, nums_Rk).numpy()
        found_Rk[rows] = nums_Rk.numpy()
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


def _content_weights(related_Nk: Int32, cosines_Nk: Float32, counts_I: Int64) -> Float32:
    """Divide the cosines by the root of the related item's users, as the cosine of item-kNN does.

    A wish that many share says little about who will like a new item (on later days of the default: recall@50
    among new items 0.044 without, 0.060 with the root, 0.054 with the whole count).
    """
    counts_Nk = np.where(related_Nk == NO_ITEM, 1, np.maximum(counts_I, 1)[related_Nk])
    return (cosines_Nk / np.sqrt(counts_Nk)).astype(np.float32)


def touches_per_content(matrix: InteractionMatrix, known: ItemText, *, seed: int) -> float:
    """Return the scale of content scores: the least-squares slope of touches (0 or 1) on them, >= 0.

    Measured on items of the least known quarter, each scored as if it were new, by its neighbours without itself.
    """
    rng = np.random.default_rng(seed)
    counts_I = np.bincount(matrix.item_nums, minlength=len(known))
    young = np.flatnonzero(counts_I <= np.quantile(counts_I, 0.25))
    items = np.sort(rng.choice(young, min(_SLOPE_ITEMS, len(young)), replace=False))
    users = np.arange(len(matrix.users))
    if len(users) > _SLOPE_USERS:
        users = np.sort(rng.choice(users, _SLOPE_USERS, replace=False))
    related_Mk, cosines_Mk = nearest_by_text(known, known.take(items), counts_I)
    weights_Mk = _content_weights(related_Mk, cosines_Mk, counts_I)
    weights_Mk[related_Mk == items[:, None]] = 0
    weights_IM = torch.zeros(len(known), len(items))
    place_Mk = np.broadcast_to(np.arange(len(items))[:, None], related_Mk.shape)
    there_Mk = related_Mk != NO_ITEM
    weights_IM[
        torch.from_numpy(related_Mk[there_Mk].astype(np.int64)), torch.from_numpy(place_Mk[there_Mk])
    ] = torch.from_numpy(weights_Mk[there_Mk])
    row_n, item_n = entries_of(matrix, users)
    starts_U = np.searchsorted(row_n, np.arange(len(users)))
    scores_UM = embedding_bag(torch.from_numpy(item_n), weights_IM, torch.from_numpy(starts_U), mode="sum")
    place_I = np.full(len(known), NO_ITEM)
    place_I[items] = np.arange(len(items))
    among_n = place_I[item_n] != NO_ITEM
    touched = scores_UM[torch.from_numpy(row_n[among_n]), torch.from_numpy(place_I[item_n[among_n]])].sum()
    squares = float(scores_UM.square().sum(dtype=torch.float64))
    return float(touched) / squares if squares else 0.0


def related_rows(cold: ColdItems, *, known_items: int, width: int) -> tuple[Int32, Float32]:
    """Turn the related items around: the new items that a wish for each known item speaks for, strongest first.

    Returns:
        New items' numbers, (I, width) int32 with `NO_ITEM` where a row ends, and their weights, (I, width) float32.
    """
    new_n = np.repeat(np.arange(len(cold.related)), cold.related.shape[1])
    known_n, weights_n = cold.related.ravel(), cold.related_weights.ravel()
    there = (known_n != NO_ITEM) & (weights_n > 0)
    new_n, known_n, weights_n = new_n[there], known_n[there], weights_n[there]
    order = np.lexsort((new_n, -weights_n, known_n))
    new_n, known_n, weights_n = new_n[order], known_n[order], weights_n[order]
    counts_I = np.bincount(known_n, minlength=known_items)
    place_n = np.arange(len(known_n)) - np.repeat(np.cumsum(counts_I) - counts_I, counts_I)
    kept = place_n < width
    found_IW = np.full((known_items, width), NO_ITEM, np.int32)
    weights_IW = np.zeros((known_items, width), np.float32)
    found_IW[known_n[kept], place_n[kept]] = new_n[kept]
    weights_IW[known_n[kept], place_n[kept]] = weights_n[kept]
    return found_IW, weights_IW
