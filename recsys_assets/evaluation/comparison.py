"""The chosen model beside simple baselines on held-out time, with intervals and by segment.

The protocol: one global time split; items that a user has in the training part are neither ranked nor counted;
split and ties as in `held_out`, metrics as in `metrics`. Models are trained on the training part only.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.embeddings.components import ScoreUsers
from recsys_assets.embeddings.fit_model import FittedModel, fit_model
from recsys_assets.embeddings.interaction_matrix import by_popularity, popularity
from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.embeddings.recency import Categories
from recsys_assets.errors import NothingHeldOutError
from recsys_assets.evaluation import baselines
from recsys_assets.evaluation.evaluated_users import EvaluatedUsers, mean_intervals
from recsys_assets.evaluation.held_out import (
    Ranking,
    Split,
    entries_where,
    rank,
    time_split,
)
from recsys_assets.evaluation.metrics import catalogue_metrics, user_metrics
from recsys_assets.storage.arrays import Int64
from recsys_assets.training_settings import TrainingSettings

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

SEGMENT_SCHEMA = pl.Schema([("segment", pl.String), *SCHEMA.items()])
"""The same for the users of a segment, or for held-out items of a segment."""

DEPTHS = (10, 20)
USERS_DEPTH: Final = 10
"""Length of the lists that single users' metrics are of."""
MOST_USERS = 20_000
"""Users ranked; more with held-out items are sampled."""
HISTORY_EDGES = (5, 20, 100)
"""Segments of users by their number of training items: below 5, 5 to 19, 20 to 99, 100 and more."""

Row = tuple[str, str, int, float, float | None, float | None, int]
Rankings = dict[str, Ranking]
"""Model -> its ranking, all of the same users."""
OnFit = Callable[[FittedModel], None]
"""Takes the model once it is fitted to the training part."""


def unused(_: FittedModel) -> None:
    """Take a fitted model, and keep nothing of it."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Metrics of every model."""

    table: pl.DataFrame
    """`SCHEMA`: ndcg, recall, hit_rate, mrr, coverage and novelty at 10 and 20 of every model."""
    segments: pl.DataFrame
    """`SEGMENT_SCHEMA`: ndcg at 20 by history length, recall at 20 by the held-out items' popularity."""
    users: EvaluatedUsers | None = None
    """Metrics at 10 of each user; None where the held-out days are not known, or nothing was held out."""

    def save(self, folder: Path) -> None:
        """Write the table as `evaluation.parquet` and `evaluation.json`, and the users as `evaluation_users.json`."""
        self.table.write_parquet(folder / "evaluation.parquet")
        text = json.dumps(self.table.to_dicts(), indent=1)
        (folder / "evaluation.json").write_text(text + "\n", encoding="utf-8")
        if self.users is not None:
            self.users.save(folder)


BASELINES: Final = ("popularity", "recency_popularity", "last_month", "item_knn", "ease")
"""Names of the models that the chosen one is compared with."""


def evaluate_if_possible(
    interactions: pl.LazyFrame,
    spec: ModelSpec,
    settings: TrainingSettings,
    *,
    categories: Categories = lambda _: None,
    hides: pl.Expr | None = None,
    on_fit: OnFit = unused,
) -> tuple[Evaluation, str]:
    """Return `evaluate`'s result and "", or an empty result and the reason where nothing can be held out."""
    try:
        found = evaluate(interactions, spec, settings, categories=categories, hides=hides, on_fit=on_fit)
    except NothingHeldOutError as error:  # a short or sparse log: reported, and a check warns
        return Evaluation(table=SCHEMA.to_frame(), segments=SEGMENT_SCHEMA.to_frame()), str(error)
    return found, ""


def evaluate(
    interactions: pl.LazyFrame,
    spec: ModelSpec,
    settings: TrainingSettings,
    *,
    most_users: int = MOST_USERS,
    categories: Categories = lambda _: None,
    hides: pl.Expr | None = None,
    on_fit: OnFit = unused,
) -> Evaluation:
    """Split by time as the settings say, fit on the earlier part and measure the model beside the baselines.

    Args:
        interactions: the columns of the INTERACTIONS contract.
        spec: the model.
        settings: of the training; `held_out_share` sets the split and `seed` the sampling.
        most_users: the most users that are ranked.
        categories: codes of the categories of items.
        hides: true for the events that hide an item, see `InteractionMatrix.from_interactions`.
        on_fit: called with the fitted model.

    Raises:
        NothingHeldOutError: too few days, or nothing new is held out.
    """
    split = time_split(interactions, held_out_share=settings.held_out_share, hides=hides)
    days = (split.first_held_out_day, last_day(interactions))
    return evaluate_split(
        split, spec, settings, most_users=most_users, categories=categories, days=days, on_fit=on_fit
    )


def last_day(interactions: pl.LazyFrame) -> date:
    """Return the UTC day of the last event."""
    found: date = interactions.select(pl.col(columns.TIMESTAMP).dt.date().max()).collect().item()
    return found


def evaluate_split(
    split: Split,
    spec: ModelSpec,
    settings: TrainingSettings,
    *,
    most_users: int = MOST_USERS,
    categories: Categories = lambda _: None,
    days: tuple[date, date] | None = None,
    on_fit: OnFit = unused,
) -> Evaluation:
    """Fit on the training part and measure the model beside the baselines.

    `days` are the first and the last held-out one, for the metrics of single users; `on_fit` takes the fitted model.

    Raises:
        TrainingDataError: nothing can be trained on.
    """
    users = split.sample_users(most_users=most_users, seed=settings.seed)
    rankings = {
        model: rank(split.train, users, score, k=max(DEPTHS))
        for model, score in scorers(
            split, spec, settings, categories(split.train.items), on_fit=on_fit
        ).items()
    }
    segment_rows = by_history(rankings, split, seed=settings.seed)
    segment_rows += by_item_popularity(rankings, split, seed=settings.seed)
    by_model = sorted(segment_rows, key=lambda row: list(rankings).index(row[1]))
    return Evaluation(
        table=pl.DataFrame(metric_rows(rankings, split, seed=settings.seed), schema=SCHEMA, orient="row"),
        segments=pl.DataFrame(by_model, schema=SEGMENT_SCHEMA, orient="row"),
        users=None if days is None else users_of(rankings, split, days),
    )


