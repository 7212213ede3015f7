"""Hyperparameters by a budgeted search on held-out time, early-stopped; `recsys tune` saves what it finds.

The search never sees the days that the evaluation holds out: it splits the days before them once more.

Optuna's TPE in place of the random draws and the variations searched about as well in the same CPU time (15 s on a
sample of the users, 16 dimensions): the best NDCG@20 was 0.2296 against 0.2291 here on MovieLens 1M (3 seeds) and
0.0826 against 0.0817 on the default (4 seeds). It took 71 lines against 55, and a package more. Its shortest form,
with the objective as one of the parameters, found 0.2266: a sixth to over half of its trials were of the slow softmax.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Literal

import msgspec
import numpy as np
import polars as pl
from torch import Tensor

from recsys_assets import columns
from recsys_assets.embeddings import softmax
from recsys_assets.embeddings.factorisation import with_epochs, with_strengths
from recsys_assets.embeddings.training import train
from recsys_assets.errors import TrainingDataError
from recsys_assets.evaluation.held_out import Split, TimeSplit, by_factors, rank, time_split
from recsys_assets.evaluation.metrics import user_metrics
from recsys_assets.storage.arrays import Int64
from recsys_assets.training_settings import TrainingSettings

K = 20
MOST_USERS = 5_000
"""Users that a trial is scored on, at most."""
MOST_EPOCHS = 24
SCORE_EVERY = 3
"""Epochs between two scores of a trial, which ends at the first score that isn't better."""
_EXPLORE = 12
"""Trials drawn from the whole space; later ones are near the best so far."""


@dataclass(frozen=True, kw_only=True)
class TuningTrial:
    """One training run of the search."""

    settings: TrainingSettings
    """The settings tried, with the best epoch as their `epochs`."""
    ndcg: float
    """Held-out NDCG@20 at that epoch."""
    seconds: float
    """Time of training and scoring."""


@dataclass(frozen=True, kw_only=True)
class TuningResult:
    """The result of the search."""

    best: TuningTrial
    """The trial with the highest NDCG@20; the given settings where nothing was better."""
    given: TuningTrial
    """The trial of the given settings."""
    trials: list[TuningTrial]
    """All trials, in their order."""
    first_held_out_day: date
    """The search trained on the days before and scored on those from it on."""


