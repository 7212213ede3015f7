"""`recsys bench train`: the factorisation against `implicit` and LensKit in quality, time and memory.

On every set each model's settings are chosen from a fixed grid on a validation part of the training part, by
NDCG@20; then each is fitted on the whole training part three times, in turn, each in its own process.
"""

import statistics
import tempfile
from pathlib import Path
from typing import Any

from recsys_assets.benchmarks.datasets import SETS, BenchmarkSet, available_sets
from recsys_assets.benchmarks.peers import fit_in_process, save_split

Options = dict[str, Any]
Fits = list[dict[str, Any]]

OURS, ALS = "ours", "implicit_als"
GRIDS: dict[str, list[Options]] = {
    OURS: [
        {},
        {"threshold_times": 1.5},
        {"threshold_times": 0.6},
        {
            "unobserved_times": 2.0,
            "threshold_times": 1.5,
            "debias_exponent": 0.15,
            "activity_exponent": 0.75,
            "epochs": 6,
        },
        {"unobserved_times": 2.0, "debias_exponent": 0.15, "activity_exponent": 0.75},
        {"unobserved_times": 0.5, "threshold_times": 0.4, "debias_exponent": 0.35, "epochs": 4},
    ],
    ALS: [
        {"alpha": 1.0, "regularization": 0.01},
        {"alpha": 1.0, "regularization": 10.0},
        {"alpha": 3.0, "regularization": 30.0},
        {"alpha": 10.0, "regularization": 10.0},
        {"alpha": 10.0, "regularization": 100.0},
        {"alpha": 30.0, "regularization": 30.0},
    ],
    "implicit_bpr": [{"iterations": 100, "learning_rate": 0.01, "regularization": 0.01}],
    "lenskit_als": [{"weight": 40.0, "regularization": 0.1}, {"weight": 3.0, "regularization": 10.0}],
}
"""Six settings each for the two models whose times are compared. `implicit` ALS runs its CG solver, 15 iterations.

Ours are the untuned run and five around it: `unobserved_times` multiplies its α₀, `threshold_times` the threshold
that λ is then chosen by, and the others are settings.
"""


def run(*, rounds: int = 3, names: list[str] | None = None) -> dict[str, Any]:
    """Compare the factorisation with `implicit` and LensKit: quality, time and memory.

    Args:
        rounds: fits of each model on the whole training part, in turn.
        names: of the sets, see `SETS`; None takes every set whose data is here.

    Returns:
        `sets`: `name`, `ndcg20` and `recall20` (ours), `best_peer`, `ndcg_ratio` (to it), `seconds_ratio`,
        `seconds_to_peer_best_ratio` and `memory_ratio` (to `implicit` ALS), `chosen` and `fits` (every run's
        raw figures, with each grid's).
    """
    with tempfile.TemporaryDirectory(prefix="recsys-bench-train-") as folder:
        return {
            "sets": [
                compare(SETS[name](), Path(folder) / name, rounds=rounds)
                for name in names or available_sets()
            ]
        }


def compare(found: BenchmarkSet, folder: Path, *, rounds: int) -> dict[str, Any]:
    """Choose settings on a set's validation part, then fit in turn on its whole training part."""
    save_split(folder / "validation", found.validation)
    save_split(folder / "test", found.test)
    tried = {
        model: [fit_in_process(model, folder / "validation", options) for options in grid]
        for model, grid in GRIDS.items()
    }
    chosen = {model: max(fits, key=lambda fit: fit["ndcg20"])["options"] for model, fits in tried.items()}
    fits = [
        {"round": number, **fit_in_process(model, folder / "test", options)}
        for number in range(rounds)
        for model, options in chosen.items()
    ]
    to_best = [
        fit_in_process(OURS, folder / "test", {**chosen[OURS], "until_ndcg20": _median(fits, ALS, "ndcg20")})
        for _ in range(rounds)
    ]
    return summary(found.name, chosen, fits, to_best) | {
        "fits": fits,
        "to_peer_best": to_best,
        "grids": tried,
    }


def summary(name: str, chosen: dict[str, Options], fits: Fits, to_best: Fits) -> dict[str, Any]:
    """Return the medians over rounds and ours over the peer's; null where ours never reached the peer's best."""
    ndcg = {model: _median(fits, model, "ndcg20") for model in chosen}
    best_peer = max((model for model in chosen if model != OURS), key=ndcg.__getitem__)
    reached = [fit["seconds_to_peer_best"] for fit in to_best if "seconds_to_peer_best" in fit]
    als_seconds = _median(fits, ALS, "seconds")
    return {
        "name": name,
        "ndcg20": ndcg[OURS],
        "recall20": _median(fits, OURS, "recall20"),
        "best_peer": best_peer,
        "ndcg_ratio": ndcg[OURS] / ndcg[best_peer],
        "seconds_ratio": _median(fits, OURS, "seconds") / als_seconds,
        "seconds_to_peer_best_ratio": statistics.median(reached) / als_seconds if reached else None,
        "memory_ratio": _median(fits, OURS, "peak_rss_mb") / _median(fits, ALS, "peak_rss_mb"),
        "chosen": chosen,
    }


def _median(fits: Fits, model: str, figure: str) -> float:
    return statistics.median(float(fit[figure]) for fit in fits if fit["model"] == model)
