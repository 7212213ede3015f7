"""One half of an iALS epoch: every row of one side moved to its least-squares solution by conjugate gradient.

Row by row the normal equations are (α YᵀWY + l2 I + Σ c y yᵀ) x = Σ c y, where α is the row's weight of
unobserved pairs and W has the columns'. In the eigenvectors of YᵀWY the first two terms are diagonal, so applying
them, and preconditioning with them, is a product by element. The third is one `sampled_addmm` (x·y at the observed
entries) and one `embedding_bag` (which sums the rows y of a row's columns three times faster than a sparse product).
Shapes as in `ials`.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from recsys_assets.embeddings.factorisation import activity_scale
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.memory_plan import chunk_sizes
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


def sides(matrix: InteractionMatrix, confidences_n: Float32, settings: TrainingSettings) -> tuple[Side, Side]:
    """Return the entries by user and by item, with λ (Σ c + the weights of all unobserved pairs)^ν of each row."""
    items = len(matrix.items)
    degrees_U, exponent = np.diff(matrix.indptr), settings.activity_exponent
    of_users = np.maximum(degrees_U, 1.0) ** exponent
    of_users *= settings.unobserved_weight * activity_scale(degrees_U, exponent)
    of_items = np.ones(items)
    by_item = order_by(matrix.item_nums)
    counts = np.bincount(matrix.item_nums, minlength=items)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    by_user = _side(
        matrix.indptr,
        matrix.item_nums,
        confidences_n,
        unobserved_R=of_users,
        unobserved_C=of_items,
        settings=settings,
    )
    return by_user, _side(
        indptr,
        matrix.user_nums()[by_item],
        confidences_n[by_item],
        unobserved_R=of_items,
        unobserved_C=of_users * (degrees_U > 0),  # who wished for nothing must not shrink the items
        settings=settings,
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
) -> Side:
    nonempty = indptr[:-1] < indptr[1:]
    frequency_R = np.zeros(len(indptr) - 1)
    frequency_R[nonempty] = np.add.reduceat(confidences_n, indptr[:-1][nonempty], dtype=np.float64)
    frequency_R += unobserved_R * unobserved_C.sum()
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


def half_step(side: Side, rows_RD: Tensor, cols_CD: Tensor, *, steps: int) -> float:
    """Move `rows_RD` towards the solution given `cols_CD`, in place, by CG steps from where it is.

    Args:
        side: the entries by row.
        rows_RD: the present solution, overwritten.
        cols_CD: the other side's embeddings.
        steps: CG steps, >= 1.

    Returns:
        The objective of these rows afterwards: Σ c (1 - x·y)² + Σ_all α (x·y)² + Σ l2 |x|².
    """
    gram_DD = (cols_CD * side.unobserved_C[:, None]).T @ cols_CD
    eigenvalues_D, basis_DD = torch.linalg.eigh(gram_DD.double())
    basis_DD = basis_DD.float()
    turned_CD = cols_CD @ basis_DD
    spectrum_D = eigenvalues_D.clamp(min=0).float()
    total = 0.0
    for rows in _chunks(side.indptr, cols_CD.shape[1], chunk_sizes(cols_CD.device.type)):
        solution_RD, objective = _conjugate_gradient(
            side.rows(rows),
            torch.addcmul(side.l2_R[rows, None], side.unobserved_R[rows, None], spectrum_D),
            rows_RD[rows] @ basis_DD,
            turned_CD,
            steps=steps,
        )
        torch.mm(solution_RD, basis_DD.T, out=rows_RD[rows])
        total += objective
    return total


def _chunks(indptr: Int64, size: int, most: tuple[int, int]) -> list[slice]:
    """Cut the rows into consecutive chunks; a row with more entries than a chunk should have is a chunk."""
    entries, numbers = most
    by_entries = np.searchsorted(indptr, np.arange(0, indptr[-1], entries), side="left")
    by_rows = np.arange(0, len(indptr) - 1, max(1, numbers // size))
    edges = np.unique(np.concatenate([by_entries, by_rows, [len(indptr) - 1]]))
    return [slice(int(low), int(high)) for low, high in pairwise(edges)]


def _conjugate_gradient(
    side: Side, diagonal_RD: Tensor, rows_RD: Tensor, cols_CD: Tensor, *, steps: int
) -> tuple[Tensor, float]:
    """Run preconditioned CG on every row at once from `rows_RD`; return the solution and its objective.

    The objective falls by length · decrease with each step, so only where it starts needs computing.
    """
    confidences_n = side.confidences_n
    offsets = torch.from_numpy(side.indptr).to(cols_CD.device)
    indptr = offsets.int()
    pattern = torch.sparse_csr_tensor(
        indptr, side.cols_n, confidences_n, (len(rows_RD), len(cols_CD)), check_invariants=False
    )

    def predict(points_RD: Tensor) -> Tensor:
        values_n: Tensor = torch.sparse.sampled_addmm(pattern, points_RD, cols_CD.T, beta=0.0).values()
        return values_n

    def gather(values_n: Tensor) -> Tensor:
        return embedding_bag(
            side.cols_n, cols_CD, indptr, mode="sum", per_sample_weights=values_n, include_last_offset=True
        )

    error_n = 1 - predict(rows_RD)
    weighted_n = confidences_n * error_n
    shrunk_RD = diagonal_RD * rows_RD
    objective = torch.dot(weighted_n, error_n).double() + (shrunk_RD * rows_RD).sum(1).double().sum()
    residual_RD = gather(weighted_n) - shrunk_RD
    scaled_RD = residual_RD / diagonal_RD
    direction_RD = scaled_RD
    decrease_R1 = (residual_RD * scaled_RD).sum(1, keepdim=True)
    for step in range(steps):
        along_n = predict(direction_RD)
        weighted_n = confidences_n * along_n
        image_RD = diagonal_RD * direction_RD
        curvature_R1 = (image_RD * direction_RD).sum(1, keepdim=True)
        curvature_R1 += torch.segment_reduce(weighted_n * along_n, "sum", offsets=offsets)[:, None]
        length_R1 = _ratio(decrease_R1, curvature_R1)
        rows_RD = torch.addcmul(rows_RD, length_R1, direction_RD)
        objective -= (length_R1 * decrease_R1).double().sum()
        if step + 1 < steps:  # the last step needs no direction to go on in
            image_RD += gather(weighted_n)
            residual_RD = torch.addcmul(residual_RD, length_R1, image_RD, value=-1)
            scaled_RD = residual_RD / diagonal_RD
            before_R1, decrease_R1 = decrease_R1, (residual_RD * scaled_RD).sum(1, keepdim=True)
            direction_RD = torch.addcmul(scaled_RD, _ratio(decrease_R1, before_R1), direction_RD)
    return rows_RD, float(objective)


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """Return the quotient, and 0 where a row is solved already (0 / 0)."""
    return torch.where(below > 0, above / below.clamp(min=torch.finfo(torch.float32).tiny), 0.0)
