"""Which benchmarks there are."""

import ast
import importlib
from pathlib import Path
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


def benchmarks() -> dict[str, str]:
    """Return name -> the first line of the benchmark's docstring, read without importing it."""
    lines = {}
    for name in BENCHMARKS:
        source = Path(__file__).with_name(f"bench_{name}.py").read_text(encoding="utf-8")
        lines[name] = (ast.get_docstring(ast.parse(source)) or "").splitlines()[0]
    return lines


def run_benchmark(name: str) -> dict[str, Any]:
    """Run one benchmark with its defaults.

    Raises:
        InputError: there is none of that name.
    """
    if name not in BENCHMARKS:
        raise InputError(f"no benchmark {name!r}; there are: {', '.join(BENCHMARKS)}")
    result: dict[str, Any] = importlib.import_module(f"recsys_assets.benchmarks.bench_{name}").run()
    return result
