"""The components that models are made of, behind one interface: a new one is a class and a line in `COMPONENTS`.

Shapes: U users, I items, D embedding_size, n entries; R users scored.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

import msgspec
import numpy as np
import torch
from torch import Tensor

from recsys_assets.embeddings.factorisation import Factorisation, Start, epochs_of
from recsys_assets.embeddings.ials import CONVERGED_STEPS
from recsys_assets.embeddings.ials_half_step import half_step, sides
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.item_item import (
    RelatedItems,
    by_related_items,
    item_item_bytes,
    item_item_seconds,
    related_items,
)
from recsys_assets.embeddings.memory_plan import needed_bytes, require_memory
from recsys_assets.embeddings.sharded_training import Workers
from recsys_assets.embeddings.training import train
from recsys_assets.storage.arrays import Float32, Int64
from recsys_assets.training_settings import TrainingSettings

ScoreUsers = Callable[[Int64], Tensor]
"""Maps user numbers (R,) to scores of every item (R, I), float32, which the caller may overwrite."""


@dataclass(frozen=True, kw_only=True)
class FittedComponent:
    """A component that was fitted: factors, related items, or neither."""

    factors: Factorisation | None = None
    """Vectors whose inner products are the scores."""
    related: RelatedItems | None = None
    """Rows that are summed over a user's wishes."""
    own_recency: bool = False
    """True where a user's recent wishes can count more than the older ones."""

    def scores(
        self, matrix: InteractionMatrix, own_n: Float32 | None, *, users_UD: Float32 | None = None
    ) -> ScoreUsers:
        """Return the scores of the matrix's users.

        Args:
            matrix: what was fitted to.
            own_n: weight of each entry in its user's score, (n,), 0-1; None: 1.
            users_UD: the `user_vectors` of a factorisation, where they are known already.
        """
        if self.factors is not None:
            known = user_vectors(self, matrix, own_n) if users_UD is None else users_UD
            vectors_UD = torch.from_numpy(known)
            items_DI = torch.from_numpy(item_vectors(self)).T
            return lambda user_nums: vectors_UD[user_nums] @ items_DI
        if self.related is not None:
            return by_related_items(matrix, self.related, values_n=own_n)
        return lambda user_nums: torch.zeros(len(user_nums), len(matrix.items))


@dataclass(frozen=True, kw_only=True)
class Run:
    """Circumstances of a fit; without a start they don't change what it finds."""

    starts: Mapping[str, Start] = field(default_factory=dict)
    """Component -> embeddings to go on from."""
    on_epoch: Callable[[int, int], None] = lambda _, __: None
    """Called after each epoch with its number and that of all."""
    workers: Workers | None = None
    """Processes to train in, where the component can."""


PLAIN: Final = Run()
"""From scratch, in this process, silent."""


class Component(Protocol):
    """One way to score."""

    @property
    def name(self) -> str:
        """Its name in `[training] model`."""

    def fit(
        self, matrix: InteractionMatrix, settings: TrainingSettings, run: Run = PLAIN, /
    ) -> FittedComponent:
        """Fit to the observed pairs.

        Raises:
            TrainingDataError: nothing finite can be fitted.
            MemoryBudgetError: fitting would need more memory than its budget.
        """

    def seconds(self, matrix: InteractionMatrix, settings: TrainingSettings, /) -> float:
        """Return the seconds that fitting takes about, on two busy cores, from the sizes alone."""

    def bytes(self, matrix: InteractionMatrix, settings: TrainingSettings, /) -> int:
        """Return the most memory that fitting holds beside the matrix, from the sizes alone."""


_SOLVED_A_SECOND: Final = 5e8
"""Numbers of a conjugate-gradient step of iALS that two cores compute in a second."""
_SCORED_A_SECOND: Final = 5e9
"""Multiply-adds of the softmax's scores and gradients that two cores make in a second."""
_AVERAGED_A_SECOND: Final = 1.75e9
"""Numbers that two cores average over neighbours in a second. All three are half of what an idle machine reached.
A sample of users costs quality: of the default's, a third chose a model that was 2 % worse on later days."""


