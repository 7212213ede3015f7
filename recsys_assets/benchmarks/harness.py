"""The benchmarks by name, running one, and what they share: a separate process, peak memory, the machine."""

import ast
import importlib
import json
import os
import platform
import re
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Any, Final

from recsys_assets.errors import InputError

BENCHMARKS: Final = {
    "ablation": "bench_variants:ablation",
    "attack": "bench_attack:run",
    "build": "bench_build:run",
    "days": "bench_days:run",
    "events": "bench_events:run",
    "experiments": "bench_experiments:run",
    "export": "bench_export:run",
    "index": "bench_index:run",
    "ingest": "bench_ingest:run",
    "plan": "bench_plan:run",
    "quality": "bench_quality:run",
    "refine": "bench_variants:refine",
    "replay": "bench_replay:run",
    "rollback": "bench_rollback:run",
    "rules": "bench_rules:run",
    "scale": "bench_variants:scale",
    "scale_out": "bench_scale_out:run",
    "serve": "bench_serve:run",
    "sources": "bench_sources:run",
    "tomorrow": "bench_tomorrow:run",
    "train": "bench_train:run",
    "warm": "bench_variants:warm",
}
"""Name -> `module:function`; the function takes only optional arguments and returns plain values."""
EXTRA: Final = "pip install -e '.[dev,bench]'"
"""Command that installs the libraries of every benchmark."""
_FOLDER: Final = Path(__file__).parent
_OURS: Final = re.compile(r"recsys_assets\.benchmarks\.(\w+)")


def benchmarks() -> dict[str, str]:
    """Return each benchmark's name and the first line of its docstring, read without importing it."""
    return {name: _first_line(*entry.split(":")) for name, entry in BENCHMARKS.items()}


def run_benchmark(name: str, **options: Any) -> dict[str, Any]:
    """Run one benchmark.

    Args:
        name: of `BENCHMARKS`.
        options: arguments of its function; its defaults for the others.

    Raises:
        InputError: there is none of that name, it has no such argument, or a library that it imports is not installed.
    """
    if name not in BENCHMARKS:
        raise InputError(f"no benchmark {name!r}; there are: {', '.join(BENCHMARKS)}")
    missing = [library for library in libraries_of(name) if find_spec(library) is None]
    if missing:
        raise InputError(f"benchmark {name!r} needs {', '.join(missing)}, not installed: {EXTRA}")
    module, function = BENCHMARKS[name].split(":")
    measure = getattr(importlib.import_module(f"{__package__}.{module}"), function)
    unknown = [option for option in options if option not in signature(measure).parameters]
    if unknown:
        raise InputError(f"benchmark {name!r} has no --{unknown[0]}; leave it out")
    result: dict[str, Any] = measure(**options)
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


def run_apart(module: str, *arguments: str, env: Mapping[str, str | None] | None = None) -> dict[str, Any]:
    """Run `python -m MODULE ARGUMENTS` and return the JSON object on the last line that it prints.

    Args:
        module: prints its result by `print_result`.
        arguments: of its command line.
        env: environment variables added to this process's own; None takes one away.

    Raises:
        RuntimeError: the process failed; with the end of its error output.
    """
    done = subprocess.run(  # noqa: S603  our own module
        [sys.executable, "-W", "ignore", "-m", module, *arguments],
        env={name: value for name, value in {**os.environ, **(env or {})}.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"python -m {module} {' '.join(arguments)} failed: {done.stderr.strip()[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def print_result(result: Mapping[str, Any]) -> None:
    """Print a result as `run_apart` reads it."""
    print(json.dumps(result))  # noqa: T201  the parent process reads it


def peak_rss_mb() -> float:
    """Return the most memory that this process has held, MiB.

    `getrusage` would include the memory of its parent at the time of the fork.
    """
    status = Path("/proc/self/status")
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 1024
    kilobyte = 1024 if sys.platform == "darwin" else 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / kilobyte / 1024


def machine(*libraries: str) -> dict[str, Any]:
    """Describe the processor, its cores, the load of the last minute, Python and the libraries' versions."""
    return {
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        **{library: version(library) for library in libraries},
    }
