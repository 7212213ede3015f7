"""What each training setting is worth: an untuned run, and the same with one thing changed.

Tried and not made a setting, on the default:

- A vector for an item never touched, from its department, category and brand by a ridge map fitted to the items
  that were. It explains 16 % of the vectors' (weighted) squares. Among the 31,067 items never touched it finds
  0.0034 of what is bought of them within 20 places, five times chance, and among all items none of the 150 that
  it brings into the lists is bought; NDCG@20 falls by a thousandth. Such items come from the rules' `new` source.
- Items' vectors lengthened by popularity after training by iALS: MovieLens 1M +0.4 %, Gowalla -1 %.
"""

from typing import Any, Final

import msgspec

from recsys_assets.benchmarks.bench_refine import measure
from recsys_assets.benchmarks.datasets import SETS, BenchmarkSet, available_sets
from recsys_assets.settings import SoftmaxSettings, TrainingSettings

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
    "the softmax objective": {"objective": "softmax"},
    "the softmax without popularity": {
        "objective": "softmax",
        "softmax": SoftmaxSettings(popularity_weight=0.0),
    },
    "the softmax without smoothing": {"objective": "softmax", "softmax": SoftmaxSettings(smoothing_layers=0)},
}
"""What is changed of the defaults; none of them was chosen by what is reported."""


def run(*, names: list[str] | None = None, changes: list[str] | None = None) -> dict[str, Any]:
    """Fit every change on every set whose data is here, or those named, and measure on the test part.

    Returns:
        `sets`: `name` and `changes`, each with `change`, `settings`, `ndcg20`, `ndcg_ratio` (to the run where
        nothing is changed), `recall20` and `seconds`.
    """
    return {"sets": [_ablate(SETS[name](), changes or list(CHANGES)) for name in names or available_sets()]}


def _ablate(found: BenchmarkSet, changes: list[str]) -> dict[str, Any]:
    rows = [_measure(found, change) for change in dict.fromkeys(["nothing", *changes])]
    for row in rows:
        row["ndcg_ratio"] = row["ndcg20"] / rows[0]["ndcg20"]
    return {"name": found.name, "changes": rows}


def _measure(found: BenchmarkSet, change: str) -> dict[str, Any]:
    measured = measure(found.test, TrainingSettings(**CHANGES[change]))
    return {
        "change": change,
        "settings": msgspec.to_builtins(CHANGES[change]),
        **{key: measured[key] for key in ("ndcg20", "recall20", "seconds")},
    }
