"""The best k unseen items of many users at once, with a fixed order of equal scores.

Items that a user has in the training part are never ranked. Equal scores are ordered by popularity in the
training part, then by item number, so a ranking never depends on how a sort happened to run.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recsys_assets.embeddings.interaction_matrix import (
    InteractionMatrix,
    by_popularity,
    entries_of,
    popularity,
)
from recsys_assets.storage.arrays import NO_ITEM, Float32, Int64

ScoreUsers = Callable[[Int64], Tensor]
"""Maps user numbers (R,) to scores of every item (R, I), float32, which the ranking may overwrite."""

_CHUNK_SCORES = 1 << 21


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The recommended items of some users."""

    user_nums: Int64
    """R users."""
    items_Rk: Int64
    """Item numbers, best first; `NO_ITEM` where a user has fewer than k unseen items."""


def rank(train: InteractionMatrix, user_nums: Int64, score: ScoreUsers, *, k: int) -> Ranking:
    """Return the k best items that each of `user_nums` has no entry for in `train`, chunk by chunk."""
    items = len(train.items)
    best = min(k, items)
    popular_rank = np.empty(items, dtype=np.int64)
    popular_rank[by_popularity(popularity(train, half_life_days=None))] = np.arange(items)
    tie_key_I = torch.from_numpy(items - 1 - popular_rank)
    found = np.full((len(user_nums), k), NO_ITEM, dtype=np.int64)
    for rows in _chunks(len(user_nums), items):
        scores_RI = score(user_nums[rows])
        row_n, item_n = map(torch.from_numpy, entries_of(train, user_nums[rows]))
        scores_RI[row_n, item_n] = -torch.inf
        keys_Rk, items_Rk = torch.topk(_ordered(scores_RI) + tie_key_I, best, dim=1)
        items_Rk[keys_Rk < _SEEN_BELOW] = NO_ITEM
        found[rows, :best] = items_Rk.numpy()
    return Ranking(user_nums=user_nums, items_Rk=found)


def by_factors(user_embeddings: Float32, item_embeddings: Float32) -> ScoreUsers:
    """Score by the inner products of a factorisation."""
    users_UD, items_DI = torch.from_numpy(user_embeddings), torch.from_numpy(item_embeddings).T
    return lambda user_nums: users_UD[user_nums] @ items_DI


def by_item_scores(scores_I: npt.NDArray[Any]) -> ScoreUsers:
    """Score the items alike for every user, (I,)."""
    scores = torch.from_numpy(scores_I.astype(np.float32))
    return lambda user_nums: scores.repeat(len(user_nums), 1)


def _ordered(scores_RI: Tensor) -> Tensor:
    """Return int64 keys in the order of the float32 scores, with the lower 32 bits free to decide ties.

    A float's bits compare like integers once the negative ones are flipped (they are stored sign-magnitude).
    """
    bits = (scores_RI + 0.0).view(torch.int32)  # + 0.0 makes -0.0 equal to 0.0
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).long() << 32


_SEEN_BELOW = int(_ordered(torch.tensor([torch.finfo(torch.float32).min]))[0])
"""Smaller keys belong to -inf, the score of a seen item."""


def _chunks(users: int, items: int) -> Iterator[slice]:
    size = max(1, _CHUNK_SCORES // max(1, items))
    return (slice(start, min(start + size, users)) for start in range(0, users, size))
