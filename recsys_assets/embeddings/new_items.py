"""A fitted model with the items of the catalogue that have no event yet, beside those that it was fitted to.

A new item's vector says what its words say, see `cold_items`; its prior is that of the popularity to expect of a new
item. What known items are and score does not change. Shapes: K known and N new items, I = K + N, D dimensions.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.embeddings.cold_items import cold_vectors, nearest_by_text
from recsys_assets.embeddings.expected_popularity import expected_popularity
from recsys_assets.embeddings.fit_model import FittedModel
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, SeenPairs
from recsys_assets.embeddings.item_text import item_text
from recsys_assets.embeddings.model_files import Embeddings
from recsys_assets.embeddings.recency import log_popularity_of
from recsys_assets.embeddings.score_recipe import RelatedRows
from recsys_assets.storage.arrays import NO_ITEM, Float32, Int64
from recsys_assets.storage.string_table import Vocabulary


def untouched_items(interactions: pl.LazyFrame, catalogue: pl.DataFrame | None) -> list[str]:
    """Return the ids of the catalogue's items with a title or category and no event of any weight, ascending.

    An item that was only rated low or seen has a past, and so is not among them.
    """
    if catalogue is None:
        return []
    touched = interactions.select(pl.col(columns.ITEM_ID).unique()).collect()
    described = pl.any_horizontal(pl.col(columns.TITLE, columns.CATEGORY).is_not_null())
    return (
        catalogue.filter(described)
        .join(touched, on=columns.ITEM_ID, how="anti")[columns.ITEM_ID]
        .sort()
        .to_list()
    )


def with_new_items(
    model: FittedModel,
    interactions: pl.LazyFrame,
    catalogue: pl.DataFrame | None,
    *,
    seed: int,
    earlier: Embeddings | None = None,
) -> FittedModel:
    """Return the model with every untouched item of the catalogue; the same one where there are none.

    Args:
        model: fitted to the interactions.
        interactions: the columns of the INTERACTIONS contract.
        catalogue: rows of ITEM_CATALOGUE, or None if there is none.
        seed: draws the known items that the map from words is checked on.
        earlier: the embeddings that the model was trained on from. Where all new items were new then, they keep their
            vectors: learning the map takes longer than a few epochs, which hardly turn the space.
    """
    new_ids = untouched_items(interactions, catalogue)
    if catalogue is None or not new_ids:
        return model
    items = Vocabulary.from_strings([*model.matrix.items, *new_ids])
    known_nums, new_nums = (items.nums(ids).astype(np.int64) for ids in (list(model.matrix.items), new_ids))
    kept = None if earlier is None else _kept(model, new_ids, earlier)
    vectors_ND, like_N = kept or _described(model, new_ids, catalogue, seed=seed)
    prior = model.parts.recipe.prior
    if prior is not None:
        expected = expected_popularity(interactions, catalogue, half_life_days=prior.half_life_days)
        log = log_popularity_of(expected, model.matrix, half_life_days=prior.half_life_days)
        last_N1 = np.full((len(new_ids), 1), prior.weight * log / prior.user_coordinate, np.float32)
        vectors_ND = np.hstack([vectors_ND, last_N1])
    items_ID = np.empty((len(items), vectors_ND.shape[1]), np.float32)
    items_ID[known_nums], items_ID[new_nums] = model.factorisation.item_embeddings, vectors_ND
    like_I = np.full(len(items), NO_ITEM, np.int32)
    like_I[new_nums] = np.where(like_N == NO_ITEM, NO_ITEM, known_nums[like_N])
    return FittedModel(
        matrix=_renumbered(model.matrix, items, known_nums),
        factorisation=replace(model.factorisation, item_embeddings=items_ID),
        parts=replace(
            model.parts,
            fold_in=replace(model.parts.fold_in, item_embeddings=items_ID),
            related=_widened(model.parts.related, known_nums, len(items)),
            like_items=like_I,
        ),
    )


def _kept(model: FittedModel, new_ids: Sequence[str], earlier: Embeddings) -> tuple[Float32, Int64] | None:
    """Return what `_described` would, as the earlier model had it; None unless it had all of these items as new."""
    like_I, size = earlier.score.like_items, model.parts.recipe.factor_size
    nums_N = earlier.items.nums(list(new_ids)).astype(np.int64)
    if like_I is None or earlier.score.recipe.factor_size != size or (nums_N < 0).any():
        return None
    like_N, vectors_ND = like_I[nums_N].astype(np.int64), np.asarray(earlier.item_embeddings[nums_N, :size])
    said_N = like_N != NO_ITEM
    if vectors_ND[~said_N].any():  # a known item; one whose words said nothing has no vector
        return None
    known_N = np.full(len(nums_N), NO_ITEM, np.int64)
    known_N[said_N] = model.matrix.items.nums([earlier.items[int(num)] for num in like_N[said_N]])
    return None if (known_N[said_N] < 0).any() else (vectors_ND, known_N)


def _described(
    model: FittedModel, new_ids: Sequence[str], catalogue: pl.DataFrame, *, seed: int
) -> tuple[Float32, Int64]:
    """Return the factor part of the new items' vectors, and the known item that each is most like."""
    known = len(model.matrix.items)
    words = item_text(catalogue, [*model.matrix.items, *new_ids])
    of_known, of_new = words.take(np.arange(known)), words.take(np.arange(known, known + len(new_ids)))
    counts = np.bincount(model.matrix.item_nums, minlength=known)
    factors = model.factorisation.item_embeddings[:, : model.parts.recipe.factor_size]
    nearest, _ = nearest_by_text(of_known, of_new, counts, neighbours=1)
    return cold_vectors(factors, counts, of_known, of_new, seed=seed), nearest[:, 0].astype(np.int64)


def _renumbered(matrix: InteractionMatrix, items: Vocabulary, known_nums: Int64) -> InteractionMatrix:
    """Return the matrix over more items; the order of the known ones stays."""
    others = matrix.others_seen
    return replace(
        matrix,
        items=items,
        item_nums=known_nums[matrix.item_nums].astype(np.int32),
        others_seen=None
        if others is None
        else SeenPairs(indptr=others.indptr, item_nums=known_nums[others.item_nums].astype(np.int32)),
    )


def _widened(related: RelatedRows | None, known_nums: Int64, items: int) -> RelatedRows | None:
    if related is None:
        return None
    width = related.items_IN.shape[1]
    items_IN = np.full((items, width), NO_ITEM, np.int32)
    weights_IN = np.zeros((items, width), np.float32)
    there_KN = related.items_IN != NO_ITEM
    items_IN[known_nums] = np.where(there_KN, known_nums[related.items_IN], NO_ITEM)
    weights_IN[known_nums] = related.weights_IN
    return RelatedRows(items_IN=items_IN, weights_IN=weights_IN)
