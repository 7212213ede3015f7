"""Which benchmarks there are."""

import importlib
from typing import Any, Final

from recsys_assets.errors import InputError

BENCHMARKS: Final = (
    "ablation",
    "build",
    "index",
    "ingest",
    "quality",
    "refine",
    "rules",
    "scale",
    "serve",
    "train",
    "warm",
)
"""Modules of this folder that have a `run`, which takes only optional arguments and returns plain values."""


def run_benchmark(name: str) -> dict[str, Any]:
    """Run one benchmark with its defaults.

    Raises:
        InputError: there is none of that name.
    """
    if name not in BENCHMARKS:
        raise InputError(f"no benchmark {name!r}; there are: {', '.join(BENCHMARKS)}")
    result: dict[str, Any] = importlib.import_module(f"recsys_assets.benchmarks.bench_{name}").run()
    return result
