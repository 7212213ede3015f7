"""Baselines for the model to beat: popularity, of all time, decayed and of the last month; item-kNN and EASE."""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from recsys_assets.embeddings.components import ScoreUsers
from recsys_assets.embeddings.ials_half_step import order_by
from recsys_assets.embeddings.interaction_matrix import (
    InteractionMatrix,
    by_popularity,
    entries_of,
    popularity,
)
from recsys_assets.embeddings.shared_users import SharedUsers
from recsys_assets.evaluation.held_out import by_item_scores
from recsys_assets.storage.arrays import Int64

NEIGHBOURS = 100
"""Neighbours kept an item by item-kNN."""
KNN_ITEMS = 20_000
"""Item-kNN compares this many of the most popular items; the others score 0. Its cost grows with their square."""

EASE_ITEMS = 6_000
"""Largest catalogue that `ease` is meant for: its time grows with the cube, its memory with the square."""

_CHUNK_SIMILARITIES = 1 << 22


def popular(train: InteractionMatrix) -> ScoreUsers:
    """Score every item by its users."""
    return by_item_scores(popularity(train, half_life_days=None))


def recently_popular(train: InteractionMatrix) -> ScoreUsers:
    """Score every item by its recent users (half life 30 days)."""
    return by_item_scores(popularity(train))


def last_month(train: InteractionMatrix, *, days: int = 30) -> ScoreUsers:
    """Score every item by the users who touched it in the last days: the shop's list of bestsellers."""
    lately = train.item_nums[train.last_day > train.through_day - days]
    return by_item_scores(np.bincount(lately, minlength=len(train.items)))


def item_knn(
    train: InteractionMatrix, *, neighbours: int = NEIGHBOURS, most_items: int = KNN_ITEMS
) -> ScoreUsers:
    """Score an item by its summed cosine similarity to the user's items, over each item's nearest neighbours.

    The cosine is that of the binary columns (Sarwar et al. 2001) among the `most_items` most popular items; the
    `neighbours` best of each item are kept. It is computed in chunks of items, never as a whole matrix.
    """
    chosen = np.sort(by_popularity(popularity(train, half_life_days=None))[:most_items])
    position_I = np.full(len(train.items), -1)
    position_I[chosen] = np.arange(len(chosen))
    nearest, similar = _nearest_items(train, position_I, min(neighbours, len(chosen)))
    bags = torch.arange(len(chosen) + 1, dtype=torch.int32) * nearest.shape[1]

    def score(user_nums: Int64) -> Tensor:
        row_n, item_n = map(torch.from_numpy, entries_of(train, user_nums))
        touched_CR = torch.zeros(len(chosen), len(user_nums))
        place_n = torch.from_numpy(position_I)[item_n]
        touched_CR[place_n[place_n >= 0], row_n[place_n >= 0]] = 1
        scores_CR = embedding_bag(
            nearest.flatten(), touched_CR, bags, mode="sum",
            per_sample_weights=similar.flatten(), include_last_offset=True,
        )  # fmt: skip
        scores_RI = torch.zeros(len(user_nums), len(train.items))
        scores_RI[:, torch.from_numpy(chosen.astype(np.int64))] = scores_CR.T
        return scores_RI

    return score


def ease(train: InteractionMatrix, *, regularization: float | None = None) -> ScoreUsers:
    """Score by the user's items times the closed-form item-item weights of EASE (Steck 2019, eq. 8).

    One dense matrix of items by items is inverted: for catalogues up to `EASE_ITEMS`.

    Args:
        train: the observed pairs, taken as binary.
        regularization: λ of the paper; none: the mean number of users an item has, times 5.
    """
    items = len(train.items)
    counts_I = np.bincount(train.item_nums, minlength=items)
    gram_II = SharedUsers(train.user_nums(), train.item_nums, train.shape).rows(0, items)
    strength = float(5 * counts_I.mean()) if regularization is None else regularization
    gram_II.diagonal().add_(strength)
    inverse_II = torch.linalg.inv(gram_II)
    weights_II = -inverse_II / inverse_II.diagonal()
    weights_II.diagonal().zero_()

    def score(user_nums: Int64) -> Tensor:
        row_n, item_n = map(torch.from_numpy, entries_of(train, user_nums))
        touched_RI = torch.zeros(len(user_nums), items)
        touched_RI[row_n, item_n] = 1
        return touched_RI @ weights_II

    return score


def _nearest_items(train: InteractionMatrix, position_I: Int64, kept: int) -> tuple[Tensor, Tensor]:
    """Positions and cosines, (C, kept), of the nearest of the C chosen items, those with a position >= 0."""
    users_n, places_n = train.user_nums(), position_I[train.item_nums]
    users_n, places_n = users_n[places_n >= 0], places_n[places_n >= 0]
    chosen = int(position_I.max()) + 1
    norms_C = torch.from_numpy(np.bincount(places_n, minlength=chosen)).clamp(min=1).float().sqrt()
    shared = SharedUsers(users_n, places_n, (len(train.users), chosen))
    nearest, similar = torch.zeros(chosen, kept, dtype=torch.int32), torch.zeros(chosen, kept)
    size = max(1, _CHUNK_SIMILARITIES // chosen)
    for start in range(0, chosen, size):
        stop = min(start + size, chosen)
        cosines_RC = shared.rows(start, stop) / norms_C / norms_C[start:stop, None]
        cosines_RC[torch.arange(stop - start), torch.arange(start, stop)] = 0
        similar[start:stop], found = torch.topk(cosines_RC, kept, dim=1)
        nearest[start:stop] = found.int()
    return nearest, similar


def ease_by_users(train: InteractionMatrix, *, regularization: float) -> ScoreUsers:
    """Score as `ease` does, by the inverse of users by users: for large catalogues and few users.

    With K = (XX' + λ)^-1 the inverse is (1 - X'KX) / λ, whose rows are needed for the users scored only.
    """
    users, items = train.shape
    user_n = torch.from_numpy(train.user_nums().astype(np.int64))
    item_n = torch.from_numpy(train.item_nums.astype(np.int64))
    by_user, by_item = torch.from_numpy(train.indptr), order_by(train.item_nums)
    # users and items in each other's place: entries by item
    shared_UU = SharedUsers(train.item_nums[by_item], train.user_nums()[by_item], (items, users)).rows(
        0, users
    )
    shared_UU.diagonal().add_(regularization)
    inverse_UU = torch.linalg.inv(shared_UU.double()).float()
    starts = np.append(0, np.cumsum(np.bincount(train.item_nums, minlength=items)))
    users_by_item = user_n[torch.from_numpy(by_item.astype(np.int64))]
    explained_I = torch.stack(
        [
            inverse_UU[users_by_item[first:last]][:, users_by_item[first:last]].sum()
            for first, last in pairwise(starts.tolist())
        ]
    )
    diagonal_I = 1 - explained_I

    def score(user_nums: Int64) -> Tensor:
        row_n, own_n = map(torch.from_numpy, entries_of(train, user_nums))
        touched_RI = torch.zeros(len(user_nums), items)
        touched_RI[row_n, own_n] = 1
        shared_RU = embedding_bag(
            item_n, touched_RI.T.contiguous(), by_user, mode="sum", include_last_offset=True
        ).T
        through_RU = (shared_RU @ inverse_UU).T.contiguous()
        explained_IR = torch.zeros(items, len(user_nums)).index_add_(0, item_n, through_RU[user_n])
        return touched_RI - (touched_RI - explained_IR.T) / diagonal_I

    return score
