"""One half of an iALS epoch: every row of one side moved to its least-squares solution by conjugate gradient.

Row by row the normal equations are (α YᵀWY + l2 I + Σ c y yᵀ) x = Σ c y, where α is the row's weight of
unobserved pairs and W has the columns'. In the eigenvectors of YᵀWY the first two terms are diagonal, so applying
them, and preconditioning with them, is a product by element. The third is one `sampled_addmm` (x·y at the observed
entries) and one `embedding_bag` (which sums the rows y of a row's columns three times faster than a sparse product).

Where users are sharded over processes, an item's sums are added over them, and each process then solves its own block
of the items' rows; `shard_group` moves both. Shapes as in `ials`; O of a chunk's R rows are the process's own.
"""

import warnings
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from recsys_assets.embeddings.factorisation import activity_scale
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.memory_plan import chunk_sizes
from recsys_assets.embeddings.shard_group import ALONE, ShardGroup
from recsys_assets.storage.arrays import Float32, Float64, Int32, Int64
from recsys_assets.training_settings import TrainingSettings


@dataclass(frozen=True, kw_only=True)
class Side:
    """The observed entries by row of one side, CSR, and the strengths of each of its rows."""

    indptr: Int64
    """Where each row's entries start, R + 1."""
    cols_n: Tensor
    """Column of each entry, int32."""
    confidences_n: Tensor
    """Confidence of each entry, float32."""
    l2_R: Tensor
    """L2 strength of each row, float32, > 0."""
    unobserved_R: Tensor
    """Weight of an unobserved pair of the row, float32, > 0; multiplied by the column's `unobserved_C`."""
    unobserved_C: Tensor
    """Factor of that weight for each column, float32, > 0."""

    def rows(self, rows: slice) -> "Side":
        """Return the side with these rows only."""
        entries = slice(int(self.indptr[rows.start]), int(self.indptr[rows.stop]))
        return Side(
            indptr=self.indptr[rows.start : rows.stop + 1] - entries.start,
            cols_n=self.cols_n[entries],
            confidences_n=self.confidences_n[entries],
            l2_R=self.l2_R[rows],
            unobserved_R=self.unobserved_R[rows],
            unobserved_C=self.unobserved_C,
        )


@dataclass(frozen=True, kw_only=True)
class UserRows:
    """The observed entries of some users, CSR, and what their strengths need to know about all users."""

    indptr: Int64
    """Where each user's entries start, U + 1."""
    item_nums: Int32
    """Item of each entry."""
    confidences_n: Float32
    """Confidence of each entry."""
    items: int
    """Number of items."""
    activity: float
    """1 / the mean of degree^η over all users, those of other processes included; see `activity_scale`."""


def sides(matrix: InteractionMatrix, confidences_n: Float32, settings: TrainingSettings) -> tuple[Side, Side]:
    """Return the entries by user and by item, with λ (Σ c + the weights of all unobserved pairs)^ν of each row."""
    rows = UserRows(
        indptr=matrix.indptr,
        item_nums=matrix.item_nums,
        confidences_n=confidences_n,
        items=len(matrix.items),
        activity=activity_scale(np.diff(matrix.indptr), settings.activity_exponent),
    )
    return sides_of(rows, settings)


def sides_of(rows: UserRows, settings: TrainingSettings, *, group: ShardGroup = ALONE) -> tuple[Side, Side]:
    """Return the entries of these users by user and by item.

    Args:
        rows: the users of this process.
        settings: strengths, none of them left open.
        group: the processes that hold the other users; an item's L2 strength counts all of them.
    """
    degrees_U, exponent = np.diff(rows.indptr), settings.activity_exponent
    of_users = np.maximum(degrees_U, 1.0) ** exponent
    of_users *= settings.unobserved_weight * rows.activity
    of_items = np.ones(rows.items)
    by_item = order_by(rows.item_nums)
    counts = np.bincount(rows.item_nums, minlength=rows.items)
    by_user = _side(
        rows.indptr,
        rows.item_nums,
        rows.confidences_n,
        unobserved_R=of_users,
        unobserved_C=of_items,
        settings=settings,
    )
    user_nums = np.repeat(np.arange(len(degrees_U), dtype=np.int32), degrees_U)
    return by_user, _side(
        np.concatenate([[0], np.cumsum(counts)]),
        user_nums[by_item],
        rows.confidences_n[by_item],
        unobserved_R=of_items,
        unobserved_C=of_users * (degrees_U > 0),  # who wished for nothing must not shrink the items
        settings=settings,
        group=group,
    )


