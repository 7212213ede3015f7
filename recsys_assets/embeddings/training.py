"""Training: the choice of objective, and of one process or several."""

import time

import msgspec

from recsys_assets.embeddings.epoch_loop import Objective, OnEpoch, StopAfter, run_epochs
from recsys_assets.embeddings.factorisation import Factorisation, Start, epochs_of, with_strengths
from recsys_assets.embeddings.ials import Ials
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, confidence
from recsys_assets.embeddings.memory_plan import PeakWatch, plan_memory
from recsys_assets.embeddings.sharded_training import Workers, train_sharded
from recsys_assets.embeddings.softmax import Softmax
from recsys_assets.training_settings import TrainingSettings


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
        on_epoch: reports progress.
        stop_after: ends the training early; not called where workers train.
        workers: processes to train iALS in; None: this one. The softmax is trained in this one.

    Raises:
        TrainingDataError: a confidence or the objective is not finite, or the size is too small for the objective.
        MemoryBudgetError: the run would need more memory than its budget.
        LauncherError: one of the workers failed.
    """
    began = time.perf_counter()
    settings = with_strengths(settings, matrix)
    if workers is not None and settings.objective == "ials":
        return train_sharded(matrix, settings, workers=workers, start=start, on_epoch=on_epoch)
    plan = plan_memory(shape=matrix.shape, entries=matrix.entries, settings=settings)
    confidences_n = confidence(matrix, settings)
    with PeakWatch(settings.device) as watch:
        model: Objective
        if settings.objective == "softmax":
            model = Softmax(matrix, settings, start=start)
        else:
            model = Ials.of(matrix, settings, confidences_n=confidences_n, start=start)
        losses = run_epochs(model, epochs_of(settings), on_epoch=on_epoch, stop_after=stop_after)
        users_UD, items_ID = model.embeddings()
    return Factorisation(
        user_embeddings=users_UD.cpu().numpy(),
        item_embeddings=items_ID.cpu().numpy(),
        confidences=confidences_n,
        losses=losses,
        seconds=time.perf_counter() - began,
        settings=msgspec.structs.replace(settings, processes=1),
        memory_mb={**plan.megabytes(), **watch.megabytes()},
    )
