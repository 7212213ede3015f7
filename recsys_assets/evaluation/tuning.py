"""Hyperparameters by a budgeted search on held-out time, early-stopped; `recsys tune` saves what it finds.

The search never sees the days that the evaluation holds out: it splits what comes before them once more.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
from torch import Tensor

from recsys_assets import columns
from recsys_assets.embeddings import softmax
from recsys_assets.embeddings.factorisation import with_epochs, with_strengths
from recsys_assets.embeddings.training import train
from recsys_assets.errors import TrainingDataError
from recsys_assets.evaluation.metrics import user_metrics
from recsys_assets.evaluation.ranking import by_factors, rank
from recsys_assets.evaluation.splits import Split, TimeSplit, time_split
from recsys_assets.settings import TrainingSettings

K = 20
MOST_USERS = 5_000
"""A trial is scored on so many users at most."""
MOST_EPOCHS = 24
LOOK_EVERY = 3
"""Epochs between looks at the held-out metric; a trial ends at the first look that isn't better."""
_EXPLORE = 12
"""So many trials are drawn from the whole space; later ones near the best so far."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training run of the search."""

    settings: TrainingSettings
    """With the best epoch as its `epochs`."""
    ndcg: float
    """Held-out NDCG@20 at that epoch."""
    seconds: float
    """Of training and scoring."""


@dataclass(frozen=True, kw_only=True)
class TuneResult:
    """What the search found."""

    best: Trial
    """The trial with the highest NDCG@20; the given settings where nothing was better."""
    given: Trial
    """The settings given, scored the same way."""
    trials: list[Trial]
    """All of them, in the order tried."""
    first_held_out_day: date
    """The search trained on the days before and scored on those from it on."""


def tune(
    interactions: pl.LazyFrame,
    settings: TrainingSettings,
    *,
    minutes: float,
    on_trial: Callable[[Trial, Trial], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> TuneResult:
    """Search the objective and its settings for `minutes`; at least the given settings are tried.

    Args:
        interactions: the columns of the INTERACTIONS contract.
        settings: where to start; size, seed, device and budget stay as they are.
        minutes: no trial starts after so long.
        on_trial: called after each with the trial and the best so far.
        clock: seconds that pass.

    Raises:
        TrainingDataError: fewer than three days, or nothing new is held out.
    """
    began = clock()
    split = search_split(interactions, held_out_share=settings.held_out_share)
    settings = with_strengths(settings, split.train)
    users = split.sample_users(most_users=MOST_USERS, seed=settings.seed)
    trials: list[Trial] = []
    rng = np.random.default_rng(settings.seed)
    for candidate in _candidates(settings, trials, rng):
        trials.append(_tried(split, users, candidate, clock))
        best = max(trials, key=lambda trial: trial.ndcg)
        if on_trial is not None:
            on_trial(trials[-1], best)
        if clock() - began >= 60 * minutes:
            break
    return TuneResult(best=best, given=trials[0], trials=trials, first_held_out_day=split.first_held_out_day)


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


def _candidates(
    settings: TrainingSettings, trials: list[Trial], rng: np.random.Generator
) -> Iterator[TrainingSettings]:
    """The given settings, the other objective, random ones of iALS, then variations of the best so far; endless."""
    yield settings
    other: Literal["ials", "softmax"] = "softmax" if settings.objective == "ials" else "ials"
    if settings.embedding_size >= softmax.LEAST_SIZE:
        yield msgspec.structs.replace(settings, objective=other)
    settings = msgspec.structs.replace(settings, objective="ials")
    for _ in range(_EXPLORE):
        yield msgspec.structs.replace(
            settings,
            unobserved_weight=_log_uniform(rng, 0.01, 3.0),
            regularization=_log_uniform(rng, 0.0003, 0.03),
            activity_exponent=float(rng.choice([0.0, 0.25, 0.5, 0.75])),
            frequency_exponent=float(rng.choice([0.75, 1.0])),
            count_exponent=float(rng.choice([0.0, 0.25, 0.5, 1.0])),
            debias_exponent=float(rng.choice([0.0, 0.0, 0.1, 0.3])),
            half_life_days=_choice(rng, [None, None, 60.0, 180.0, 365.0]),
        )
    while True:
        best = max(trials, key=lambda trial: trial.ndcg).settings
        if best.objective == "softmax":
            yield _near_softmax(best, rng)
            continue
        yield msgspec.structs.replace(
            best,
            unobserved_weight=best.unobserved_weight * float(np.exp(rng.normal(0, 0.4))),
            regularization=best.regularization * float(np.exp(rng.normal(0, 0.4))),
            activity_exponent=float(np.clip(best.activity_exponent + rng.normal(0, 0.15), 0, 1)),
            frequency_exponent=float(np.clip(best.frequency_exponent + rng.normal(0, 0.1), 0, 1)),
            count_exponent=float(np.clip(best.count_exponent + rng.normal(0, 0.15), 0, 1)),
            debias_exponent=float(np.clip(best.debias_exponent + rng.normal(0, 0.05), 0, 1)),
        )


def _near_softmax(best: TrainingSettings, rng: np.random.Generator) -> TrainingSettings:
    options = best.softmax
    varied = msgspec.structs.replace(
        options,
        temperature=options.temperature * float(np.exp(rng.normal(0, 0.2))),
        learning_rate=options.learning_rate * float(np.exp(rng.normal(0, 0.4))),
        popularity_weight=float(np.clip(options.popularity_weight + rng.normal(0, 0.15), 0, 1)),
        smoothing_layers=int(rng.integers(0, 4)),
    )
    return msgspec.structs.replace(best, softmax=varied)


def _tried(
    split: Split, users: npt.NDArray[np.int64], settings: TrainingSettings, clock: Callable[[], float]
) -> Trial:
    began = clock()
    scores: dict[int, float] = {}

    def worse_than_before(epoch: int, users_UD: Tensor, items_ID: Tensor) -> bool:
        if epoch % LOOK_EVERY:
            return False
        ranking = rank(split.train, users, by_factors(users_UD.cpu().numpy(), items_ID.cpu().numpy()), k=K)
        before = max(scores.values(), default=-1.0)
        scores[epoch] = float(user_metrics(ranking, split.truth, k=K)["ndcg"].mean())
        return scores[epoch] <= before

    train(split.train, with_epochs(settings, MOST_EPOCHS), stop_after=worse_than_before)
    epochs = max(scores, key=scores.__getitem__)
    return Trial(settings=with_epochs(settings, epochs), ndcg=scores[epochs], seconds=clock() - began)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _choice(rng: np.random.Generator, values: list[float | None]) -> float | None:
    return values[int(rng.integers(len(values)))]
