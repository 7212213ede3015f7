"""Real Postgres and Redis servers of a test's own, on loopback ports, ended by their process ids."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

POSTGRES_BIN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class PostgresServer:
    """A server in a folder of its own, which a test may kill and start again on the same port."""

    def __init__(self, folder: Path) -> None:
        self._user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if self._user:
            shutil.chown(folder, "postgres")
        self._folder, self.port = folder, free_port()
        self._server: subprocess.Popen[bytes] | None = None
        subprocess.run(
            [
                *self._user,
                POSTGRES_BIN[0] / "initdb",
                "-D",
                folder / "data",
                "-A",
                "trust",
                "-U",
                "recsys",
                "-N",
            ],
            check=True,
            capture_output=True,
            cwd="/",
        )

    @property
    def url(self) -> str:
        return f"postgresql://recsys@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers; on another port where another process took this one."""
        for _ in range(5):
            command = [POSTGRES_BIN[0] / "postgres", "-D", self._folder / "data", "-k", self._folder]
            self._server = subprocess.Popen(
                [*self._user, *command, "-h", "127.0.0.1", "-p", str(self.port)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(300):
                if self._server.poll() is not None or self._answers():
                    break
                time.sleep(0.1)
            if self._server.poll() is None:
                return
            self.port = free_port()

    def _answers(self) -> bool:
        ready = [
            POSTGRES_BIN[0] / "pg_isready",
            "-q",
            "-U",
            "recsys",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
        ]
        return not subprocess.run(ready, check=False, capture_output=True).returncode

    def kill(self) -> None:
        """End every process of it by SIGKILL, as a power cut would."""
        assert self._server is not None
        main = self._main()
        for process in (main, *main.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._server.wait(timeout=30)
        self._server = None

    def end(self) -> None:
        """End it at once, where it runs; its folder is not used again."""
        if self._server is not None:
            self._main().send_signal(signal.SIGQUIT)
            self._server.wait(timeout=30)
            self._server = None

    def _main(self) -> psutil.Process:
        return psutil.Process(int((self._folder / "data" / "postmaster.pid").read_text().split()[0]))


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A server that runs. Skips where no Postgres is installed.

    The folder is not pytest's, whose parent another session of the same user closes to the server's user.
    """
    if not POSTGRES_BIN:
        pytest.skip("no Postgres server: install Debian's postgresql to run this")
    with tempfile.TemporaryDirectory(prefix="recsys-postgres-", ignore_cleanup_errors=True) as name:
        server = PostgresServer(Path(name))
        server.start()
        try:
            yield server
        finally:
            server.end()


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