def order_by(nums_n: Int32) -> Int32:
    """Return the stable argsort of `nums_n`, int32, by sorting (number, position) pairs: faster, in less memory."""
    pairs_n = nums_n.astype(np.int64)
    pairs_n <<= 32
    pairs_n |= np.arange(len(nums_n), dtype=np.uint32)
    pairs_n.sort()
    return pairs_n.astype(np.int32)  # keeps the lower 32 bits


def _side(
    indptr: Int64,
    cols_n: Int32,
    confidences_n: Float32,
    *,
    unobserved_R: Float64,
    unobserved_C: Float64,
    settings: TrainingSettings,
    group: ShardGroup = ALONE,
) -> Side:
    nonempty = indptr[:-1] < indptr[1:]
    frequency_R = np.zeros(len(indptr) - 1)
    frequency_R[nonempty] = np.add.reduceat(confidences_n, indptr[:-1][nonempty], dtype=np.float64)
    frequency_R = group.total(torch.from_numpy(frequency_R)).numpy()
    of_columns = group.total(torch.tensor([unobserved_C.sum()], dtype=torch.float64))
    frequency_R += unobserved_R * float(of_columns)
    l2_R = settings.regularization * frequency_R**settings.frequency_exponent

    def tensor(values_R: Float64) -> Tensor:
        return torch.from_numpy(values_R.astype(np.float32)).to(settings.device)

    return Side(
        indptr=indptr,
        cols_n=torch.from_numpy(cols_n).to(settings.device),
        confidences_n=torch.from_numpy(confidences_n).to(settings.device),
        l2_R=tensor(l2_R),
        unobserved_R=tensor(unobserved_R),
        unobserved_C=tensor(unobserved_C),
    )


def half_step(
    side: Side, rows_RD: Tensor, cols_CD: Tensor, *, steps: int, group: ShardGroup = ALONE
) -> float:
    """Move `rows_RD` towards the solution given `cols_CD`, in place, by CG steps from where it is.

    Args:
        side: the entries by row; in a group only those of this process's columns.
        rows_RD: the present solution, overwritten; the same in every process of the group.
        cols_CD: the other side's embeddings; in a group only this process's.
        steps: CG steps, >= 1.
        group: the processes that hold the other columns.

    Returns:
        The objective of these rows afterwards: Σ c (1 - x·y)² + Σ_all α (x·y)² + Σ l2 |x|².
    """
    with group.same_bits():
        gram_DD = group.total((cols_CD * side.unobserved_C[:, None]).T @ cols_CD)
        eigenvalues_D, basis_DD = torch.linalg.eigh(gram_DD.double())
    basis_DD = group.agreed(basis_DD.float())
    turned_CD = cols_CD @ basis_DD
    spectrum_D = group.agreed(eigenvalues_D.clamp(min=0).float())
    total = 0.0
    entries, numbers = chunk_sizes(cols_CD.device.type)
    every = group.total(torch.from_numpy(side.indptr)).numpy()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse (CSR|invariant)")
        for rows in _chunks(every, cols_CD.shape[1], (entries * group.size, numbers)):
            solution_OD, objective = _conjugate_gradient(
                side.rows(rows),
                torch.addcmul(side.l2_R[rows, None], side.unobserved_R[rows, None], spectrum_D),
                rows_RD[rows] @ basis_DD,
                turned_CD,
                steps=steps,
                group=group,
            )
            rows_RD[rows] = group.spread(solution_OD @ basis_DD.T, rows.stop - rows.start)
            total += objective
    return float(group.total(torch.tensor([total], dtype=torch.float64)))


