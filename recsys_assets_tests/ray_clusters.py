"""A real Ray cluster of a test's own, a head and nodes, in a network namespace that has only loopback.

Ray turns 127.0.0.1 into the machine's address unless there is no other, and its worker ports are fixed: in a namespace
nothing outside can reach it, and two tests do not meet. Code under test runs inside, by `Cluster.run`.
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

import psutil
import pytest

ADDRESS = "http://127.0.0.1:8265"
BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[1]
MEMORY = 2_000_000_000
OBJECTS = 300_000_000
GCS_PORT = 6379
WORKER_PORTS = 200
STARTED = 90.0


@dataclass
class Cluster:
    """A head and nodes; each is a process of the test's, whose children are Ray's."""

    keeper: int
    """Process that keeps the namespace open."""
    environment: Mapping[str, str]
    """Variables of the processes inside."""
    nodes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    """The head, then the others."""

    def inside(self, command: Sequence[str]) -> list[str]:
        return ["nsenter", f"--net=/proc/{self.keeper}/ns/net", "--", *command]

    def run(
        self, *arguments: str, timeout: float = 120, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run Python inside, to its end."""
        return subprocess.run(
            self.inside([sys.executable, *arguments]),
            env={**self.environment, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
        """Run Python inside, and go on."""
        with log.open("wb") as file:
            return subprocess.Popen(
                self.inside([sys.executable, *arguments]), env=self.environment, stdout=file, stderr=file
            )

    def workers(self) -> list[psutil.Process]:
        """The processes that run a task now."""
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
        end_all(self.nodes[place].pid, signal.SIGKILL)
        self.nodes[place].wait()

    def processes(self) -> list[psutil.Process]:
        """All processes of the nodes that are up."""
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
    psutil.wait_procs(family, timeout=10)


@contextmanager
def running_ray(nodes: int = 2, *, cpus: int = 1) -> Iterator[Cluster]:
    """A head without CPUs for tasks, and nodes with some; skips where the machine permits none."""
    if shutil.which("nsenter") is None or not (BIN / "ray").exists():
        pytest.skip("no Ray, or no nsenter: pip install 'recsys-assets[scale]' on Linux to run this")
    keeper = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "ip link set lo up && echo ready && exec sleep 100000"],
        stdout=subprocess.PIPE,
    )
    assert keeper.stdout is not None
    if keeper.stdout.readline() != b"ready\n":
        keeper.wait()
        pytest.skip("no network namespace may be made here: run as root to run this")
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        environment = {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_DISABLE_IMPORT_WARNING": "1",
            "RAY_memory_monitor_refresh_ms": "0",
            "RAY_health_check_period_ms": "1000",
            "RAY_health_check_failure_threshold": "3",
        }
        cluster = Cluster(keeper.pid, environment)
        try:
            head = [f"--port={GCS_PORT}", "--head", f"--temp-dir={folder}", "--dashboard-port=8265"]
            cluster.nodes.append(_node(cluster, [*head, "--num-cpus=0"], place=0))
            _ready(cluster, nodes=1)
            for place in range(1, nodes + 1):
                joins = [f"--address=127.0.0.1:{GCS_PORT}", f"--num-cpus={cpus}"]
                cluster.nodes.append(_node(cluster, joins, place=place))
                _ready(cluster, nodes=place + 1)
            yield cluster
        finally:
            for node in reversed(cluster.nodes):
                end_all(node.pid, signal.SIGKILL)
                node.wait()
            keeper.kill()
            keeper.wait()


def _node(cluster: Cluster, options: Sequence[str], *, place: int) -> subprocess.Popen[bytes]:
    first = 10_002 + place * WORKER_PORTS
    command = [
        str(BIN / "ray"),
        "start",
        "--block",
        "--node-ip-address=127.0.0.1",
        f"--memory={MEMORY}",
        f"--object-store-memory={OBJECTS}",
        f"--min-worker-port={first}",
        f"--max-worker-port={first + WORKER_PORTS - 1}",
        "--disable-usage-stats",
        *options,
    ]
    return subprocess.Popen(
        cluster.inside(command),
        env=cluster.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _ready(cluster: Cluster, *, nodes: int) -> None:
    """Wait until the dashboard answers, and counts the nodes; a node that joins at the same time would time out."""
    asked = (
        "import json, sys, urllib.request as u;"
        f"d = json.load(u.urlopen('{ADDRESS}/nodes?view=summary', timeout=3))['data']['summary'];"
        "print(sum(n['raylet']['state'] == 'ALIVE' for n in d))"
    )
    end = time.monotonic() + STARTED
    while time.monotonic() < end:
        found = cluster.run("-S", "-c", asked)
        if found.returncode == 0 and int(found.stdout) >= nodes:
            return
        time.sleep(0.2)
    raise AssertionError(f"Ray has not {nodes} nodes after {STARTED:.0f} s: {found.stderr[-500:]}")
