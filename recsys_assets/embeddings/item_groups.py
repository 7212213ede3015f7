"""EASE's weights for sets whose dense inverse is too large: group by group of similar items.

The items are cut into groups of neighbours. The columns of a group's items are regressed on the group and on the
items that share most users with it, by one small dense inverse, which is exact but for the items left out (Steck
2019, "Markov Random Fields for Collaborative Filtering", solves such blocks, too). Memory is bounded by the group.
Shapes: U users, I items, n entries, C items of a group, S items that they are regressed on, K weights kept a column.
"""

import numpy as np
import torch

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.shared_users import SharedUsers
from recsys_assets.embeddings.user_item_graph import UserItemGraph, spectral_embeddings
from recsys_assets.storage.arrays import Float32, Float64, Int32, Int64

GROUP = 256
"""Items of a group, at most."""
SUPPORT = 2_000
"""Items that a group is regressed on, itself included. Half as many take 13 seconds of one core on Gowalla instead of
32, and cost 1.5 % of NDCG@20 there."""
GROUP_BYTES = (1 << 28) + 16 * SUPPORT * SUPPORT
"""Bytes of a group's work, about: its users by its items, and small matrices."""
LEAST_USERS = 5
"""Users that an item has at least to be regressed on others, or others on it. On validation days of the default two
thirds of the items have fewer; without them NDCG@20 is as good, in half of the time."""
_DIRECTIONS = 32
"""Dimensions of the vectors that the groups are cut by."""


def grouped_weights(
    matrix: InteractionMatrix, values_n: Float32, *, kept: int, seed: int = 0
) -> tuple[Int32, Int32, Float32]:
    """Return the K largest weights of each column of B as triples: row, column and weight, three arrays.

    Args:
        matrix: the observed pairs.
        values_n: value of each entry over √λ.
        kept: K, >= 1.
        seed: of the vectors that the groups are cut by.
    """
    groups = similar_groups(matrix, seed=seed)
    columns = _Columns(matrix, values_n)
    found = [_group_weights(columns, group_C, kept) for group_C in groups if len(group_C)]
    if not found:
        return np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32)
    rows, cols, weights = (np.concatenate(part) for part in zip(*found, strict=True))
    return rows, cols, weights


def similar_groups(matrix: InteractionMatrix, *, seed: int = 0) -> list[Int64]:
    """Cut the items with enough users into groups of at most `GROUP`.

    They are halved along the leading direction until they are small.
    """
    graph = UserItemGraph.of(matrix, device="cpu")
    _, items_ID = spectral_embeddings(graph, _DIRECTIONS, seed)
    items_ID = torch.nn.functional.normalize(items_ID)
    counts_I = np.bincount(matrix.item_nums, minlength=len(matrix.items))
    waiting, groups = [np.flatnonzero(counts_I >= LEAST_USERS)], []
    while waiting:
        nums = waiting.pop()
        if len(nums) <= GROUP:
            groups.append(nums)
            continue
        centred_ID = items_ID[torch.from_numpy(nums)]
        centred_ID = centred_ID - centred_ID.mean(0)
        _, vectors_DD = torch.linalg.eigh((centred_ID.T @ centred_ID).double())
        order = torch.argsort(centred_ID @ vectors_DD[:, -1].float(), stable=True).numpy()
        halves = -(-len(nums) // GROUP) // 2 * GROUP
        waiting += [nums[order[halves:]], nums[order[:halves]]]
    return groups


class _Columns:
    """The entries by item and by user."""

    def __init__(self, matrix: InteractionMatrix, values_n: Float32) -> None:
        items = len(matrix.items)
        self.shape = matrix.shape
        order = np.argsort(matrix.item_nums, kind="stable")
        self._users_n = matrix.user_nums()[order]
        self._values_n = values_n[order]
        self._starts = np.append(0, np.cumsum(np.bincount(matrix.item_nums, minlength=items)))
        self._matrix, self._by_user_n = matrix, values_n
        squares_I = np.bincount(matrix.item_nums, weights=values_n.astype(np.float64) ** 2, minlength=items)
        self._rare_I = np.diff(self._starts) < LEAST_USERS
        self.norms_I = np.maximum(squares_I, np.finfo(np.float32).tiny) ** 0.5

    def of(self, items_S: Int64) -> tuple[Int32, Int64, Float32]:
        """Return user, place in `items_S` and value of the entries of these items, ordered by user."""
        lengths = self._starts[items_S + 1] - self._starts[items_S]
        place_n = np.repeat(np.arange(len(items_S)), lengths)
        within_n = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        entry_n = np.repeat(self._starts[items_S], lengths) + within_n
        order = np.argsort(self._users_n[entry_n], kind="stable")
        entry_n = entry_n[order]
        return self._users_n[entry_n], place_n[order], self._values_n[entry_n]

    def nearness(self, items_C: Int64) -> Float64:
        """Return each item's summed cosine with `items_C`, (I,)."""
        users_n, place_n, values_n = self.of(items_C)
        wanted_U = np.bincount(
            users_n, weights=values_n / self.norms_I[items_C][place_n], minlength=self.shape[0]
        )
        users = np.flatnonzero(wanted_U)
        indptr = self._matrix.indptr
        lengths = indptr[users + 1] - indptr[users]
        within_n = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        entry_n = np.repeat(indptr[users], lengths) + within_n
        sums_I = np.bincount(
            self._matrix.item_nums[entry_n],
            weights=np.repeat(wanted_U[users], lengths) * self._by_user_n[entry_n],
            minlength=self.shape[1],
        )
        sums_I[self._rare_I] = 0
        return sums_I / self.norms_I


def _group_weights(columns: _Columns, items_C: Int64, kept: int) -> tuple[Int32, Int32, Float32]:
    near_I = columns.nearness(items_C)
    near_I[items_C] = np.inf
    size = min(max(SUPPORT, len(items_C)), int((near_I > 0).sum()))
    support_S = np.argsort(-near_I, kind="stable")[:size]  # the group first, in the order of its numbers
    users_n, place_n, values_n = columns.of(support_S)
    users, row_n = np.unique(users_n, return_inverse=True)
    shared = SharedUsers(row_n, place_n, (len(users), size), values_n=values_n)
    gram_SS = shared.rows(0, size)
    gram_SS.diagonal().add_(1)
    own = len(items_C)
    inverse_SC = torch.cholesky_solve(torch.eye(size, own), torch.linalg.cholesky(gram_SS))
    weights_CS = (-inverse_SC / inverse_SC.diagonal()).T.contiguous()
    weights_CS.diagonal().zero_()
    _, places_CK = torch.topk(weights_CS.abs(), min(kept, size), dim=1, sorted=False)
    weights_CK = weights_CS.gather(1, places_CK)
    rows = support_S[places_CK.numpy()].astype(np.int32)
    cols = np.repeat(support_S[:own].astype(np.int32), rows.shape[1])
    return rows.ravel(), cols, weights_CK.numpy().ravel()
