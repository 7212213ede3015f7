"""Tools that the benchmarks share: a part in a process of its own, its peak memory, the machine's description."""

import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any


def run_apart(module: str, *arguments: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run `python -m MODULE ARGUMENTS` and return the JSON object on the last line that it prints.

    Args:
        module: prints its result by `print_result`.
        arguments: of its command line.
        env: environment variables added to this process's own.

    Raises:
        RuntimeError: the process failed; with the end of its error output.
    """
    done = subprocess.run(  # noqa: S603  our own module
        [sys.executable, "-W", "ignore", "-m", module, *arguments],
        env={**os.environ, **(env or {})},
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
