"""The one epoch loop of all objectives, in one process and in each of several.

An objective (`ials.Ials`, `softmax.Softmax`) gives an epoch, the present embeddings and a last step. The losses are
computed in `ials_half_step.half_step` and `softmax.loss_and_gradients`. Shapes: U users, I items, D embedding_size.
"""

import math
from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from recsys_assets.errors import TrainingDataError

OnEpoch = Callable[[int, float], None]
"""Called after each epoch with its number (from 1) and the objective divided by the number of entries."""
StopAfter = Callable[[int, Tensor, Tensor], bool]
"""Called after each epoch with its number and the present embeddings, (U, D) and (I, D); true ends the training."""


class Objective(Protocol):
    """A model in training: what it minimises, a step at a time."""

    remedy: str
    """Advice for an objective that is no longer finite."""

    def epoch(self) -> float:
        """Run one pass over the matrix; return the objective divided by the number of entries."""

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """Return the embeddings as they would be served now, (U, D) and (I, D)."""

    def finish(self) -> None:
        """Take the steps that follow the last epoch."""


def run_epochs(
    model: Objective,
    epochs: int,
    *,
    on_epoch: OnEpoch | None = None,
    stop_after: StopAfter | None = None,
) -> list[float]:
    """Run the epochs and the last step; return the objective after each epoch, per entry.

    Raises:
        TrainingDataError: the objective stopped being finite.
    """
    losses: list[float] = []
    for epoch in range(1, epochs + 1):
        losses.append(model.epoch())
        if not math.isfinite(losses[-1]):
            raise TrainingDataError(f"the objective is {losses[-1]} after epoch {epoch}; {model.remedy}")
        if on_epoch is not None:
            on_epoch(epoch, losses[-1])
        if stop_after is not None and stop_after(epoch, *model.embeddings()):
            break
    model.finish()
    return losses
