"""Parts of `recsys bench scale_out` on a Ray cluster: landing days, a killed worker, and training over nodes.

Both nodes are on this machine and share its cores, so the days a second show what a cluster costs, not what it gains.
"""

import json
import os
import signal
import time
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING, Any, Final

import psutil

from recsys_assets.benchmarks.harness import print_result
from recsys_assets.benchmarks.ray_nodes import ADDRESS, Cluster, ray_cluster
from recsys_assets.benchmarks.shard_measures import LARGE, Sizes, memory_by_shards, train_equal
from recsys_assets.benchmarks.store_timings import command
from recsys_assets.launching.ray_jobs import RayJobs
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home

if TYPE_CHECKING:
    import subprocess

LANDED_DAYS: Final = 180
_FIRST: Final = date(2017, 1, 1)
"""The default's first day."""
_NO_REPORTS: Final = {"RECSYS_REPORT__DAYS": "0"}
_ON_RAY: Final = {**_NO_REPORTS, "RECSYS_LAUNCHER__KIND": "ray", "RECSYS_LAUNCHER__ADDRESS": ADDRESS}
_WORKER: Final = "ray::land_stret"
"""Name of a process that lands a stretch of days, as far as the kernel keeps it."""
_NODES: Final = 2
_LONGEST: Final = 1_800.0
_LOOK_SECONDS: Final = 0.02


def cluster_days(folder: Path, *, days: int = LANDED_DAYS) -> dict[str, Any]:
    """Land the default's first days in one process, on one node of Ray and on two, each from a home of its own.

    Args:
        folder: for the homes.
        days: number of days; the process's start and its imports are included.

    Returns:
        `days_per_second`: `in_process`, `one_node`, `two_nodes` and `cores`; `seconds` of each.
    """
    _initialised(folder / "new", days)
    seconds = {"in_process": command(*_land(days), home=_copy(folder, "in_process"), variables=_NO_REPORTS)}
    for name, nodes in (("one_node", 1), ("two_nodes", 2)):
        with ray_cluster(nodes) as cluster:
            home = _copy(folder, name)
            started = time.monotonic()
            _inside(cluster, "recsys_assets", *_land(days), "--home", str(home), variables=_ON_RAY)
            seconds[name] = time.monotonic() - started
    rates = {name: days / taken for name, taken in seconds.items()}
    return {"days_per_second": {**rates, "cores": os.cpu_count()}, "seconds": seconds, "days": days}


def killed_worker(folder: Path, *, days: int = LANDED_DAYS) -> dict[str, Any]:
    """Land days on two nodes, and kill a process that lands a stretch when both nodes work.

    Args:
        folder: for the home.
        days: number of days.

    Returns:
        `recovered_seconds`, from the kill until a new process lands a stretch in its place; `lost_days`, those that are
        missing in the raw table or in the clean one at the end; `seconds` of the whole landing.

    Raises:
        RuntimeError: the landing failed; with the end of its log.
    """
    home = Home(folder / "home")
    _initialised(home.root, days)
    with ray_cluster(_NODES) as cluster:
        started = time.monotonic()
        log = folder / "log"
        cluster.environment = {**cluster.environment, **_ON_RAY}
        landing = cluster.start("-m", "recsys_assets", *_land(days), "--home", str(home.root), log=log)
        seen: set[int] = set()
        for _ in range(_NODES):
            victim = _new_worker(cluster, seen, landing)
        victim.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        _new_worker(cluster, seen, landing)
        recovered = time.monotonic() - killed
        status = landing.wait(_LONGEST)
        seconds = time.monotonic() - started
    if status:
        raise RuntimeError(f"landing with a killed worker: {log.read_text(errors='replace')[-2000:]}")
    inputs, wanted = Inputs(home, load_settings(home)), {_FIRST + timedelta(days=one) for one in range(days)}
    lost = {*(wanted - {*inputs.raw_store.days()}), *(wanted - {*inputs.interaction_store.days()})}
    return {"recovered_seconds": recovered, "lost_days": len(lost), "seconds": seconds, "days": days}


def cluster_training(_: Path) -> dict[str, Any]:
    """Train on two nodes and in one process; return the largest difference and the share of memory, with details."""
    with ray_cluster(_NODES) as cluster:
        printed = _inside(cluster, "recsys_assets.benchmarks.ray_timings")
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


def training_inside(*, pairs: int = 300_000, sizes: Sizes = LARGE) -> dict[str, Any]:
    """Measure training from inside of the cluster.

    Args:
        pairs: of the set on which embeddings are compared.
        sizes: of the set on which memory is.
    """
    jobs = RayJobs(ADDRESS)
    equal, memory = train_equal(jobs, pairs=pairs), memory_by_shards(jobs, sizes=sizes)
    differences = (equal["max_difference_users"], equal["max_difference_items"])
    return {
        "max_difference": max(differences),
        "memory_per_node_share": memory["memory_per_node_share"],
        "equal": equal,
        "memory": memory,
    }


def _initialised(home: Path, days: int) -> None:
    command("init", "--days", str(days), home=home)


def _copy(folder: Path, name: str) -> Path:
    copytree(folder / "new", folder / name)
    return folder / name


def _land(days: int) -> tuple[str, ...]:
    return ("land", "--from", f"{_FIRST}", "--to", f"{_FIRST + timedelta(days=days - 1)}")


def _inside(
    cluster: Cluster, module: str, *arguments: str, variables: Mapping[str, str] | None = None
) -> str:
    """Run a module inside the cluster, and return what it printed."""
    done = cluster.run("-m", module, *arguments, timeout=_LONGEST, environment=variables)
    if done.returncode:
        raise RuntimeError(f"{module} {' '.join(arguments)}: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def _new_worker(cluster: Cluster, seen: set[int], landing: "subprocess.Popen[bytes]") -> psutil.Process:
    """Return a process that lands a stretch and was not seen before."""
    deadline = time.monotonic() + _LONGEST
    while landing.poll() is None and time.monotonic() < deadline:
        found = [one for one in cluster.workers() if _is_landing(one) and one.pid not in seen]
        if found:
            seen.add(found[0].pid)
            return found[0]
        time.sleep(_LOOK_SECONDS)
    raise RuntimeError("no process of the cluster landed a stretch; give more days")


def _is_landing(process: psutil.Process) -> bool:
    try:
        return str(process.name()).startswith(_WORKER)
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    print_result(training_inside())
