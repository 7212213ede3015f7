"""Training by the objective that the settings name: what the asset, the evaluation and the search call."""

from collections.abc import Callable

import msgspec

from recsys_assets.embeddings import ials, softmax
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.training import Factorisation, Start, StopAfter
from recsys_assets.settings import TrainingSettings

OBJECTIVES = {"ials": ials.train, "softmax": softmax.train}
"""Each has the arguments of `ials.train`."""


def fit(
    matrix: InteractionMatrix,
    settings: TrainingSettings,
    *,
    start: Start | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
    stop_after: StopAfter | None = None,
) -> Factorisation:
    """Embed the matrix's users and items; arguments and errors as in `ials.train`."""
    train = OBJECTIVES[settings.objective]
    return train(matrix, settings, start=start, on_epoch=on_epoch, stop_after=stop_after)


def with_epochs(settings: TrainingSettings, epochs: int) -> TrainingSettings:
    """The settings with other epochs of the objective that is trained."""
    if settings.objective == "ials":
        return msgspec.structs.replace(settings, epochs=epochs)
    return msgspec.structs.replace(settings, softmax=msgspec.structs.replace(settings.softmax, epochs=epochs))
