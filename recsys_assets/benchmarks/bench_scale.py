"""How time and memory of the factorisation grow with the interactions, each size in a process of its own.

The sets are synthetic, in MovieLens 20M's proportions: `python -m recsys_assets.benchmarks.bench_scale PAIRS` fits one.
"""

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np

PAIRS = (1_000_000, 5_000_000, 20_000_000)
"""About so many distinct user-item pairs."""
_EVENTS_A_PAIR = 1.72
"""What the synthetic worlds have to draw, since popular pairs are drawn more than once."""


def run(*, pairs: list[int] | None = None) -> dict[str, Any]:
    """Fit every size.

    Returns:
        `fits`: for each size `users`, `items`, `pairs`, `seconds`, `predicted_peak_mb`, `measured_peak_mb` and
        `prediction_error`, their relative difference; `exponent` of the seconds in the pairs, null for one size.
    """
    fits = [_in_process(size) for size in pairs or PAIRS]
    return {"fits": fits, "exponent": _exponent(fits)}


def _in_process(pairs: int) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", __name__, str(pairs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own module
    if done.returncode != 0:
        raise RuntimeError(f"fitting {pairs:,} pairs failed: {done.stderr.strip()[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _exponent(fits: list[dict[str, Any]]) -> float | None:
    if len(fits) < 2:  # noqa: PLR2004  a slope needs two points
        return None
    pairs, seconds = (np.log([fit[name] for fit in fits]) for name in ("pairs", "seconds"))
    return float(np.polyfit(pairs, seconds, 1)[0])


def measure(pairs: int) -> dict[str, Any]:
    """Make the set and fit it in this process, 64 dimensions and 15 epochs."""
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
    print(json.dumps(measure(int(sys.argv[1]))))  # noqa: T201  its result
