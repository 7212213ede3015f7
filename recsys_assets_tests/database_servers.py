"""Real Postgres and Redis servers of a test's own, on loopback ports, ended by their process ids."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

POSTGRES_BIN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running_postgres() -> Iterator[str]:
    """A server in a folder of its own; its URL. Skips where no Postgres is installed.

    The folder is not pytest's, whose parent another session of the same user closes to the server's user.
    """
    if not POSTGRES_BIN:
        pytest.skip("no Postgres server: install Debian's postgresql to run this")
    user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="recsys-postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if user:
            shutil.chown(folder, "postgres")
        data = folder / "data"
        subprocess.run(
            [*user, POSTGRES_BIN[0] / "initdb", "-D", data, "-A", "trust", "-U", "recsys"],
            check=True,
            capture_output=True,
            cwd="/",
        )
        command = [*user, POSTGRES_BIN[0] / "postgres", "-D", data, "-k", folder, "-h", "127.0.0.1", "-p"]
        ready = [POSTGRES_BIN[0] / "pg_isready", "-q", "-U", "recsys", "-h", "127.0.0.1", "-p"]
        with _running(command, ready) as port:
            yield f"postgresql://recsys@127.0.0.1:{port}/postgres"


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