@dataclass(frozen=True, kw_only=True)
class Factors:
    """A factorisation by one of the two objectives."""

    name: Literal["ials", "softmax"]

    def fit(
        self, matrix: InteractionMatrix, settings: TrainingSettings, run: Run = PLAIN, /
    ) -> FittedComponent:
        """Train the vectors."""
        own = msgspec.structs.replace(settings, model=self.name)
        found = train(
            matrix,
            own,
            start=run.starts.get(self.name),
            on_epoch=lambda epoch, _: run.on_epoch(epoch, epochs_of(own)),
            workers=run.workers,
        )
        return FittedComponent(factors=found, own_recency=self.name == "ials")

    def seconds(self, matrix: InteractionMatrix, settings: TrainingSettings, /) -> float:
        """Return the time of the epochs."""
        size, (users, items) = settings.embedding_size, matrix.shape
        if self.name == "ials":
            gathered = settings.epochs * (settings.cg_steps + 1) * matrix.entries * size
            return gathered / _SOLVED_A_SECOND
        options = settings.softmax
        products = 3 * options.epochs * users * min(options.sampled_items, items) * size
        steps = options.epochs * -(-users // options.batch_users)
        gathered = 4 * steps * options.smoothing_layers * matrix.entries * size
        return products / _SCORED_A_SECOND + gathered / _AVERAGED_A_SECOND

    def bytes(self, matrix: InteractionMatrix, settings: TrainingSettings, /) -> int:
        """Return what the memory plan foresees."""
        own = msgspec.structs.replace(settings, model=self.name)
        return needed_bytes(matrix.shape, matrix.entries, own)


@dataclass(frozen=True, kw_only=True)
class ItemItem:
    """EASE's weights between items."""

    name: str = "item_item"

    def fit(
        self, matrix: InteractionMatrix, settings: TrainingSettings, _run: Run = PLAIN, /
    ) -> FittedComponent:
        """Solve in closed form."""
        items, users = len(matrix.items), len(matrix.users)
        doing = f"relating {items:,} items of {users:,} users and {matrix.entries:,} pairs"
        require_memory(self.bytes(matrix, settings), settings, doing=doing, instead='model = "ials"')
        found = related_items(matrix, strength=settings.item_item.regularization or None)
        return FittedComponent(related=found, own_recency=True)

    def seconds(self, matrix: InteractionMatrix, _settings: TrainingSettings, /) -> float:
        """Return the time of the inverses."""
        return item_item_seconds(matrix)

    def bytes(self, matrix: InteractionMatrix, _settings: TrainingSettings, /) -> int:
        """Return those of the inverses and of the rows."""
        return item_item_bytes(matrix.shape, matrix.entries)


@dataclass(frozen=True, kw_only=True)
class Popular:
    """The recency prior alone, the same for everyone."""

    name: str = "popular"

    def fit(
        self, _matrix: InteractionMatrix, _settings: TrainingSettings, _run: Run = PLAIN, /
    ) -> FittedComponent:
        """Return nothing to add to the prior, which is part of every model."""
        return FittedComponent()

    def seconds(self, _matrix: InteractionMatrix, _settings: TrainingSettings, /) -> float:
        """Return 0."""
        return 0.0

    def bytes(self, _matrix: InteractionMatrix, _settings: TrainingSettings, /) -> int:
        """Return 0."""
        return 0


COMPONENTS: Final[dict[str, Component]] = {
    "ials": Factors(name="ials"),
    "softmax": Factors(name="softmax"),
    "item_item": ItemItem(),
    "popular": Popular(),
}


def own_weights(matrix: InteractionMatrix, half_life_days: float | None) -> Float32 | None:
    """Return the weight of each entry in its user's score, (n,): 0.5 ** (days before the user's last / half life).

    None without a half-life: all count 1.
    """
    if half_life_days is None:
        return None
    last_U = np.zeros(len(matrix.users), np.int64)
    user_n = matrix.user_nums()
    np.maximum.at(last_U, user_n, matrix.last_day)
    return np.exp2((matrix.last_day - last_U[user_n]) / half_life_days).astype(np.float32)


def user_vectors(fitted: FittedComponent, matrix: InteractionMatrix, own_n: Float32 | None) -> Float32:
    """Return the users' vectors of a factorisation, (U, D), with each wish weighed by `own_n`, (n,).

    Only iALS has an equation for a user, which is solved again with the weights; other vectors stay as trained.
    """
    found = fitted.factors
    if found is None:
        raise ValueError("related items have no vectors")
    if found.settings.objective == "softmax":
        return found.user_embeddings[:, :-1]
    if own_n is None:
        return found.user_embeddings
    device = found.settings.device
    by_user, _ = sides(matrix, found.confidences * own_n, found.settings)
    users_UD = torch.from_numpy(found.user_embeddings.copy()).to(device)
    half_step(by_user, users_UD, torch.from_numpy(found.item_embeddings).to(device), steps=CONVERGED_STEPS)
    solved_UD: Float32 = users_UD.cpu().numpy()
    return solved_UD


def item_vectors(fitted: FittedComponent) -> Float32:
    """Return the items' vectors of a factorisation, (I, D), as `user_vectors` needs them."""
    found = fitted.factors
    if found is None:
        raise ValueError("related items have no vectors")
    return found.item_embeddings[:, :-1] if found.settings.objective == "softmax" else found.item_embeddings
