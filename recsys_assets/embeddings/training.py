"""Training: the one epoch loop, and the choice of objective and of one process or several.

An objective (`ials.Ials`, `softmax.Softmax`) gives an epoch, the present embeddings and a last step; everything
around them is here. The losses are computed in `ials_half_step.half_step` and `softmax.loss_and_gradients`.
Shapes: U users, I items, D embedding_size.
"""

import math
import time
import warnings
from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from recsys_assets.embeddings.factorisation import Factorisation, Start, epochs_of, with_strengths
from recsys_assets.embeddings.ials import Ials, Workers, sharded_half_step, train_by_workers
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, confidence
from recsys_assets.embeddings.memory_plan import PeakWatch, plan_memory
from recsys_assets.embeddings.softmax import Softmax
from recsys_assets.errors import TrainingDataError
from recsys_assets.training_settings import TrainingSettings

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


def train(
    matrix: InteractionMatrix,
    settings: TrainingSettings,
    *,
    start: Start | None = None,
    on_epoch: OnEpoch | None = None,
    stop_after: StopAfter | None = None,
    workers: Workers | None = None,
) -> Factorisation:
    """Embed the matrix's users and items by the objective that the settings name.

    The same seed gives the same bytes on the same machine and thread count.

    Args:
        matrix: the observed pairs.
        settings: objective, size, epochs, strengths, seed, device and memory budget.
        start: embeddings to go on from, in the matrix's numbering.
        on_epoch: reports progress; not called where workers train.
        stop_after: ends the training early; not called where workers train.
        workers: processes to train iALS in where `processes` is above 1; without them it trains in this one.

    Raises:
        TrainingDataError: a confidence or the objective is not finite, or the size is too small for the objective.
        MemoryBudgetError: the run would need more memory than its budget.
    """
    began = time.perf_counter()
    settings = with_strengths(settings, matrix)
    if workers is not None and settings.processes > 1 and settings.objective == "ials":
        return train_by_workers(matrix, settings, workers=workers, start=start)
    plan = plan_memory(shape=matrix.shape, entries=matrix.entries, settings=settings)
    confidences_n = confidence(matrix, settings)
    with PeakWatch(settings.device) as watch:
        model: Objective
        if settings.objective == "softmax":
            model = Softmax(matrix, settings, start=start)
        else:
            model = Ials(matrix, settings, confidences_n=confidences_n, start=start)
        losses = run_epochs(model, epochs_of(settings), on_epoch=on_epoch, stop_after=stop_after)
        users_UD, items_ID = model.embeddings()
    return Factorisation(
        user_embeddings=users_UD.cpu().numpy(),
        item_embeddings=items_ID.cpu().numpy(),
        confidences=confidences_n,
        losses=losses,
        seconds=time.perf_counter() - began,
        settings=settings,
        memory_mb={**plan.megabytes(), **watch.megabytes()},
    )


def train_in_group(
    matrix: InteractionMatrix,
    settings: TrainingSettings,
    *,
    start: Start | None = None,
    on_epoch: OnEpoch | None = None,
) -> tuple[list[float], Tensor, Tensor]:
    """Train iALS in the present `torch.distributed` group; every process calls this with the same arguments.

    Returns:
        The losses and all of both sides, (U, D) and (I, D): those of `train` but for the order of float32 sums.

    Raises:
        TrainingDataError: as in `train`. Memory is planned by the process that starts the group.
    """
    settings = with_strengths(settings, matrix)
    confidences_n = confidence(matrix, settings)
    model = Ials(matrix, settings, confidences_n=confidences_n, start=start, half_step=sharded_half_step)
    losses = run_epochs(model, settings.epochs, on_epoch=on_epoch)
    return losses, *model.embeddings()


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
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse (CSR|invariant)")
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
