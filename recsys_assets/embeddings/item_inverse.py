"""Rows of the inverse (X'X + λ)^-1, times λ, that EASE's weights are made of, a slice of items at a time.

Two forms of the same numbers: by items where the catalogue is small, by users where the users are few, whatever the
number of items. `item_groups` has the form for sets where neither is. Shapes: U users, I items, n entries; R rows of
a slice. Λ is divided out: X's values are those of the entries over √λ.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from recsys_assets.embeddings.ials_half_step import order_by
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.shared_users import SharedUsers
from recsys_assets.storage.arrays import Float32

_SLICE_CELLS = 1 << 24
"""Numbers of a slice of rows: 64 MB, held three times."""


def slice_of_items(items: int) -> int:
    """Return the number of rows to compute at a time, >= 1."""
    return max(1, _SLICE_CELLS // max(1, items))


class InverseByItems:
    """The inverse as one dense matrix of items by items (Steck 2019, eq. 8)."""

    def __init__(self, matrix: InteractionMatrix, values_n: Float32) -> None:
        """Invert; `values_n` are the values of the entries."""
        items = len(matrix.items)
        shared = SharedUsers(matrix.user_nums(), matrix.item_nums, matrix.shape, values_n=values_n)
        self._inverse_II = torch.empty(items, items)
        size = slice_of_items(items)
        for start in range(0, items, size):
            stop = min(start + size, items)
            self._inverse_II[start:stop] = shared.rows(start, stop)
        _invert(self._inverse_II)
        self.diagonal_I = self._inverse_II.diagonal().clone()

    def rows(self, start: int, stop: int) -> Tensor:
        """Return the rows `start` to `stop`, exclusive, (R, I)."""
        return self._inverse_II[start:stop]


class InverseByUsers:
    """The same inverse as 1 - X'(XX' + 1)^-1 X: a dense matrix of users by users, and rows as they are needed."""

    def __init__(self, matrix: InteractionMatrix, values_n: Float32) -> None:
        """Invert XX' + 1; `values_n` are the values of the entries."""
        users, items = matrix.shape
        by_item = order_by(matrix.item_nums)
        users_n = matrix.user_nums()[by_item]
        counts_I = np.bincount(matrix.item_nums, minlength=items)
        self._users_n = torch.from_numpy(users_n.astype(np.int64))
        self._values_n = torch.from_numpy(values_n[by_item])
        self._starts = torch.from_numpy(np.append(0, np.cumsum(counts_I)))
        # the same sums with users and items in each other's place
        shared = SharedUsers(
            matrix.item_nums[by_item], users_n, (items, users), values_n=values_n[by_item], dense_cells=0
        )
        self._inverse_UU = torch.empty(users, users)
        size = slice_of_items(users)
        for start in range(0, users, size):
            stop = min(start + size, users)
            self._inverse_UU[start:stop] = shared.rows(start, stop)
        _invert(self._inverse_UU)
        self.diagonal_I = torch.ones(items)
        size = slice_of_items(users)
        for start in range(0, items, size):
            stop = min(start + size, items)
            low, high = int(self._starts[start]), int(self._starts[stop])
            rows_n = torch.repeat_interleave(
                torch.arange(stop - start), self._starts[start : stop + 1].diff()
            )
            inner_n = self._of_items(start, stop)[rows_n, self._users_n[low:high]]
            self.diagonal_I[start:stop].index_add_(0, rows_n, inner_n * self._values_n[low:high], alpha=-1)

    def rows(self, start: int, stop: int) -> Tensor:
        """Return the rows `start` to `stop`, exclusive, (R, I)."""
        found_RI = -self._sums(self._of_items(start, stop).T.contiguous(), 0, len(self._starts) - 1).T
        found_RI.diagonal(start).add_(1)
        return found_RI

    def _of_items(self, start: int, stop: int) -> Tensor:
        """Return these rows of X'(XX' + 1)^-1, (R, U)."""
        return self._sums(self._inverse_UU, start, stop)

    def _sums(self, table_UC: Tensor, start: int, stop: int) -> Tensor:
        """Return these rows of X' @ table, (R, C)."""
        low, high = int(self._starts[start]), int(self._starts[stop])
        return embedding_bag(
            self._users_n[low:high], table_UC, self._starts[start : stop + 1] - low,
            mode="sum", per_sample_weights=self._values_n[low:high], include_last_offset=True,
        )  # fmt: skip


def _invert(gram_AA: Tensor) -> None:
    """Replace a Gram matrix by the inverse of itself plus 1, in place."""
    gram_AA.diagonal().add_(1)
    torch.linalg.cholesky(gram_AA, out=gram_AA)
    torch.cholesky_inverse(gram_AA, out=gram_AA)
