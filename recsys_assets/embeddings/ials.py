"""Implicit ALS in torch: all rows of one side at once, by preconditioned conjugate gradient.

Rendle, Krichene, Zhang & Koren 2022, "Revisiting the Performance of iALS on Item Recommendation
Benchmarks". The objective, over user embeddings x, item embeddings y and confidences c of the observed pairs:

    Σ_observed c (1 - x·y)²  +  α₀ Σ_all pairs (x·y)²  +  λ Σ_rows (Σ c + α₀ · other side's rows)^ν |row|²

Shapes: U users, I items, n entries, D embedding_size; R rows and C columns of the side being solved.
All numbers are float32; the Gram matrix's eigenvectors and the objective are accumulated in float64.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from recsys_assets.embeddings.confidence import confidence
from recsys_assets.embeddings.matrix import InteractionMatrix
from recsys_assets.errors import TrainingDataError
from recsys_assets.settings import TrainingSettings

_CHUNK_ENTRIES = 1 << 18
_CHUNK_ROWS = 1 << 13


@dataclass(frozen=True, kw_only=True)
class Factorisation:
    """What a training run found."""

    user_embeddings: npt.NDArray[np.float32]
    """(U, D)."""
    item_embeddings: npt.NDArray[np.float32]
    """(I, D)."""
    confidences: npt.NDArray[np.float32]
    """Of each entry of the matrix, n."""
    losses: list[float]
    """The objective after each epoch, divided by the number of entries."""
    seconds: float
    """Wall time of the training."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """The observed entries by row of one side, CSR, and the L2 strength of each of its rows."""

    indptr: npt.NDArray[np.int64]
    """R + 1."""
    cols_n: Tensor
    """int32."""
    confidences_n: Tensor
    """float32."""
    l2_R: Tensor
    """float32, > 0."""


def train(
    matrix: InteractionMatrix,
    settings: TrainingSettings,
    *,
    on_epoch: Callable[[int, float], None] | None = None,
) -> Factorisation:
    """Factorise the matrix; the same seed gives the same bytes on the same machine and thread count.

    Items start at random, users at zero, and an epoch solves the users and then the items. After the last one
    the users are solved once more, to convergence, so that folding a user's history in
    gives the user's vector.

    Args:
        matrix: the observed pairs.
        settings: size, epochs, α₀, λ, ν, CG steps, weights, seed and device.
        on_epoch: called with the epoch (from 1) and the objective divided by the number of entries.

    Raises:
        TrainingDataError: the confidences are not all finite, or the objective stopped being finite.
    """
    start = time.perf_counter()
    found_n = confidence(matrix, settings)
    if not np.isfinite(found_n).all():
        raise TrainingDataError(
            "a confidence is not finite: the weights of `interactions` are out of float32's range"
        )
    users, items = sides(matrix, found_n, settings)
    to_items = torch.from_numpy(np.argsort(matrix.item_nums, kind="stable")).to(settings.device)
    to_users = torch.empty_like(to_items)
    to_users[to_items] = torch.arange(len(to_items), device=settings.device)
    generator = torch.Generator().manual_seed(settings.seed)
    size = settings.embedding_size
    items_ID = torch.randn(len(matrix.items), size, generator=generator) * (0.1 / size**0.5)
    items_ID = items_ID.to(settings.device)
    users_UD = torch.zeros(len(matrix.users), size, device=settings.device)
    predicted_n = torch.zeros(matrix.entries, device=settings.device)
    losses = []
    with torch.no_grad():
        for epoch in range(1, settings.epochs + 1):
            half_step(users, users_UD, items_ID, predicted_n, settings)
            predicted_n = predicted_n[to_items]
            half_step(items, items_ID, users_UD, predicted_n, settings)
            losses.append(
                objective(
                    users,
                    items,
                    users_UD=users_UD,
                    items_ID=items_ID,
                    predicted_n=predicted_n,
                    settings=settings,
                )
                / matrix.entries
            )
            predicted_n = predicted_n[to_users]
            if not np.isfinite(losses[-1]):
                raise TrainingDataError(
                    f"the objective is {losses[-1]} after epoch {epoch}; raise `regularization`"
                )
            if on_epoch is not None:
                on_epoch(epoch, losses[-1])
        half_step(users, users_UD, items_ID, predicted_n, settings, steps=_CONVERGED_STEPS)
    return Factorisation(
        user_embeddings=users_UD.cpu().numpy(),
        item_embeddings=items_ID.cpu().numpy(),
        confidences=found_n,
        losses=losses,
        seconds=time.perf_counter() - start,
    )


_CONVERGED_STEPS = 12


def sides(
    matrix: InteractionMatrix, confidences_n: npt.NDArray[np.float32], settings: TrainingSettings
) -> tuple[Side, Side]:
    """The entries by user and by item, with λ (Σ c + α₀ · other side's rows)^ν of each row."""
    user_nums = matrix.user_nums()
    by_item = np.argsort(matrix.item_nums, kind="stable")
    counts = np.bincount(matrix.item_nums, minlength=len(matrix.items))
    indptr = np.concatenate([[0], np.cumsum(counts)])
    return (
        _side(matrix.indptr, matrix.item_nums, confidences_n, len(matrix.items), settings),
        _side(indptr, user_nums[by_item], confidences_n[by_item], len(matrix.users), settings),
    )


def _side(
    indptr: npt.NDArray[np.int64],
    cols_n: npt.NDArray[np.int32],
    confidences_n: npt.NDArray[np.float32],
    columns: int,
    settings: TrainingSettings,
) -> Side:
    total = np.concatenate([[0.0], np.cumsum(confidences_n, dtype=np.float64)])
    frequency_R = total[indptr[1:]] - total[indptr[:-1]] + settings.unobserved_weight * columns
    l2_R = settings.regularization * frequency_R**settings.frequency_exponent
    return Side(
        indptr=indptr,
        cols_n=torch.from_numpy(cols_n).to(settings.device),
        confidences_n=torch.from_numpy(confidences_n).to(settings.device),
        l2_R=torch.from_numpy(l2_R.astype(np.float32)).to(settings.device),
    )


def half_step(
    side: Side,
    rows_RD: Tensor,
    cols_CD: Tensor,
    predicted_n: Tensor,
    settings: TrainingSettings,
    *,
    steps: int | None = None,
) -> None:
    """Move `rows_RD` towards the least-squares solution given `cols_CD`, in place; `predicted_n` stays true.

    Row by row the normal equations are (α₀ YᵀY + l2 I + Σ c y yᵀ) x = Σ c y. In the eigenvectors of YᵀY the
    first two terms are diagonal, which makes applying them and the preconditioner a product by element.

    Args:
        side: the entries by row.
        rows_RD: the present solution, overwritten.
        cols_CD: the other side's embeddings.
        predicted_n: x·y of each entry in the order of `side`, overwritten.
        settings: α₀ and the CG steps.
        steps: CG steps instead of the setting's.
    """
    gram_DD = cols_CD.T @ cols_CD
    eigenvalues_D, basis_DD = torch.linalg.eigh(gram_DD.double())
    basis_DD = basis_DD.float()
    cols_CD = cols_CD @ basis_DD
    spectrum_D = settings.unobserved_weight * eigenvalues_D.clamp(min=0).float()
    for rows, entries in _chunks(side.indptr):
        indptr = torch.from_numpy((side.indptr[rows.start : rows.stop + 1] - entries.start).astype(np.int32))
        solution_RD = _conjugate_gradient(
            indptr.to(cols_CD.device),
            side.cols_n[entries],
            side.confidences_n[entries],
            diagonal_RD=spectrum_D + side.l2_R[rows, None],
            rows_RD=rows_RD[rows] @ basis_DD,
            cols_CD=cols_CD,
            predicted_n=predicted_n[entries],
            steps=steps or settings.cg_steps,
        )
        rows_RD[rows] = solution_RD @ basis_DD.T


def _chunks(indptr: npt.NDArray[np.int64]) -> list[tuple[slice, slice]]:
    """Consecutive rows and their entries, so that temporaries stay in the cache and memory stays bounded."""
    by_entries = np.searchsorted(indptr, np.arange(0, indptr[-1], _CHUNK_ENTRIES), side="left")
    by_rows = np.arange(0, len(indptr) - 1, _CHUNK_ROWS)
    edges = np.unique(np.concatenate([by_entries, by_rows, [len(indptr) - 1]]))
    return [
        (slice(int(low), int(high)), slice(int(indptr[low]), int(indptr[high])))
        for low, high in pairwise(edges)
    ]


def _conjugate_gradient(
    indptr: Tensor,
    cols_n: Tensor,
    confidences_n: Tensor,
    *,
    diagonal_RD: Tensor,
    rows_RD: Tensor,
    cols_CD: Tensor,
    predicted_n: Tensor,
    steps: int,
) -> Tensor:
    """Preconditioned CG on every row at once, from `rows_RD`; `predicted_n` is kept true in place."""
    pattern = torch.sparse_csr_tensor(
        indptr, cols_n, torch.zeros_like(confidences_n), (len(rows_RD), len(cols_CD)), check_invariants=False
    )

    def gather(values_n: Tensor) -> Tensor:
        return embedding_bag(
            cols_n, cols_CD, indptr, mode="sum", per_sample_weights=values_n, include_last_offset=True
        )

    residual_RD = gather(confidences_n * (1 - predicted_n)) - diagonal_RD * rows_RD
    scaled_RD = residual_RD / diagonal_RD
    direction_RD = scaled_RD.clone()
    decrease_R1 = (residual_RD * scaled_RD).sum(1, keepdim=True)
    for step in range(steps):
        along_n = torch.sparse.sampled_addmm(pattern, direction_RD, cols_CD.T, beta=0.0).values()
        image_RD = diagonal_RD * direction_RD + gather(confidences_n * along_n)
        length_R1 = _ratio(decrease_R1, (direction_RD * image_RD).sum(1, keepdim=True))
        rows_RD = torch.addcmul(rows_RD, length_R1, direction_RD)
        predicted_n += along_n * torch.repeat_interleave(length_R1[:, 0], indptr.diff())
        if step + 1 == steps:
            break
        residual_RD = torch.addcmul(residual_RD, length_R1, image_RD, value=-1)
        scaled_RD = residual_RD / diagonal_RD
        before_R1, decrease_R1 = decrease_R1, (residual_RD * scaled_RD).sum(1, keepdim=True)
        direction_RD = torch.addcmul(scaled_RD, _ratio(decrease_R1, before_R1), direction_RD)
    return rows_RD


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """Above / below, and 0 where a row is solved already (0 / 0)."""
    return torch.where(below > 0, above / below.clamp(min=torch.finfo(torch.float32).tiny), 0.0)


def objective(
    users: Side,
    items: Side,
    *,
    users_UD: Tensor,
    items_ID: Tensor,
    predicted_n: Tensor,
    settings: TrainingSettings,
) -> float:
    """The objective, exactly, in O(n + (U + I) D²): the sum over all pairs is <XᵀX, YᵀY>.

    `predicted_n` is in the order of `items`. Sums are accumulated in float64.
    """
    error_n = 1 - predicted_n
    observed = torch.dot(items.confidences_n * error_n, error_n).double()
    everything = ((users_UD.T @ users_UD).double() * (items_ID.T @ items_ID).double()).sum()
    l2 = sum(
        torch.dot(side.l2_R, rows.square().sum(1)).double()
        for side, rows in ((users, users_UD), (items, items_ID))
    )
    return float(observed + settings.unobserved_weight * everything + l2)
