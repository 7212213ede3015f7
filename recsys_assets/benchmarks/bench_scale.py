"""`recsys bench scale`: time and memory of the factorisation by its interactions, each size in its own process.

The sets are synthetic, in MovieLens 20M's proportions. `python -m recsys_assets.benchmarks.bench_scale PAIRS` fits
one size.
"""

import sys
from dataclasses import replace
from typing import Any

import numpy as np

from recsys_assets.benchmarks.measuring import print_result, run_apart

PAIRS = (1_000_000, 5_000_000, 20_000_000)
"""Distinct user-item pairs of each size, about."""
_EVENTS_A_PAIR = 1.72
"""Events that a synthetic world draws for each distinct pair; popular pairs are drawn more than once."""


def run(*, pairs: list[int] | None = None) -> dict[str, Any]:
    """Fit synthetic sets of growing size: time and memory as they grow with the interactions.

    Args:
        pairs: distinct pairs of each size; None takes `PAIRS`.

    Returns:
        `fits`: for each size `users`, `items`, `pairs`, `seconds`, `predicted_peak_mb`, `measured_peak_mb` and
        `prediction_error`, their relative difference; `exponent` of the seconds in the pairs, null for one size.
    """
    fits = [run_apart(__name__, str(size)) for size in pairs or PAIRS]
    return {"fits": fits, "exponent": _exponent(fits)}


def _exponent(fits: list[dict[str, Any]]) -> float | None:
    if len(fits) < 2:  # noqa: PLR2004  a slope needs two points
        return None
    pairs, seconds = (np.log([fit[name] for fit in fits]) for name in ("pairs", "seconds"))
    return float(np.polyfit(pairs, seconds, 1)[0])


def measure(pairs: int) -> dict[str, Any]:
    """Draw a set and fit it in this process, 64 dimensions and 15 epochs."""
    from recsys_assets.benchmarks.synthetic import matrix, world  # noqa: PLC0415  not in the parent
    from recsys_assets.embeddings.training import train  # noqa: PLC0415
    from recsys_assets.settings import TrainingSettings  # noqa: PLC0415

    found = matrix(replace(world(pairs), interactions=round(pairs * _EVENTS_A_PAIR)))
    fitted = train(found, TrainingSettings())
    memory = fitted.memory_mb
    return {
        "users": len(found.users),
        "items": len(found.items),
        "pairs": found.entries,
        "seconds": fitted.seconds,
        "epochs": len(fitted.losses),
        **memory,
        "prediction_error": memory["predicted_peak_mb"] / memory["measured_peak_mb"] - 1,
    }


if __name__ == "__main__":
    print_result(measure(int(sys.argv[1])))