def tune(
    interactions: pl.LazyFrame,
    settings: TrainingSettings,
    *,
    minutes: float,
    on_trial: Callable[[TuningTrial, TuningTrial], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> TuningResult:
    """Search the objective and its settings for `minutes`; at least the given settings are tried.

    The given settings come first, then the other objective, random settings of iALS, and variations of the best.

    Args:
        interactions: the columns of the INTERACTIONS contract.
        settings: where to start; size, seed, device and budget stay as they are.
        minutes: no trial starts later.
        on_trial: called after each trial with it and the best so far.
        clock: the time in seconds.

    Raises:
        TrainingDataError: fewer than three days, or nothing new is held out.
    """
    began = clock()
    split = search_split(interactions, held_out_share=settings.held_out_share)
    settings = with_strengths(settings, split.train)
    users = split.sample_users(most_users=MOST_USERS, seed=settings.seed)
    rng = np.random.default_rng(settings.seed)
    planned = [*_by_both_objectives(settings), *(_random_ials(settings, rng) for _ in range(_EXPLORE))]
    best = given = _try(split, users, settings, clock)
    trials = [given]
    while True:
        if on_trial is not None:
            on_trial(trials[-1], best)
        if clock() - began >= 60 * minutes:
            break
        number = len(trials)
        candidate = planned[number] if number < len(planned) else _near(best.settings, rng)
        trials.append(_try(split, users, candidate, clock))
        best = max(trials, key=lambda trial: trial.ndcg)
    return TuningResult(best=best, given=given, trials=trials, first_held_out_day=split.first_held_out_day)


def search_split(interactions: pl.LazyFrame, *, held_out_share: float) -> TimeSplit:
    """Split the days before the evaluation's held-out ones.

    Raises:
        TrainingDataError: fewer than three days, or nothing new is held out.
    """
    reported = time_split(interactions, held_out_share=held_out_share)
    before = interactions.filter(pl.col(columns.TIMESTAMP).dt.date() < reported.first_held_out_day)
    try:
        return time_split(before, held_out_share=held_out_share)
    except TrainingDataError as error:
        raise TrainingDataError(f"too few days to tune on before the evaluation's: {error}") from None


def _by_both_objectives(settings: TrainingSettings) -> list[TrainingSettings]:
    """The given settings, and the same with the other objective where the embedding is large enough for it."""
    if settings.embedding_size < softmax.LEAST_SIZE:
        return [settings]
    other: Literal["ials", "softmax"] = "softmax" if settings.objective == "ials" else "ials"
    return [settings, msgspec.structs.replace(settings, objective=other)]


def _random_ials(settings: TrainingSettings, rng: np.random.Generator) -> TrainingSettings:
    half_lives = [None, None, 60.0, 180.0, 365.0]
    return msgspec.structs.replace(
        settings,
        objective="ials",
        unobserved_weight=_log_uniform(rng, 0.01, 3.0),
        regularization=_log_uniform(rng, 0.0003, 0.03),
        activity_exponent=float(rng.choice([0.0, 0.25, 0.5, 0.75])),
        frequency_exponent=float(rng.choice([0.75, 1.0])),
        count_exponent=float(rng.choice([0.0, 0.25, 0.5, 1.0])),
        debias_exponent=float(rng.choice([0.0, 0.0, 0.1, 0.3])),
        half_life_days=half_lives[int(rng.integers(len(half_lives)))],
    )


def _near(best: TrainingSettings, rng: np.random.Generator) -> TrainingSettings:
    """A random variation of the best settings so far."""

    def factor(deviation: float) -> float:
        return float(np.exp(rng.normal(0, deviation)))

    def share(value: float, deviation: float) -> float:
        return float(np.clip(value + rng.normal(0, deviation), 0, 1))

    if best.objective == "softmax":
        options = best.softmax
        varied = msgspec.structs.replace(
            options,
            temperature=options.temperature * factor(0.2),
            learning_rate=options.learning_rate * factor(0.4),
            popularity_weight=share(options.popularity_weight, 0.15),
            smoothing_layers=int(rng.integers(0, 4)),
        )
        return msgspec.structs.replace(best, softmax=varied)
    return msgspec.structs.replace(
        best,
        unobserved_weight=best.unobserved_weight * factor(0.4),
        regularization=best.regularization * factor(0.4),
        activity_exponent=share(best.activity_exponent, 0.15),
        frequency_exponent=share(best.frequency_exponent, 0.1),
        count_exponent=share(best.count_exponent, 0.15),
        debias_exponent=share(best.debias_exponent, 0.05),
    )


def _try(split: Split, users: Int64, settings: TrainingSettings, clock: Callable[[], float]) -> TuningTrial:
    began = clock()
    scores: dict[int, float] = {}

    def worse_than_before(epoch: int, users_UD: Tensor, items_ID: Tensor) -> bool:
        if epoch % SCORE_EVERY:
            return False
        ranking = rank(split.train, users, by_factors(users_UD.cpu().numpy(), items_ID.cpu().numpy()), k=K)
        before = max(scores.values(), default=-1.0)
        scores[epoch] = float(user_metrics(ranking, split.truth, k=K)["ndcg"].mean())
        return scores[epoch] <= before

    train(split.train, with_epochs(settings, MOST_EPOCHS), stop_after=worse_than_before)
    epochs = max(scores, key=scores.__getitem__)
    return TuningTrial(settings=with_epochs(settings, epochs), ndcg=scores[epochs], seconds=clock() - began)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
