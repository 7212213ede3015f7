"""`recsys bench tomorrow`: the model that the product chooses against baselines and libraries on later days.

For every set with time the last fifth of the days is held out, of it the wishes for items that the user has not seen.
The product chooses on earlier days only, as in a build; every library's settings are chosen on the same earlier days.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl

from recsys_assets import columns
from recsys_assets.benchmarks.bench_train import GRIDS
from recsys_assets.benchmarks.peers import fit_in_process, save_split
from recsys_assets.benchmarks.timed_sets import TIMED_SETS, TimedSet, available_timed_sets
from recsys_assets.embeddings.components import COMPONENTS, FittedComponent, ScoreUsers
from recsys_assets.embeddings.fit_model import fit_model
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.embeddings.new_items import with_new_items
from recsys_assets.errors import NothingHeldOutError
from recsys_assets.evaluation import baselines
from recsys_assets.evaluation.choice import choose_model
from recsys_assets.evaluation.cold_protocol import hold_out_new_items, measure_cold, over_items
from recsys_assets.evaluation.cold_users import measure_new_users
from recsys_assets.evaluation.held_out import Split, TimeSplit, rank, time_split, validation_splits
from recsys_assets.evaluation.metrics import user_metrics
from recsys_assets.evaluation.tuning import tune
from recsys_assets.training_settings import TrainingSettings

K: Final = 20
_MOST_USERS: Final = 5_000
_EASE_TIMES: Final = (1.0, 5.0, 25.0, 125.0)
"""λ of EASE in mean numbers of users an item."""
_NEIGHBOURS: Final = (20, 50, 100, 200)
_LIBRARIES: Final = ("implicit_als", "lenskit_als")


def run(*, minutes: float = 1.0, names: list[str] | None = None) -> dict[str, Any]:
    """Compare `auto`, untuned and tuned, with baselines and libraries on later days of every set with time.

    Args:
        minutes: time that the tuning of each set may take.
        names: of the sets, see `TIMED_SETS`; None takes every set whose data is here.

    Returns:
        `sets`: `name`, `users`, `ndcg20` (`auto`, `tuned`, every component, blend, baseline and peer),
        `ratio_to_best_baseline`, `ratio_to_best_peer` and `ratio_tuned` (to the best of both), `cold` (the figures
        of `cold_protocol.ColdFigures`, where the set has a catalogue), `new_users` (those of `NewUserFigures`),
        `chosen`, `tuned` (its model), `seconds` (of the choice) and `seconds_tuned`.
    """
    return {
        "sets": [measure(TIMED_SETS[name](), minutes=minutes) for name in names or available_timed_sets()]
    }


def measure(given: TimedSet, *, minutes: float) -> dict[str, Any]:
    """Measure one set; the keys are those of an entry of `sets`."""
    settings = TrainingSettings()
    test = time_split(given.events, held_out_share=settings.held_out_share, hides=given.hides)
    validation = next(validation_splits(given.events, settings, hides=given.hides))
    began = time.perf_counter()
    choice = choose_model(given.events, settings, categories=given.categories, hides=given.hides)
    seconds = time.perf_counter() - began
    fitted = {name: one.fit(test.train, settings) for name, one in COMPONENTS.items()}
    codes = given.categories(test.train.items)

    def of_model(
        spec: ModelSpec, used: TrainingSettings, parts: Mapping[str, FittedComponent] | None = None
    ) -> float:
        model = fit_model(test.train, spec, used, categories_I=codes, fitted=dict(parts or {}))
        return ndcg20(test, model.score())

    ours = {one.spec.model: of_model(one.spec, settings, fitted) for one in choice.compared}
    began = time.perf_counter()
    found = tune(given.events, settings, minutes=minutes, categories=given.categories, hides=given.hides)
    seconds_tuned = time.perf_counter() - began
    written = found.best if found.outside_the_noise else None
    auto = of_model(choice.spec, settings, fitted)
    tuned = auto if written is None else of_model(written.spec, written.settings)
    of_baselines = {name: ndcg20(test, score) for name, score in _baselines(test.train).items()}
    of_peers = _peers(test, validation)
    best = max(*of_baselines.values(), *of_peers.values())
    return {
        "name": given.name,
        "users": len(test.users()),
        "ndcg20": {"auto": auto, "tuned": tuned, **ours, **of_baselines, **of_peers},
        "ratio_to_best_baseline": auto / max(of_baselines.values()),
        "ratio_to_best_peer": auto / max(of_peers.values()),
        "ratio_tuned": tuned / best,
        "cold": _cold(given, choice.spec, settings),
        "new_users": _new_users(given, test, choice.spec, settings),
        "chosen": msgspec.to_builtins(choice.spec),
        "tuned": None if written is None else msgspec.to_builtins(written.spec),
        "seconds": seconds,
        "seconds_tuned": seconds_tuned,
    }


def _cold(given: TimedSet, spec: ModelSpec, settings: TrainingSettings) -> dict[str, Any] | None:
    """Return the figures of items whose first event is held out; None without a catalogue or such items."""
    if given.catalogue is None:
        return None
    try:
        split = hold_out_new_items(given.events, held_out_share=settings.held_out_share)
    except NothingHeldOutError:
        return None
    before = given.events.filter(pl.col(columns.TIMESTAMP).dt.date() < split.first_held_out_day)
    model = fit_model(split.known, spec, settings, categories_I=given.categories(split.known.items))
    model = with_new_items(model, before, given.catalogue, seed=settings.seed)
    score = over_items(model.score(), model.matrix.items, split.among_all.train.items)
    found = measure_cold(split, score)
    return {**asdict(found), "recall_ratio": found.recall_ratio}


def _new_users(
    given: TimedSet, test: TimeSplit, spec: ModelSpec, settings: TrainingSettings
) -> dict[str, Any]:
    model = fit_model(test.train, spec, settings, categories_I=given.categories(test.train.items))
    return asdict(measure_new_users(model, given.events, test.first_held_out_day))


def ndcg20(split: Split, score: ScoreUsers) -> float:
    """Return the mean NDCG at 20 over the users of a split, at most 5,000 of them."""
    users = split.sample_users(most_users=_MOST_USERS, seed=0)
    return float(user_metrics(rank(split.train, users, score, k=K), split.truth, k=K)["ndcg"].mean())


def _baselines(train: InteractionMatrix) -> dict[str, ScoreUsers]:
    return {
        "popularity": baselines.popular(train),
        "recency_popularity": baselines.recently_popular(train),
        "last_month": baselines.last_month(train),
    }


def _peers(test: TimeSplit, validation: TimeSplit) -> dict[str, float]:
    """Return NDCG at 20 of each peer with the settings that are best for it on the earlier days."""
    found = {
        "ease": _best_of(test, validation, _ease, _EASE_TIMES),
        "item_knn": _best_of(
            test, validation, lambda train, kept: baselines.item_knn(train, neighbours=kept), _NEIGHBOURS
        ),
    }
    with tempfile.TemporaryDirectory(prefix="recsys-bench-tomorrow-") as folder:
        save_split(Path(folder) / "validation", validation)
        save_split(Path(folder) / "test", test)
        for name in _LIBRARIES:
            tried = [fit_in_process(name, Path(folder) / "validation", options) for options in GRIDS[name]]
            options = max(tried, key=lambda fit: fit["ndcg20"])["options"]
            found[name] = fit_in_process(name, Path(folder) / "test", options)["ndcg20"]
    return found


def _best_of(
    test: Split, validation: Split, fit: Callable[[InteractionMatrix, Any], ScoreUsers], grid: tuple[Any, ...]
) -> float:
    best = max(grid, key=lambda value: ndcg20(validation, fit(validation.train, value)))
    return ndcg20(test, fit(test.train, best))


def _ease(train: InteractionMatrix, times: float) -> ScoreUsers:
    strength = times * train.entries / len(train.items)
    if len(train.items) <= min(baselines.EASE_ITEMS, len(train.users)):
        return baselines.ease(train, regularization=strength)
    return baselines.ease_by_users(train, regularization=strength)
