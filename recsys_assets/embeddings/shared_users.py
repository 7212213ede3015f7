"""Products of the items' columns, X'X, a slice of items at a time: users in common, or their weighted sums."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from recsys_assets.storage.arrays import Float32, Float64

_CHUNK_PAIRS = 1 << 23
_DENSE_CELLS = 1 << 26
"""256 MB."""


class SharedUsers:
    """The number of users that two items have in common, or its weighted sum, for a slice of items at a time.

    Not by a product of sparse tensors: torch never frees what such a product returns, 8 bytes an entry, which was
    1 GB on the default year.
    """

    def __init__(
        self,
        users_n: npt.NDArray[np.integer[Any]],
        items_n: npt.NDArray[np.integer[Any]],
        shape: tuple[int, int],
        *,
        values_n: Float32 | None = None,
        dense_cells: int = _DENSE_CELLS,
    ) -> None:
        """Order the distinct (user, item) pairs by item; `users_n` ascends.

        Args:
            users_n: user of each pair.
            items_n: item of each pair.
            shape: numbers of users and items.
            values_n: value of each pair; two items share Σ value · value over their users. None: 1.
            dense_cells: largest users times items that are held as a dense matrix, which is faster.
        """
        users, self._items = shape
        order = np.argsort(items_n, kind="stable")
        self._users_n = users_n[order]
        self._starts = np.append(0, np.cumsum(np.bincount(items_n, minlength=self._items)))
        self._by_item_n = None if values_n is None else values_n[order]
        self._values_n = values_n
        self._has_UI: Tensor | None = None
        if users * self._items <= dense_cells:
            self._has_UI = torch.zeros(users, self._items)
            self._has_UI[torch.from_numpy(users_n), torch.from_numpy(items_n.astype(np.int64))] = (
                torch.ones(()) if values_n is None else torch.from_numpy(values_n)
            )
        self._items_n = items_n.astype(np.int64)
        self._first_U = np.append(0, np.cumsum(np.bincount(users_n, minlength=users)))

    def rows(self, start: int, stop: int) -> Tensor:
        """Return the sums of the items `start` to `stop`, exclusive, with all: float32, (stop - start, items)."""
        bounds = self._starts[start : stop + 1] - self._starts[start]
        entries = slice(self._starts[start], self._starts[stop])
        values_n = None if self._by_item_n is None else self._by_item_n[entries]
        if self._has_UI is not None:
            weights = None if values_n is None else torch.from_numpy(values_n)
            return embedding_bag(
                torch.from_numpy(self._users_n[entries]), self._has_UI, torch.from_numpy(bounds),
                mode="sum", per_sample_weights=weights, include_last_offset=True,
            )  # fmt: skip
        rows_n = np.repeat(np.arange(stop - start), np.diff(bounds)) * self._items
        sums = self._pair_sums(self._users_n[entries], rows_n, values_n, (stop - start) * self._items)
        return torch.from_numpy(sums.astype(np.float32)).view(stop - start, self._items)

    def _pair_sums(
        self, users_n: npt.NDArray[Any], rows_n: npt.NDArray[Any], values_n: Float32 | None, cells: int
    ) -> Float64:
        """Sum over all pairs of an entry (its row's first cell is `rows_n`) with the items of its user."""
        lengths = np.diff(self._first_U)[users_n]
        sums = np.zeros(cells)
        blocks = np.searchsorted(np.cumsum(lengths), np.arange(_CHUNK_PAIRS, lengths.sum(), _CHUNK_PAIRS))
        for block in np.split(np.arange(len(users_n)), blocks):
            length = lengths[block]
            ends = np.cumsum(length)
            within = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - length, length)
            places = np.repeat(self._first_U[users_n[block]], length) + within
            weights = None
            if values_n is not None and self._values_n is not None:
                weights = np.repeat(values_n[block], length) * self._values_n[places]
            sums += np.bincount(
                np.repeat(rows_n[block], length) + self._items_n[places], weights=weights, minlength=cells
            )
        return sums
