"""The user-item graph with edges normalised by degree: averages over neighbours, and leading singular vectors."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from recsys_assets.embeddings.ials_half_step import order_by
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix

_OVERSAMPLED = 16
_POWER_STEPS = 6


@dataclass(frozen=True, kw_only=True)
class UserItemGraph:
    """Edges weigh 1 / sqrt(user's degree · item's degree). Shapes: U users, I items, n edges."""

    user_indptr: Tensor
    """Where each user's edges start, int32, U + 1."""
    user_items: Tensor
    """Item of each edge by user, int32, n."""
    user_weights: Tensor
    """Weight of each edge by user, n."""
    item_indptr: Tensor
    """Where each item's edges start, int32, I + 1."""
    item_users: Tensor
    """User of each edge by item, int32, n."""
    item_weights: Tensor
    """Weight of each edge by item, n."""
    item_degrees: Tensor
    """Users of each item, I."""

    @classmethod
    def of(cls, matrix: InteractionMatrix, *, device: str) -> Self:
        """Build the graph: every entry of the matrix is an edge, whatever its weight."""
        user_n, item_n = matrix.user_nums(), matrix.item_nums
        user_degrees = np.diff(matrix.indptr)
        item_degrees = np.bincount(item_n, minlength=len(matrix.items))
        weights_n = (user_degrees[user_n] * item_degrees[item_n].astype(np.float64)) ** -0.5
        by_item = order_by(item_n)

        def tensor(array: Any, dtype: torch.dtype = torch.int32) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(dtype).to(device)

        return cls(
            user_indptr=tensor(matrix.indptr),
            user_items=tensor(item_n),
            user_weights=tensor(weights_n, torch.float32),
            item_indptr=tensor(np.concatenate([[0], np.cumsum(item_degrees)])),
            item_users=tensor(user_n[by_item]),
            item_weights=tensor(weights_n[by_item], torch.float32),
            item_degrees=tensor(item_degrees, torch.float32),
        )

    def users_from(self, items_ID: Tensor) -> Tensor:
        """Return the weighted sums of each user's items, (U, D)."""
        return _sums(self.user_items, items_ID, self.user_indptr, self.user_weights)

    def items_from(self, users_UD: Tensor) -> Tensor:
        """Return the weighted sums of each item's users, (I, D)."""
        return _sums(self.item_users, users_UD, self.item_indptr, self.item_weights)

    def entries_of(self, users_R: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return row (within `users_R`) and item of every edge of these users, and where each row starts, R + 1."""
        starts_R, ends_R = self.user_indptr[users_R].long(), self.user_indptr[users_R + 1].long()
        lengths_R = ends_R - starts_R
        offsets = torch.cat([lengths_R.new_zeros(1), lengths_R.cumsum(0)])
        row_n = torch.repeat_interleave(torch.arange(len(users_R), device=users_R.device), lengths_R)
        edge_n = torch.arange(len(row_n), device=users_R.device) + (starts_R - offsets[:-1])[row_n]
        return row_n, self.user_items[edge_n].long(), offsets

    def neighbours(self, users_UD: Tensor, items_ID: Tensor) -> tuple[Tensor, Tensor]:
        """Return both sides computed from each other: one step over the symmetric normalised adjacency."""
        return self.users_from(items_ID), self.items_from(users_UD)

    def smooth(self, users_UD: Tensor, items_ID: Tensor, *, layers: int) -> tuple[Tensor, Tensor]:
        """Return the mean of both sides after 0, 1, … `layers` steps to the neighbours.

        The map is linear and symmetric, so that it also carries the gradients of smoothed embeddings back.
        """
        with torch.no_grad():
            sum_UD, sum_ID = users_UD.clone(), items_ID.clone()
            for _ in range(layers):
                users_UD, items_ID = self.neighbours(users_UD, items_ID)
                sum_UD += users_UD
                sum_ID += items_ID
            return sum_UD / (layers + 1), sum_ID / (layers + 1)


def spectral_embeddings(graph: UserItemGraph, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return leading singular vectors times singular values, by randomised iteration (Halko et al. 2011).

    They are scaled to a mean squared length of 1. Where users or items are fewer than `size`, the other dimensions
    hold small random numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    users, items = len(graph.user_indptr) - 1, len(graph.item_indptr) - 1
    found = min(size, users, items)
    basis = torch.randn(items, min(found + _OVERSAMPLED, items), generator=generator).to(
        graph.item_weights.device
    )
    for _ in range(_POWER_STEPS):
        basis, _ = torch.linalg.qr(graph.items_from(graph.users_from(basis)))
    turned = graph.users_from(basis)
    squares, vectors = torch.linalg.eigh((turned.T @ turned).double())
    leading = vectors.flip(1)[:, :found].float()
    users_UD, items_ID = (
        turned @ leading,
        (basis @ leading) * squares.flip(0)[:found].clamp(min=0).sqrt().float(),
    )
    sides = [torch.randn(rows, size, generator=generator) * 1e-3 for rows in (users, items)]
    sides[0][:, :found], sides[1][:, :found] = users_UD.cpu(), items_ID.cpu()
    scale = torch.cat(sides).square().sum(1).mean().rsqrt()
    return sides[0] * scale, sides[1] * scale


def _sums(columns_n: Tensor, rows_RD: Tensor, indptr: Tensor, weights_n: Tensor) -> Tensor:
    return embedding_bag(
        columns_n, rows_RD, indptr, mode="sum", per_sample_weights=weights_n, include_last_offset=True
    )
