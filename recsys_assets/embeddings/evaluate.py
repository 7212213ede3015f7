"""How good the factorisation is on held-out time, beside simple baselines, with intervals.

The protocol: one global time split (`split`), items a user has in the training part are not ranked and not
counted, ties as in `ranking`, metrics as in `metrics`. The model is trained on the training part only.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_assets.embeddings import baselines, ials
from recsys_assets.embeddings.metrics import catalogue_metrics, mean_interval, user_metrics
from recsys_assets.embeddings.ranking import Ranking, ScoreUsers, by_factors, rank
from recsys_assets.embeddings.split import Split, time_split
from recsys_assets.settings import TrainingSettings

SCHEMA = pl.Schema(
    {
        "model": pl.String,
        "metric": pl.String,
        "k": pl.Int32,
        "value": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "users": pl.Int32,
    }
)
"""One metric of one model; `low` and `high` bound the 95 % interval, null where not a mean over users."""

DEPTHS = (10, 20)
MOST_USERS = 20_000
"""More users with held-out items than these are sampled."""


def evaluate(
    interactions: pl.LazyFrame, settings: TrainingSettings, *, most_users: int = MOST_USERS
) -> pl.DataFrame:
    """Train on the days before the held-out ones and measure ours beside the baselines.

    Args:
        interactions: the columns of the INTERACTIONS contract.
        settings: what to train with; `held_out_share` sets the split and `seed` the sampling.
        most_users: at most so many users are ranked, drawn by `seed`.

    Returns:
        Rows of `SCHEMA`, model by model: ndcg, recall, hit_rate, mrr, coverage and novelty at 10 and 20.

    Raises:
        TrainingDataError: too few days, or nothing new is held out.
    """
    split = time_split(interactions, held_out_share=settings.held_out_share)
    users = sample_users(split, most_users=most_users, seed=settings.seed)
    rows = []
    for model, score in scorers(split, settings).items():
        ranking = rank(split.train, users, score, k=max(DEPTHS))
        rows += metric_rows(model, ranking, split, seed=settings.seed)
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def scorers(split: Split, settings: TrainingSettings) -> dict[str, ScoreUsers]:
    """Every model of the table, fitted on the training part."""
    ours = ials.train(split.train, settings)
    return {
        "ials": by_factors(ours.user_embeddings, ours.item_embeddings),
        "popularity": baselines.popular(split.train),
        "recency_popularity": baselines.recently_popular(split.train),
        "item_knn": baselines.item_knn(split.train),
    }


def sample_users(split: Split, *, most_users: int, seed: int) -> npt.NDArray[np.int64]:
    """Users with anything to find, at most `most_users` of them, ascending."""
    users = split.users()
    if len(users) <= most_users:
        return users
    return np.sort(np.random.default_rng(seed).choice(users, most_users, replace=False))


def metric_rows(
    model: str, ranking: Ranking, split: Split, *, seed: int
) -> list[tuple[str, str, int, float, float | None, float | None, int]]:
    """The rows of one model."""
    rows: list[tuple[str, str, int, float, float | None, float | None, int]] = []
    users = len(ranking.user_nums)
    for k in DEPTHS:
        for metric, values in user_metrics(ranking, split.truth, k=k).items():
            rows.append((model, metric, k, *mean_interval(values, seed=seed), users))
        for metric, value in catalogue_metrics(ranking, split.train, k=k).items():
            rows.append((model, metric, k, value, None, None, users))
    return rows
