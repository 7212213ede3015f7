"""Which benchmarks there are."""

import importlib
import pkgutil
from typing import Any

from recsys_assets import benchmarks
from recsys_assets.errors import InputError


def benchmark_names() -> list[str]:
    """Modules of this folder that have a `run`, by name."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
    return [name for name in names if _has_run(name)]


def run_benchmark(name: str) -> dict[str, Any]:
    """Run one benchmark with its defaults.

    Raises:
        InputError: there is none of that name.
    """
    if not name.isidentifier() or not _has_run(name):
        raise InputError(f"no benchmark {name!r}; there are: {', '.join(benchmark_names())}")
    result: dict[str, Any] = importlib.import_module(f"recsys_assets.benchmarks.{name}").run()
    return result


def _has_run(name: str) -> bool:
    try:
        return callable(getattr(importlib.import_module(f"recsys_assets.benchmarks.{name}"), "run", None))
    except ModuleNotFoundError:
        return False
