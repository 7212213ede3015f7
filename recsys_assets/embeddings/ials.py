"""Implicit ALS in torch: all rows of one side at once, by preconditioned conjugate gradient.

Rendle, Krichene, Zhang & Koren 2022, "Revisiting the Performance of iALS on Item Recommendation
Benchmarks". The objective, over user embeddings x, item embeddings y and confidences c of the observed pairs:

    Σ_observed c (1 - x·y)²  +  Σ_all pairs α (x·y)²  +  λ Σ_rows (Σ_observed c + Σ_all α)^ν |row|²

The weight α of a user's unobserved pairs is α₀ degree^η, divided by the mean of degree^η. With η = 0 it is the
paper's; η > 0 follows the softmax, whose loss has one sum over all items for each observed item of a user (Pu et
al. 2024, "Learning-Efficient Yet Generalizable Collaborative Filtering for Item Recommendation", derive a squared
loss from it). On the default η = 0.5 is worth 3 % of NDCG.

`sharded_training` runs it over processes. Each holds some of the users and all items: a user's half-step needs nothing
of the others, and an item's needs sums over all of them.

Shapes: U users, I items, n entries, D embedding_size; in a group of processes U and n are those of one of them.
All numbers are float32; the Gram matrix's eigenvectors and sums over rows are float64.
"""

import torch
from torch import Tensor

from recsys_assets.embeddings.factorisation import Start
from recsys_assets.embeddings.ials_half_step import Side, half_step, sides
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.shard_group import ALONE, ShardGroup
from recsys_assets.storage.arrays import Float32
from recsys_assets.training_settings import TrainingSettings

CONVERGED_STEPS = 12
"""CG steps of the last half-step, after which a user's vector is the exact solution to 1e-4."""


class Ials:
    """iALS in training. An epoch solves the users and then the items.

    Items start at random and users at zero, or both from a start. `finish` solves the users once more, to
    convergence, so that folding a user's history in gives the user's vector.
    """

    remedy = "raise `regularization`"

    def __init__(
        self,
        entries: tuple[Side, Side],
        embeddings: tuple[Tensor, Tensor],
        settings: TrainingSettings,
        *,
        total_entries: int,
        group: ShardGroup = ALONE,
    ) -> None:
        """Begin with these embeddings.

        Args:
            entries: by user and by item; in a group those of this process's users.
            embeddings: (U, D) and (I, D), overwritten; in a group this process's users and all items.
            settings: CG steps.
            total_entries: those of all processes.
            group: the processes that hold the other users.
        """
        self._users, self._items = entries
        self._users_UD, self._items_ID = embeddings
        self._steps, self._total_entries, self._group = settings.cg_steps, total_entries, group

    @classmethod
    def of(
        cls,
        matrix: InteractionMatrix,
        settings: TrainingSettings,
        *,
        confidences_n: Float32,
        start: Start | None = None,
    ) -> "Ials":
        """Order a matrix's entries by both sides, to train in this process."""
        return cls(
            sides(matrix, confidences_n, settings),
            initial_embeddings(matrix.shape, settings, start),
            settings,
            total_entries=matrix.entries,
        )

    def epoch(self) -> float:
        """Solve the users and then the items; return the objective of all rows afterwards, per entry.

        The items' half-step knows the objective of its rows, which is all of it but for the users' L2.
        """
        self._solve_users(self._steps)
        of_items = half_step(
            self._items, self._items_ID, self._users_UD, steps=self._steps, group=self._group
        )
        with self._group.same_bits():
            l2_of_users = torch.dot(self._users.l2_R, self._users_UD.square().sum(1)).double()
        return (of_items + float(self._group.total(l2_of_users.reshape(1)))) / self._total_entries

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """Return both sides, (U, D) and (I, D): not copies, the next epoch overwrites them."""
        return self._users_UD, self._items_ID

    def finish(self) -> None:
        """Solve the users to convergence."""
        self._solve_users(CONVERGED_STEPS)

    def _solve_users(self, steps: int) -> None:
        half_step(self._users, self._users_UD, self._items_ID, steps=steps, group=self._group.by_itself)


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