def _chunks(indptr: Int64, size: int, most: tuple[int, int]) -> list[slice]:
    """Cut the rows into consecutive chunks; a row with more entries than a chunk should have is a chunk."""
    entries, numbers = most
    by_entries = np.searchsorted(indptr, np.arange(0, indptr[-1], entries), side="left")
    by_rows = np.arange(0, len(indptr) - 1, max(1, numbers // size))
    edges = np.unique(np.concatenate([by_entries, by_rows, [len(indptr) - 1]]))
    return [slice(int(low), int(high)) for low, high in pairwise(edges)]


def _conjugate_gradient(
    side: Side, diagonal_RD: Tensor, rows_RD: Tensor, cols_CD: Tensor, *, steps: int, group: ShardGroup
) -> tuple[Tensor, float]:
    """Run preconditioned CG on every row at once from `rows_RD`.

    The objective falls by length · decrease with each step, so only where it starts needs computing.

    Returns:
        The solution of the own rows, (O, D), and this process's part of the objective.
    """
    confidences_n, size, own = side.confidences_n, len(rows_RD), group.own(len(rows_RD))
    offsets = torch.from_numpy(side.indptr).to(cols_CD.device)
    indptr = offsets.int()
    pattern = torch.sparse_csr_tensor(
        indptr, side.cols_n, confidences_n, (size, len(cols_CD)), check_invariants=False
    )

    def predict(points_RD: Tensor) -> Tensor:
        values_n: Tensor = torch.sparse.sampled_addmm(pattern, points_RD, cols_CD.T, beta=0.0).values()
        return values_n

    def gather(values_n: Tensor) -> Tensor:
        sums_RD = embedding_bag(
            side.cols_n, cols_CD, indptr, mode="sum", per_sample_weights=values_n, include_last_offset=True
        )
        return group.collect(sums_RD)

    error_n = 1 - predict(rows_RD)
    weighted_n = confidences_n * error_n
    diagonal_OD, rows_OD = diagonal_RD[own], rows_RD[own]
    shrunk_OD = diagonal_OD * rows_OD
    with group.same_bits():
        objective = torch.dot(weighted_n, error_n).double() + (shrunk_OD * rows_OD).sum(1).double().sum()
    residual_OD = gather(weighted_n) - shrunk_OD
    scaled_OD = residual_OD / diagonal_OD
    direction_OD = scaled_OD
    decrease_O1 = (residual_OD * scaled_OD).sum(1, keepdim=True)
    for step in range(steps):
        along_n = predict(group.spread(direction_OD, size))
        weighted_n = confidences_n * along_n
        image_OD = diagonal_OD * direction_OD
        curvature_O1 = (image_OD * direction_OD).sum(1, keepdim=True)
        curvature_R = torch.segment_reduce(weighted_n * along_n, "sum", offsets=offsets)
        curvature_O1 += group.collect(curvature_R)[:, None]
        length_O1 = _ratio(decrease_O1, curvature_O1)
        rows_OD = torch.addcmul(rows_OD, length_O1, direction_OD)
        with group.same_bits():
            objective -= (length_O1 * decrease_O1).double().sum()
        if step + 1 < steps:  # the last step needs no direction to go on in
            image_OD += gather(weighted_n)
            residual_OD = torch.addcmul(residual_OD, length_O1, image_OD, value=-1)
            scaled_OD = residual_OD / diagonal_OD
            before_O1, decrease_O1 = decrease_O1, (residual_OD * scaled_OD).sum(1, keepdim=True)
            direction_OD = torch.addcmul(scaled_OD, _ratio(decrease_O1, before_O1), direction_OD)
    return rows_OD, float(objective)


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """Return the quotient, and 0 where a row is solved already (0 / 0)."""
    return torch.where(below > 0, above / below.clamp(min=torch.finfo(torch.float32).tiny), 0.0)
