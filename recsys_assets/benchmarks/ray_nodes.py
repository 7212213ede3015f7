"""A real Ray cluster of benchmarks and tests: a head and nodes in a network namespace that has only loopback.

Ray turns 127.0.0.1 into the machine's address unless there is no other, and its worker ports are fixed: in a namespace
nothing outside can reach it, and two clusters do not meet. Commands run inside by `Cluster.run` and `Cluster.start`.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from recsys_assets.errors import RecsysError

ADDRESS: Final = "http://127.0.0.1:8265"
"""The dashboard, inside."""
_BIN: Final = Path(sys.executable).parent
_ROOT: Final = Path(__file__).parents[2]
_MEMORY: Final = 2_000_000_000
_OBJECTS: Final = 300_000_000
_GCS_PORT: Final = 6379
_WORKER_PORTS: Final = 200
_STARTED: Final = 120.0
_TRIES: Final = 3
_ENDED: Final = 10.0
_LOOK_SECONDS: Final = 0.5
_NAMESPACE: Final = "ip link set lo up && echo ready && exec sleep 100000"
_ALIVE: Final = (
    "import json, sys, urllib.request as u;"
    f"d = json.load(u.urlopen('{ADDRESS}/nodes?view=summary', timeout=3))['data']['summary'];"
    "print(sum(n['raylet']['state'] == 'ALIVE' for n in d))"
)


def missing_ray() -> str | None:
    """Return what to do where no cluster can be started here."""
    if shutil.which("nsenter") is None or not (_BIN / "ray").exists():
        return "no Ray, or no nsenter: pip install 'recsys-assets[scale]' on Linux to run this"
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)  # noqa: S607  util-linux, wherever it is
    return "no network namespace may be made here: run as root to run this" if tried.returncode else None


@dataclass
class Cluster:
    """A head and nodes; each is a process of the caller's, whose children are Ray's."""

    keeper: int
    """Process that keeps the namespace open."""
    environment: Mapping[str, str]
    """Variables of the processes inside."""
    nodes: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    """The head, then the others."""

    def inside(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs another one inside."""
        return ["nsenter", f"--net=/proc/{self.keeper}/ns/net", "--", *command]

    def run(
        self, *arguments: str, timeout: float = 120, environment: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run Python inside, to its end.

        Args:
            arguments: of `python`.
            timeout: seconds.
            environment: variables beside the cluster's.
        """
        return subprocess.run(  # noqa: S603  our own command
            self.inside([sys.executable, *arguments]),
            env={**self.environment, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *arguments: str, log: Path) -> "subprocess.Popen[bytes]":
        """Run Python inside, and go on; what it prints is in `log`."""
        with log.open("wb") as file:
            return subprocess.Popen(  # noqa: S603  our own command
                self.inside([sys.executable, *arguments]), env=self.environment, stdout=file, stderr=file
            )

    def workers(self) -> list[psutil.Process]:
        """Return the processes that run a task now."""
        found = []
        for process in self.processes():
            try:
                if process.name().startswith("ray::"):
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
        return found

    def kill_node(self, place: int) -> None:
        """Kill a node and all of its processes, as a power cut would."""
        killed = self.nodes.pop(place)
        end_all(killed.pid, signal.SIGKILL)
        killed.wait()

    def add_node(self, *, cpus: int) -> None:
        """Start one more node, and wait until it is up."""
        _add(self, f"--address=127.0.0.1:{_GCS_PORT}", f"--num-cpus={cpus}")

    def processes(self) -> list[psutil.Process]:
        """Return all processes of the nodes that are up."""
        found: list[psutil.Process] = []
        for node in self.nodes:
            if node.poll() is None:
                found += psutil.Process(node.pid).children(recursive=True)
        return found


def end_all(root: int, number: int) -> None:
    """Send a signal to a process and its descendants, by their ids."""
    try:
        family = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=_ENDED)


@contextmanager
def ray_cluster(
    nodes: int = 2, *, cpus: int = 1, environment: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    """Run a head without CPUs for tasks, and nodes with some, while the block runs.

    Args:
        nodes: number of nodes beside the head.
        cpus: tasks that a node runs at the same time.
        environment: variables of the nodes and of what runs inside, beside this process's own.

    Raises:
        RecsysError: the cluster does not answer.
    """
    with (
        loopback_namespace() as keeper,
        tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder,
    ):
        cluster = Cluster(keeper, {**_variables(), **(environment or {})})
        try:
            head = ("--head", f"--port={_GCS_PORT}", f"--temp-dir={folder}", "--dashboard-port=8265")
            _add(cluster, *head, "--num-cpus=0")
            for _ in range(nodes):
                cluster.add_node(cpus=cpus)
            yield cluster
        finally:
            for node in reversed(cluster.nodes):
                end_all(node.pid, signal.SIGKILL)
                node.wait()


@contextmanager
def loopback_namespace() -> Iterator[int]:
    """Keep a network namespace open while the block runs; yield the process that does.

    Raises:
        RecsysError: none can be made here.
    """
    keeper = subprocess.Popen(  # noqa: S603  a fixed command
        ["unshare", "--net", "sh", "-c", _NAMESPACE],  # noqa: S607  util-linux, wherever it is
        stdout=subprocess.PIPE,
    )
    try:
        if keeper.stdout is None or keeper.stdout.readline() != b"ready\n":
            raise RecsysError("no network namespace can be made here; run as root")
        yield keeper.pid
    finally:
        keeper.kill()
        keeper.wait()


def _variables() -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{_BIN}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(_ROOT),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DISABLE_IMPORT_WARNING": "1",
        "RAY_memory_monitor_refresh_ms": "0",
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_failure_threshold": "3",
    }


def _add(cluster: Cluster, *options: str) -> None:
    """Start a node, and wait until the dashboard counts it: one that joins at the same time would time out."""
    first = 10_002 + len(cluster.nodes) * _WORKER_PORTS
    command = [
        *(str(_BIN / "ray"), "start", "--block", "--node-ip-address=127.0.0.1", "--disable-usage-stats"),
        *(f"--memory={_MEMORY}", f"--object-store-memory={_OBJECTS}"),
        *(f"--min-worker-port={first}", f"--max-worker-port={first + _WORKER_PORTS - 1}", *options),
    ]
    for _ in range(_TRIES):
        cluster.nodes.append(
            subprocess.Popen(  # noqa: S603  our own command
                cluster.inside(command),
                env=cluster.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        )
        if _is_up(cluster):
            return
        cluster.kill_node(-1)
    raise RecsysError(f"Ray has not {len(cluster.nodes) + 1} nodes after {_TRIES} × {_STARTED:.0f} s")


def _is_up(cluster: Cluster) -> bool:
    """Wait for the last node; False where it has ended, or its dashboard was too slow: Ray gives it 30 s."""
    end = time.monotonic() + _STARTED
    while time.monotonic() < end and cluster.nodes[-1].poll() is None:
        found = cluster.run("-S", "-c", _ALIVE)
        if found.returncode == 0 and int(found.stdout) >= len(cluster.nodes):
            return True
        time.sleep(_LOOK_SECONDS)
    return False
