"""Real Postgres and Redis servers of a test's own, on loopback ports, ended by their process ids."""

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from recsys_assets.benchmarks.scale_servers import PostgresServer, missing_postgres, postgres
from recsys_assets.launching.launcher import free_port


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A server that runs. Skips where no Postgres is installed.

    The folder is not pytest's, whose parent another session of the same user closes to the server's user.
    """
    if (missing := missing_postgres()) is not None:
        pytest.skip(missing)
    with postgres() as server:
        yield server


@contextmanager
def running_postgres() -> Iterator[str]:
    """The URL of a server. Skips where no Postgres is installed."""
    with postgres_server() as server:
        yield server.url


@contextmanager
def running_redis(folder: Path) -> Iterator[str]:
    """A server that keeps nothing on the disk; its URL. Skips where no Redis is installed."""
    if shutil.which("redis-server") is None:
        pytest.skip("no Redis server: install Debian's redis-server to run this")
    command = ["redis-server", "--bind", "127.0.0.1", "--save", "", "--dir", folder, "--port"]
    with _running(command, ["redis-cli", "-n", "0", "-p"], ping=["ping"]) as port:
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def _running(
    command: list[str | Path], ready: list[str | Path], *, ping: Sequence[str] = ()
) -> Iterator[int]:
    """Run a server on a free port, which ends its command; `ready`, the port and `ping` ask whether it answers.

    Where another process takes the port first, it runs on the next one.
    """
    for _ in range(5):
        port = str(free_port())
        server = subprocess.Popen([*command, port], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(300):
            if (
                server.poll() is not None
                or not subprocess.run([*ready, port, *ping], check=False, capture_output=True).returncode
            ):
                break
            time.sleep(0.1)
        if server.poll() is None:
            break
    try:
        yield int(port)
    finally:
        server.terminate()
        server.wait(timeout=30)
