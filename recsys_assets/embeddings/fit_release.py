"""The model of a release: the chosen spec fitted to all landed days, with the items that nobody has touched yet."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recsys_assets import columns
from recsys_assets.embeddings.components import Run
from recsys_assets.embeddings.factorisation import with_epochs
from recsys_assets.embeddings.fit_model import FittedModel, fit_model
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_files import last_trained, load_embeddings, save_embeddings
from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.embeddings.new_items import with_new_items
from recsys_assets.embeddings.recency import categories_in
from recsys_assets.embeddings.sharded_training import Workers
from recsys_assets.training_settings import TrainingSettings


@dataclass(frozen=True, kw_only=True)
class ReleaseModel:
    """A model ready to be saved."""

    model: FittedModel
    """The model."""
    warm_start: bool
    """True where the training went on from the last embeddings."""

    def save(self, folder: Path) -> None:
        """Write the embeddings' folder."""
        seen = self.model.matrix.seen
        save_embeddings(
            folder,
            matrix=self.model.matrix,
            factorisation=self.model.factorisation,
            parts=self.model.parts,
            seen=(seen.indptr, seen.item_nums),
            notes={"warm_start": self.warm_start},
        )


def fit_release(
    interactions: pl.LazyFrame,
    spec: ModelSpec,
    settings: TrainingSettings,
    *,
    catalogue: pl.DataFrame | None = None,
    hides: pl.Expr | None = None,
    earlier: Path | None = None,
    on_epoch: Callable[[int, int], None] = lambda _, __: None,
    workers: Workers | None = None,
) -> ReleaseModel:
    """Fit the model to all interactions.

    Args:
        interactions: the columns of the INTERACTIONS contract.
        spec: the model.
        settings: of the training.
        catalogue: rows of ITEM_CATALOGUE, or None if there is none.
        hides: true for the events that hide an item, see `InteractionMatrix.from_interactions`.
        earlier: folder of the last embeddings, to go on from where `warm_start_epochs` says so.
        on_epoch: called with an epoch's number and the number of all.
        workers: processes to train iALS in; None: this one.

    Raises:
        TrainingDataError: no wish, or nothing finite can be fitted.
        MemoryBudgetError: the run would need more memory than its budget.
    """
    matrix = InteractionMatrix.from_interactions(interactions, hides=hides)
    starts = {
        name: start
        for name in spec.components
        if earlier is not None
        and (start := last_trained(earlier, matrix, settings, component=name)) is not None
    }
    shorter = settings
    for name in starts:
        shorter = with_epochs(shorter, settings.warm_start_epochs, component=name)
    model = fit_model(
        matrix,
        spec,
        shorter,
        categories_I=categories_in(catalogue)(matrix.items),
        purchases=only_purchases(interactions),
        run=Run(starts=starts, on_epoch=on_epoch, workers=workers),
    )
    before = load_embeddings(earlier) if starts and earlier is not None else None
    model = with_new_items(model, interactions, catalogue, seed=settings.seed, earlier=before)
    return ReleaseModel(model=model, warm_start=bool(starts))


def only_purchases(interactions: pl.LazyFrame) -> bool:
    """Return true where every wish is an event of the kind `purchase`, so that words may say `bought`."""
    kinds = interactions.filter(pl.col(columns.WEIGHT) > 0).select(columns.KIND).unique().collect()
    return kinds[columns.KIND].to_list() == ["purchase"]
