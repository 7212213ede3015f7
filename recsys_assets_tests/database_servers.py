"""Real Postgres and Redis servers of a test's own, on loopback ports, ended by their process ids."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

POSTGRES_BIN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """A server in an empty folder under pytest's; its URL. Skips where no Postgres is installed."""
    if not POSTGRES_BIN:
        pytest.skip("no Postgres server: install Debian's postgresql to run this")
    user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    if user:
        shutil.chown(folder, "postgres")
        for parent in folder.parents[:3]:
            if parent != Path("/tmp"):
                parent.chmod(parent.stat().st_mode | 0o011)
    data, port = folder / "data", free_port()
    subprocess.run(
        [*user, POSTGRES_BIN[0] / "initdb", "-D", data, "-A", "trust", "-U", "recsys"],
        check=True,
        capture_output=True,
    )
    command = [POSTGRES_BIN[0] / "postgres", "-D", data, "-p", str(port), "-k", folder, "-h", "127.0.0.1"]
    ready = [POSTGRES_BIN[0] / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-q"]
    with _running([*user, *command], ready):
        yield f"postgresql://recsys@127.0.0.1:{port}/postgres"


@contextmanager
def running_redis(folder: Path) -> Iterator[str]:
    """A server that keeps nothing on the disk; its URL. Skips where no Redis is installed."""
    if shutil.which("redis-server") is None:
        pytest.skip("no Redis server: install Debian's redis-server to run this")
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
    with _running(command, ["redis-cli", "-p", str(port), "ping"]):
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def _running(command: list[str | Path], ready: list[str | Path]) -> Iterator[None]:
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            if subprocess.run(ready, check=False, capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        yield
    finally:
        server.terminate()
        server.wait(timeout=30)
