"""The benchmarks by name: their first docstring lines, the libraries that they import, and running one."""

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from recsys_assets.errors import InputError

BENCHMARKS: Final = {
    "ablation": "bench_variants:ablation",
    "build": "bench_build:run",
    "index": "bench_index:run",
    "ingest": "bench_ingest:run",
    "quality": "bench_quality:run",
    "refine": "bench_variants:refine",
    "rules": "bench_rules:run",
    "scale": "bench_scale:run",
    "serve": "bench_serve:run",
    "train": "bench_train:run",
    "warm": "bench_variants:warm",
}
"""Name -> `module:function`; the function takes only optional arguments and returns plain values."""
EXTRA: Final = "pip install -e '.[dev,bench]'"
_FOLDER: Final = Path(__file__).parent
_OURS: Final = re.compile(r"recsys_assets\.benchmarks\.(\w+)")


def benchmarks() -> dict[str, str]:
    """Return each benchmark's name and the first line of its docstring, read without importing it."""
    return {name: _first_line(*entry.split(":")) for name, entry in BENCHMARKS.items()}


def run_benchmark(name: str) -> dict[str, Any]:
    """Run one benchmark with its defaults.

    Raises:
        InputError: there is none of that name, or a library that it imports is not installed.
    """
    if name not in BENCHMARKS:
        raise InputError(f"no benchmark {name!r}; there are: {', '.join(BENCHMARKS)}")
    missing = [library for library in libraries_of(name) if find_spec(library) is None]
    if missing:
        raise InputError(f"benchmark {name!r} needs {', '.join(missing)}, not installed: {EXTRA}")
    module, function = BENCHMARKS[name].split(":")
    result: dict[str, Any] = getattr(importlib.import_module(f"{__package__}.{module}"), function)()
    return result


def libraries_of(name: str) -> list[str]:
    """Return the top-level modules outside this package and the standard library that a benchmark imports.

    Imports inside functions count, and those of every module of this folder that it imports or starts.
    """
    waiting, seen, found = [BENCHMARKS[name].partition(":")[0]], set[str](), set[str]()
    while waiting:
        module = waiting.pop()
        if module in seen or not (_FOLDER / f"{module}.py").is_file():
            continue
        seen.add(module)
        for named in _named_in(module):
            ours = _OURS.match(named)
            if ours:
                waiting.append(ours[1])
            else:
                found.add(named.partition(".")[0])
    return sorted(found - sys.stdlib_module_names - {"recsys_assets"})


def _named_in(module: str) -> Iterator[str]:
    """Absolute imports of a module of this folder, and modules of this folder that its strings name."""
    for node in ast.walk(_parsed(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from (found[0] for found in _OURS.finditer(node.value))


def _first_line(module: str, function: str) -> str:
    for node in _parsed(module).body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    raise LookupError(f"{module}.py has no function {function!r}")


def _parsed(module: str) -> ast.Module:
    return ast.parse((_FOLDER / f"{module}.py").read_text(encoding="utf-8"))
