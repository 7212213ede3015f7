"""`recsys bench ablation`, `refine`, `warm` and `scale`: variants of the training, and its growth with the data.

Tried and not made a setting: items' vectors lengthened by popularity after training by iALS (MovieLens 1M +0.4 %,
Gowalla -1 %).

`scale` fits synthetic sets in MovieLens 20M's proportions, each in its own process:
`python -m recsys_assets.benchmarks.bench_variants PAIRS DEVICE` fits one.
"""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np

from recsys_assets.benchmarks.datasets import (
    SETS,
    BenchmarkSet,
    available_sets,
    default_increment,
    gowalla_set,
    published_set,
    quality,
)
from recsys_assets.benchmarks.harness import print_result, run_apart
from recsys_assets.benchmarks.synthetic import matrix, world
from recsys_assets.embeddings.components import COMPONENTS, FittedComponent, ScoreUsers
from recsys_assets.embeddings.factorisation import Factorisation
from recsys_assets.embeddings.fit_model import fit_model
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_files import last_trained, save_embeddings
from recsys_assets.embeddings.model_spec import ALL_TIME
from recsys_assets.embeddings.training import train
from recsys_assets.evaluation.held_out import Split, rank
from recsys_assets.evaluation.metrics import user_metrics
from recsys_assets.evaluation.model_search import compare
from recsys_assets.storage.arrays import Int64
from recsys_assets.training_settings import ScoreSettings, SoftmaxSettings, TrainingSettings

CHANGES: Final[dict[str, dict[str, Any]]] = {
    "nothing": {},
    "half the dimensions": {"embedding_size": 32},
    "twice the dimensions": {"embedding_size": 128},
    "5 epochs": {"epochs": 5},
    "one CG step": {"cg_steps": 1},
    "one unobserved weight for every user": {"activity_exponent": 0.0},
    "L2 by the root of the frequency": {"frequency_exponent": 0.5},
    "repeats ignored": {"count_exponent": 0.0},
    "repeats counted": {"count_exponent": 1.0},
    "half-life of 90 days": {"half_life_days": 90.0},
    "half-life of a year": {"half_life_days": 365.0},
    "popular items count less": {"debias_exponent": 0.15},
    "the softmax objective": {"model": "softmax"},
    "the softmax without popularity": {
        "model": "softmax",
        "softmax": SoftmaxSettings(popularity_weight=0.0),
    },
    "the softmax without smoothing": {"model": "softmax", "softmax": SoftmaxSettings(smoothing_layers=0)},
}
"""Changes of the default settings; none of them was chosen by the test part."""
PUBLISHED_SIZE: Final = 64
"""Dimensions of the run that is compared with published figures; most of those have 64."""
WARM_EPOCHS: Final = (1, 2, 3)
"""Epochs of the warm runs: at most a quarter of a run from scratch."""


def ablation(*, names: list[str] | None = None, changes: list[str] | None = None) -> dict[str, Any]:
    """Measure each training setting: an untuned run, and the same with one thing changed.

    Args:
        names: of the sets, see `SETS`; None takes every set whose data is here.
        changes: of `CHANGES`; None takes all.

    Returns:
        `sets`: `name` and `changes`, each with `change`, `settings`, `ndcg20`, `ndcg_ratio` (to the run where
        nothing is changed), `recall20` and `seconds`.
    """
    return {"sets": [_ablate(SETS[name](), changes or list(CHANGES)) for name in names or available_sets()]}


def refine(
    *, file: Path | None = None, embedding_size: int = PUBLISHED_SIZE, options: SoftmaxSettings | None = None
) -> dict[str, Any]:
    """Blend the softmax with item_item on a published split, as the product does: quality and time of both.

    Shares and the weight of popularity are chosen on a validation part of the training part, by components that are
    fitted without it; then both are fitted to the whole training part. Nothing is chosen on the test part.

    Args:
        file: Parquet file of user, item and `split`; None takes `gowalla_pairs.parquet` of `RECSYS_TEST_DATA`.
        embedding_size: at most 128 for the published comparison.
        options: of the softmax; None takes the defaults.

    Returns:
        `recall20`, `ndcg20` of the model, `seconds` (choice and fits), `embedding_size`, `chosen` (the model's
        parameters), `choice` (`seconds`, and `ndcg20` on the validation part), and of `softmax` and `item_item`, each
        alone with popularity as chosen, `recall20`, `ndcg20` and `seconds`.
    """
    found = gowalla_set() if file is None else published_set(file.stem, file)
    settings = TrainingSettings(
        model="softmax+item_item",
        embedding_size=embedding_size,
        softmax=options or SoftmaxSettings(),
        score=ScoreSettings(prior_half_life_days=ALL_TIME, own_half_life_days=0),  # these pairs have no time
    )
    began = time.perf_counter()
    chosen = compare(
        [found.validation], [_fitted(found.validation.train, settings)[0]], settings, categories_I=[None]
    ).choice()
    seconds_of_choice = time.perf_counter() - began
    split = found.test
    fitted, seconds = _fitted(split.train, settings)
    alone = [msgspec.structs.replace(chosen.spec, model=name, first_share=1.0) for name in fitted]
    scores = {
        spec.model: fit_model(split.train, spec, settings, fitted=fitted).score()
        for spec in (chosen.spec, *alone)
    }
    figures = {model: _measured(split, score, split.users()) for model, score in scores.items()}
    return {
        **figures[chosen.spec.model],
        "seconds": seconds_of_choice + sum(seconds.values()),
        "embedding_size": embedding_size,
        "chosen": msgspec.to_builtins(chosen.spec),
        "choice": {"seconds": seconds_of_choice, "ndcg20": chosen.compared[0].ndcg},
        **{name: {**figures[name], "seconds": seconds[name]} for name in fitted},
    }