def users_of(rankings: Rankings, split: Split, days: tuple[date, date]) -> EvaluatedUsers:
    """Return the metrics at 10 of each ranked user; `days` are the first and the last held-out one."""
    found = {model: user_metrics(ranking, split.truth, k=USERS_DEPTH) for model, ranking in rankings.items()}
    nums = next(iter(rankings.values())).user_nums
    return EvaluatedUsers(
        first_day=days[0],
        last_day=days[1],
        user_ids=[split.train.users.id(int(num)) for num in nums],
        ndcg={model: metrics["ndcg"].tolist() for model, metrics in found.items()},
        recall={model: metrics["recall"].tolist() for model, metrics in found.items()},
    )


def scorers(
    split: Split,
    spec: ModelSpec,
    settings: TrainingSettings,
    categories_I: Int64 | None = None,
    *,
    on_fit: OnFit = unused,
) -> dict[str, ScoreUsers]:
    """Fit the model and the baselines on the training part; EASE where the catalogue is small enough."""
    model = fit_model(split.train, spec, settings, categories_I=categories_I)
    on_fit(model)
    found = {
        spec.model: model.score(),
        "popularity": baselines.popular(split.train),
        "recency_popularity": baselines.recently_popular(split.train),
        "last_month": baselines.last_month(split.train),
        "item_knn": baselines.item_knn(split.train),
    }
    if len(split.train.items) <= baselines.EASE_ITEMS:
        found["ease"] = baselines.ease(split.train)
    return found


def better_baselines(table: pl.DataFrame, *, k: int) -> dict[str, float]:
    """Return baseline -> NDCG at k, of the baselines above the model; `table` has `SCHEMA`."""
    rows = table.filter(pl.col("metric") == "ndcg", pl.col("k") == k)
    found = dict(zip(rows["model"], rows["value"], strict=True))
    ours = max((value for model, value in found.items() if model not in BASELINES), default=0.0)
    return {model: value for model, value in found.items() if model in BASELINES and value > ours}


def metric_rows(rankings: Rankings, split: Split, *, seed: int) -> list[Row]:
    """Return the rows of every model; their intervals share the bootstrap's draws."""
    values = {
        (model, metric, k): value
        for model, ranking in rankings.items()
        for k in DEPTHS
        for metric, value in user_metrics(ranking, split.truth, k=k).items()
    }
    found = mean_intervals(values, seed=seed)
    rows: list[Row] = []
    for model, ranking in rankings.items():
        users = len(ranking.user_nums)
        rows += [(*name, *bounds, users) for name, bounds in found.items() if name[0] == model]
        for k in DEPTHS:
            for metric, value in catalogue_metrics(ranking, split.train, k=k).items():
                rows.append((model, metric, k, value, None, None, users))
    return rows


def by_history(rankings: Rankings, split: Split, *, seed: int) -> list[tuple[str, *Row]]:
    """Return NDCG at 20 of users with few and with many training items."""
    k = max(DEPTHS)
    users = next(iter(rankings.values())).user_nums
    segment_R = np.searchsorted(HISTORY_EDGES, np.diff(split.train.indptr)[users], side="right")
    ndcg_R = {model: user_metrics(ranking, split.truth, k=k)["ndcg"] for model, ranking in rankings.items()}
    edges = (1, *HISTORY_EDGES)
    rows: list[tuple[str, *Row]] = []
    for segment in np.unique(segment_R):
        last = segment + 1 == len(edges)
        name = f"history {edges[segment]}+" if last else f"history {edges[segment]}-{edges[segment + 1] - 1}"
        chosen = segment_R == segment
        found = mean_intervals({model: values[chosen] for model, values in ndcg_R.items()}, seed=seed)
        rows += [
            (name, model, "ndcg", k, *bounds, int(np.count_nonzero(chosen)))
            for model, bounds in found.items()
        ]
    return rows


def by_item_popularity(rankings: Rankings, split: Split, *, seed: int) -> list[tuple[str, *Row]]:
    """Return recall at 20 of popular, middle and rare held-out items, in thirds of equally many training pairs."""
    counts_I = popularity(split.train, half_life_days=None)
    order = by_popularity(counts_I)
    third_I = np.empty(len(order), dtype=np.int64)
    share = np.cumsum(counts_I[order]) / counts_I.sum()
    third_I[order] = np.minimum((share - 1e-9) * 3, 2).astype(np.int64)
    users = next(iter(rankings.values())).user_nums
    rows: list[tuple[str, *Row]] = []
    for third, name in enumerate(("head items", "middle items", "tail items")):
        truth = entries_where(split.truth, third_I[split.truth.item_nums] == third)
        has_any = np.diff(truth.indptr)[users] > 0
        if not has_any.any():
            continue
        recall_R = {
            model: user_metrics(
                Ranking(user_nums=users[has_any], items_Rk=ranking.items_Rk[has_any]), truth, k=max(DEPTHS)
            )["recall"]
            for model, ranking in rankings.items()
        }
        rows += [
            (name, model, "recall", max(DEPTHS), *bounds, int(np.count_nonzero(has_any)))
            for model, bounds in mean_intervals(recall_R, seed=seed).items()
        ]
    return rows
