"""Another recipe on the split and for the users of an evaluation, as the gate compares them."""

import polars as pl

from recsys_assets.embeddings.fit_model import fit_model
from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.embeddings.recency import Categories
from recsys_assets.evaluation.comparison import MOST_USERS, USERS_DEPTH, last_day, users_of
from recsys_assets.evaluation.evaluated_users import EvaluatedUsers
from recsys_assets.evaluation.held_out import rank, time_split
from recsys_assets.training_settings import TrainingSettings


def evaluate_recipe(
    interactions: pl.LazyFrame,
    spec: ModelSpec,
    settings: TrainingSettings,
    *,
    held_out_share: float,
    seed: int,
    categories: Categories = lambda _: None,
    hides: pl.Expr | None = None,
) -> EvaluatedUsers:
    """Return the metrics of each user by one model, on the split and for the users of another recipe's evaluation.

    Args:
        interactions: the columns of the INTERACTIONS contract.
        spec: the model.
        settings: of its training.
        held_out_share: sets the split, whatever `settings` say.
        seed: draws the users, whatever `settings` say.
        categories: codes of the categories of items.
        hides: true for the events that hide an item.

    Raises:
        NothingHeldOutError: too few days, or nothing new is held out.
        MemoryBudgetError: the fit would need more memory than its budget.
    """
    split = time_split(interactions, held_out_share=held_out_share, hides=hides)
    users = split.sample_users(most_users=MOST_USERS, seed=seed)
    score = fit_model(split.train, spec, settings, categories_I=categories(split.train.items)).score()
    rankings = {spec.model: rank(split.train, users, score, k=USERS_DEPTH)}
    return users_of(rankings, split, (split.first_held_out_day, last_day(interactions)))
