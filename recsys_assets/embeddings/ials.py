"""Implicit ALS in torch: all rows of one side at once, by preconditioned conjugate gradient.

Rendle, Krichene, Zhang & Koren 2022, "Revisiting the Performance of iALS on Item Recommendation
Benchmarks". The objective, over user embeddings x, item embeddings y and confidences c of the observed pairs:

    Σ_observed c (1 - x·y)²  +  Σ_all pairs α (x·y)²  +  λ Σ_rows (Σ_observed c + Σ_all α)^ν |row|²

The weight α of a user's unobserved pairs is α₀ degree^η, divided by the mean of degree^η. With η = 0 it is the
paper's; η > 0 follows the softmax, whose loss has one sum over all items for each observed item of a user (Pu et
al. 2024, "Learning-Efficient Yet Generalizable Collaborative Filtering for Item Recommendation", derive a squared
loss from it). On the default η = 0.5 is worth 3 % of NDCG.

Shapes: U users, I items, n entries, D embedding_size; R rows and C columns of the side being solved.
All numbers are float32; the Gram matrix's eigenvectors and sums over rows are float64.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from recsys_assets.embeddings.factorisation import Start
from recsys_assets.embeddings.ials_half_step import Side, half_step, sides
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.settings import TrainingSettings
from recsys_assets.storage.arrays import Float32

CONVERGED_STEPS = 12
"""CG steps of the last half-step, after which a user's vector is the exact solution to 1e-4."""


class Ials:
    """iALS in training. An epoch solves the users and then the items.

    Items start at random and users at zero, or both from `start`. `finish` solves the users once more, to
    convergence, so that folding a user's history in gives the user's vector.
    """

    remedy = "raise `regularization`"

    def __init__(
        self,
        matrix: InteractionMatrix,
        settings: TrainingSettings,
        *,
        confidences_n: Float32,
        start: Start | None = None,
        half_step: Callable[..., float] = half_step,
    ) -> None:
        """Order the entries by both sides; `half_step` has the arguments of `ials_half_step.half_step`."""
        self._users, self._items = sides(matrix, confidences_n, settings)
        self._users_UD, self._items_ID = initial_embeddings(matrix.shape, settings, start)
        self._steps = settings.cg_steps
        self._half_step = half_step

    def epoch(self) -> float:
        """Solve the users and then the items; return the objective afterwards, by entry."""
        self._half_step(self._users, self._users_UD, self._items_ID, steps=self._steps)
        of_items = self._half_step(self._items, self._items_ID, self._users_UD, steps=self._steps)
        return _objective_by_entry(of_items, self._users, self._users_UD)

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """Return both sides, (U, D) and (I, D): not copies, the next epoch overwrites them."""
        return self._users_UD, self._items_ID

    def finish(self) -> None:
        """Solve the users to convergence."""
        self._half_step(self._users, self._users_UD, self._items_ID, steps=CONVERGED_STEPS)


def initial_embeddings(
    shape: tuple[int, int], settings: TrainingSettings, start: Start | None
) -> tuple[Tensor, Tensor]:
    """Return users at zero and items at random (a normal of variance 0.01 / D), or a copy of `start`."""
    if start is not None:
        given = torch.from_numpy(start.user_embeddings.copy()), torch.from_numpy(start.item_embeddings.copy())
        return given[0].to(settings.device), given[1].to(settings.device)
    users, items = shape
    generator = torch.Generator().manual_seed(settings.seed)
    items_ID = torch.randn(items, settings.embedding_size, generator=generator)
    items_ID *= 0.1 / settings.embedding_size**0.5
    return torch.zeros(users, settings.embedding_size, device=settings.device), items_ID.to(settings.device)


def _objective_by_entry(of_items: float, users: Side, users_UD: Tensor) -> float:
    """Return the whole objective divided by the number of entries.

    The items' half-step knows the objective of its rows, which is all of it but for the users' L2.
    """
    l2_of_users = torch.dot(users.l2_R, users_UD.square().sum(1)).double()
    return float(of_items + l2_of_users) / len(users.cols_n)
