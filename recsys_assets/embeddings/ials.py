"""Implicit ALS in torch: all rows of one side at once, by preconditioned conjugate gradient.

Rendle, Krichene, Zhang & Koren 2022, "Revisiting the Performance of iALS on Item Recommendation
Benchmarks". The objective, over user embeddings x, item embeddings y and confidences c of the observed pairs:

    Σ_observed c (1 - x·y)²  +  Σ_all pairs α (x·y)²  +  λ Σ_rows (Σ_observed c + Σ_all α)^ν |row|²

The weight α of a user's unobserved pairs is α₀ degree^η, over the mean of degree^η: with η = 0 that of the paper;
η > 0 follows the softmax, whose loss has for each observed item of a user one sum over all of the items (Pu et
al. 2024, "Learning-Efficient Yet Generalizable Collaborative Filtering for Item Recommendation", make squares
of it so). On the default η = 0.5 is worth 3 % of NDCG.

Shapes: U users, I items, n entries, D embedding_size; R rows and C columns of the side being solved.
All numbers are float32; the Gram matrix's eigenvectors and sums over rows are float64.
"""

import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from recsys_assets.embeddings.ials_half_step import Side, half_step, sides
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, confidence
from recsys_assets.embeddings.memory_plan import MEGABYTE, PeakWatch, plan_memory
from recsys_assets.embeddings.training import Factorisation, Start, StopAfter, with_strengths
from recsys_assets.errors import TrainingDataError
from recsys_assets.settings import TrainingSettings

CONVERGED_STEPS = 12
"""CG steps of the last half-step, after which a user's vector is the exact solution to 1e-4."""


def train(
    matrix: InteractionMatrix,
    settings: TrainingSettings,
    *,
    start: Start | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
    stop_after: StopAfter | None = None,
) -> Factorisation:
    """Factorise the matrix; the same seed gives the same bytes on the same machine and thread count.

    Items start at random and users at zero, or both where `start` has them, and an epoch solves the users and
    then the items. After the last one the users are solved once more, to convergence, so that folding a
    user's history in gives the user's vector.

    Args:
        matrix: the observed pairs.
        settings: size, epochs, α₀, λ, ν, CG steps, weights, seed and device.
        start: embeddings to go on from, in the matrix's numbering.
        on_epoch: called with the epoch (from 1) and the objective divided by the number of entries.
        stop_after: asked after each epoch whether that was the last one.

    Raises:
        TrainingDataError: the confidences are not all finite, or the objective stopped being finite.
        MemoryBudgetError: the run would need more memory than it may have.
    """
    began = time.perf_counter()
    settings = with_strengths(settings, matrix)
    plan = plan_memory(shape=matrix.shape, entries=matrix.entries, settings=settings)
    found_n = confidence(matrix, settings)
    if not np.isfinite(found_n).all():
        raise TrainingDataError(
            "a confidence is not finite: the weights of `interactions` are out of float32's range"
        )
    losses: list[float] = []
    with torch.no_grad(), warnings.catch_warnings(), PeakWatch() as watch:
        warnings.filterwarnings("ignore", message="Sparse (CSR|invariant)")
        users, items = sides(matrix, found_n, settings)
        users_UD, items_ID = initial_embeddings(matrix.shape, settings, start)
        for epoch in range(1, settings.epochs + 1):
            losses.append(one_epoch(users, items, users_UD=users_UD, items_ID=items_ID, settings=settings))
            if not np.isfinite(losses[-1]):
                raise TrainingDataError(
                    f"the objective is {losses[-1]} after epoch {epoch}; raise `regularization`"
                )
            if on_epoch is not None:
                on_epoch(epoch, losses[-1])
            if stop_after is not None and stop_after(epoch, users_UD, items_ID):
                break
        half_step(users, users_UD, items_ID, steps=CONVERGED_STEPS)
    return Factorisation(
        user_embeddings=users_UD.cpu().numpy(),
        item_embeddings=items_ID.cpu().numpy(),
        confidences=found_n,
        losses=losses,
        seconds=time.perf_counter() - began,
        settings=settings,
        memory_mb={**plan.megabytes(), "measured_peak_mb": round(watch.peak / MEGABYTE, 1)},
    )


def initial_embeddings(
    shape: tuple[int, int], settings: TrainingSettings, start: Start | None
) -> tuple[Tensor, Tensor]:
    """Users at zero and items at random (a normal of variance 0.01 / D), or a copy of `start`."""
    if start is not None:
        given = torch.from_numpy(start.user_embeddings.copy()), torch.from_numpy(start.item_embeddings.copy())
        return given[0].to(settings.device), given[1].to(settings.device)
    users, items = shape
    generator = torch.Generator().manual_seed(settings.seed)
    items_ID = torch.randn(items, settings.embedding_size, generator=generator)
    items_ID *= 0.1 / settings.embedding_size**0.5
    return torch.zeros(users, settings.embedding_size, device=settings.device), items_ID.to(settings.device)


def one_epoch(
    users: Side, items: Side, *, users_UD: Tensor, items_ID: Tensor, settings: TrainingSettings
) -> float:
    """Solve the users and then the items, in place; the objective afterwards by entry."""
    half_step(users, users_UD, items_ID, steps=settings.cg_steps)
    of_items = half_step(items, items_ID, users_UD, steps=settings.cg_steps)
    return objective_by_entry(of_items, users, users_UD)


def objective_by_entry(of_items: float, users: Side, users_UD: Tensor) -> float:
    """The whole objective divided by the number of entries.

    The items' half-step knows the objective of its rows, which is all of it but for the users' L2.
    """
    l2_of_users = torch.dot(users.l2_R, users_UD.square().sum(1)).double()
    return float(of_items + l2_of_users) / len(users.cols_n)
