"""An evaluation after a small change of the data: the model is measured again, the baselines' metrics are kept.

Fitting the baselines takes half of an evaluation's time, and one day of many does not move them. The model is trained
on from where the evaluation before ended. A warm replay takes this way; the next build measures all of them.
"""

from pathlib import Path
from typing import Final

import msgspec
import polars as pl

from recsys_assets.embeddings.components import Run
from recsys_assets.embeddings.factorisation import with_epochs
from recsys_assets.embeddings.fit_model import FittedModel, fit_model
from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.embeddings.recency import Categories
from recsys_assets.errors import NothingHeldOutError
from recsys_assets.evaluation.comparison import (
    BASELINES,
    DEPTHS,
    MOST_USERS,
    SCHEMA,
    SEGMENT_SCHEMA,
    USERS_DEPTH,
    Evaluation,
    OnFit,
    by_history,
    by_item_popularity,
    last_day,
    metric_rows,
    unused,
)
from recsys_assets.evaluation.evaluated_users import read_evaluated_users
from recsys_assets.evaluation.held_out import TimeSplit, rank, time_split
from recsys_assets.evaluation.kept_fit import fit_folder, kept_starts
from recsys_assets.evaluation.metrics import user_metrics
from recsys_assets.training_settings import TrainingSettings

_OF_BASELINES: Final = pl.col("model").is_in(BASELINES)


def evaluate_beside(
    interactions: pl.LazyFrame,
    spec: ModelSpec,
    settings: TrainingSettings,
    earlier: Path,
    *,
    categories: Categories = lambda _: None,
    hides: pl.Expr | None = None,
    on_fit: OnFit = unused,
) -> Evaluation | None:
    """Measure the model alone, beside the baselines of an earlier evaluation.

    Where `warm_start_epochs` is not 0, it is trained on from the vectors that the earlier evaluation kept (`kept_fit`).

    Args:
        interactions: the columns of the INTERACTIONS contract.
        spec: the model.
        settings: of the training.
        earlier: the folder of the earlier evaluation.
        categories: codes of the categories of items.
        hides: true for the events that hide an item.
        on_fit: called with the fitted model.

    Returns:
        The evaluation; None where the earlier one is missing, or of other days or users, so that all must be measured.

    Raises:
        BrokenReleaseError: the earlier metrics of users cannot be read.
    """
    before, file = read_evaluated_users(earlier), earlier / "evaluation.parquet"
    if before is None or not file.is_file():
        return None
    kept = pl.read_parquet(file).filter(_OF_BASELINES)
    try:
        split = time_split(interactions, held_out_share=settings.held_out_share, hides=hides)
    except NothingHeldOutError:
        return None
    users = split.sample_users(most_users=MOST_USERS, seed=settings.seed)
    ids = [split.train.users.id(int(num)) for num in users]
    days = (split.first_held_out_day, last_day(interactions))
    if (before.first_day, before.last_day) != days or before.user_ids != ids or kept.is_empty():
        return None
    model = _trained_on(split, spec, settings, fit_folder(earlier), categories)
    on_fit(model)
    rankings = {spec.model: rank(split.train, users, model.score(), k=max(DEPTHS))}
    segments = by_history(rankings, split, seed=settings.seed)
    segments += by_item_popularity(rankings, split, seed=settings.seed)
    own = pl.DataFrame(metric_rows(rankings, split, seed=settings.seed), schema=SCHEMA, orient="row")
    metrics = user_metrics(rankings[spec.model], split.truth, k=USERS_DEPTH)
    return Evaluation(
        table=pl.concat([own, kept]),
        segments=pl.DataFrame(segments, schema=SEGMENT_SCHEMA, orient="row"),
        users=msgspec.structs.replace(
            before,
            ndcg={spec.model: metrics["ndcg"].tolist(), **_of_baselines(before.ndcg)},
            recall={spec.model: metrics["recall"].tolist(), **_of_baselines(before.recall)},
        ),
    )


def _trained_on(
    split: TimeSplit, spec: ModelSpec, settings: TrainingSettings, kept: Path, categories: Categories
) -> FittedModel:
    """Fit the model to the training part, from the kept vectors where there are any."""
    starts = kept_starts(kept, split.train, spec, settings) if settings.warm_start_epochs else {}
    for name in starts:
        settings = with_epochs(settings, settings.warm_start_epochs, component=name)
    codes_I = categories(split.train.items)
    return fit_model(split.train, spec, settings, categories_I=codes_I, run=Run(starts=starts))


def _of_baselines(values: dict[str, list[float]]) -> dict[str, list[float]]:
    return {name: of_users for name, of_users in values.items() if name in BASELINES}