def _fitted(
    train: InteractionMatrix, settings: TrainingSettings
) -> tuple[dict[str, FittedComponent], dict[str, float]]:
    """Fit both components; return them and the seconds of each."""
    fitted, seconds = {}, {}
    for name in ("softmax", "item_item"):
        began = time.perf_counter()
        fitted[name] = COMPONENTS[name].fit(train, settings)
        seconds[name] = time.perf_counter() - began
    return fitted, seconds


def _measured(split: Split, score: ScoreUsers, users: Int64) -> dict[str, float]:
    values = user_metrics(rank(split.train, users, score, k=20), split.truth, k=20)
    return {f"{name}20": float(values[name].mean()) for name in ("recall", "ndcg")}


def warm() -> dict[str, Any]:
    """Retrain after a new day from the last embeddings: epochs until it is as good as from scratch.

    Returns:
        `cold` and `warm`, a list: `epochs`, `ndcg20`, `recall20` and `seconds`; `ndcg_ratio`, the best warm run
        over the cold one.
    """
    before, split = default_increment()
    cold = train(split.train, TrainingSettings())
    with tempfile.TemporaryDirectory(prefix="recsys-bench-warm-") as folder:
        save_embeddings(Path(folder), matrix=before, factorisation=train(before, TrainingSettings()))
        runs = [
            train(
                split.train,
                settings,
                start=last_trained(Path(folder), split.train, settings, component="ials"),
            )
            for settings in (
                TrainingSettings(epochs=epochs, warm_start_epochs=epochs) for epochs in WARM_EPOCHS
            )
        ]
    shown = [{"epochs": len(found.losses), **_figures(found, split)} for found in (cold, *runs)]
    best = max(figures["ndcg20"] for figures in shown[1:])
    return {"cold": shown[0], "warm": shown[1:], "ndcg_ratio": best / shown[0]["ndcg20"]}


def measure(split: Split, settings: TrainingSettings) -> dict[str, Any]:
    """Train once and measure on the held-out part; with its losses, memory and options."""
    return _figures_of(train(split.train, settings), split, settings)


def _figures_of(trained: Factorisation, split: Split, settings: TrainingSettings) -> dict[str, Any]:
    return {
        **_figures(trained, split),
        "embedding_size": settings.embedding_size,
        "losses": trained.losses,
        "memory_mb": trained.memory_mb,
        "options": msgspec.to_builtins(settings.softmax),
    }


def _ablate(found: BenchmarkSet, changes: list[str]) -> dict[str, Any]:
    rows = [_changed(found, change) for change in dict.fromkeys(["nothing", *changes])]
    for row in rows:
        row["ndcg_ratio"] = row["ndcg20"] / rows[0]["ndcg20"]
    return {"name": found.name, "changes": rows}


def _changed(found: BenchmarkSet, change: str) -> dict[str, Any]:
    measured = measure(found.test, TrainingSettings(**CHANGES[change]))
    return {
        "change": change,
        "settings": msgspec.to_builtins(CHANGES[change]),
        **{key: measured[key] for key in ("ndcg20", "recall20", "seconds")},
    }


def _figures(trained: Factorisation, split: Split) -> dict[str, float]:
    values = quality(split.train, split.truth, trained.user_embeddings, trained.item_embeddings)
    return {**values, "seconds": trained.seconds}


SCALE_PAIRS = (1_000_000, 5_000_000, 20_000_000)
"""Distinct user-item pairs of each size, about."""
_EVENTS_A_PAIR = 1.72
"""Events that a synthetic world draws for each distinct pair; popular pairs are drawn more than once."""


def scale(*, pairs: list[int] | None = None, device: str = "cpu") -> dict[str, Any]:
    """Fit synthetic sets of growing size: time and memory as they grow with the interactions.

    Args:
        pairs: distinct pairs of each size; None takes `SCALE_PAIRS`.
        device: `cpu` or `cuda`.

    Returns:
        `fits`: for each size `users`, `items`, `pairs`, `seconds`, `predicted_peak_mb`, `measured_peak_mb` (on `cuda`
        also `card_peak_mb`) and `prediction_error`, the relative difference of the plan and the device's peak;
        `exponent` of the seconds in the pairs, null for one size.
    """
    fits = [run_apart(__name__, str(size), device) for size in pairs or SCALE_PAIRS]
    return {"fits": fits, "exponent": _exponent(fits)}


def _exponent(fits: list[dict[str, Any]]) -> float | None:
    if len(fits) < 2:  # noqa: PLR2004  a slope needs two points
        return None
    pairs, seconds = (np.log([fit[name] for fit in fits]) for name in ("pairs", "seconds"))
    return float(np.polyfit(pairs, seconds, 1)[0])


def fit_size(pairs: int, device: Literal["cpu", "cuda"] = "cpu") -> dict[str, Any]:
    """Draw a set and fit it in this process, 64 dimensions and 15 epochs; return one entry of `scale`'s `fits`."""
    found = matrix(replace(world(pairs), interactions=round(pairs * _EVENTS_A_PAIR)))
    fitted = train(found, TrainingSettings(device=device))
    memory = fitted.memory_mb
    return {
        "users": len(found.users),
        "items": len(found.items),
        "pairs": found.entries,
        "seconds": fitted.seconds,
        "epochs": len(fitted.losses),
        **memory,
        "prediction_error": memory["predicted_peak_mb"]
        / memory.get("card_peak_mb", memory["measured_peak_mb"])
        - 1,
    }


if __name__ == "__main__":
    print_result(fit_size(int(sys.argv[1]), "cuda" if "cuda" in sys.argv else "cpu"))
