"""Real replicas: `recsys serve --from`, in processes of their own, over a real S3 server."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from recsys_assets.benchmarks.scale_servers import ObjectServer
from recsys_assets.release.current import RecordedMove
from recsys_assets.release.current_object import CurrentObject
from recsys_assets.storage.object_store import ObjectStore
from recsys_assets_tests.api.servers import free_port
from recsys_assets_tests.release.stored_releases import put_release


class Replica:
    """One `recsys serve --from`."""

    def __init__(
        self,
        server: ObjectServer,
        url: str,
        cache: Path,
        *options: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = cache.with_name(f"{cache.name}.log")
        command = [sys.executable, "-m", "recsys_assets", "serve", "--from", url, "--cache", str(cache)]
        self._command = [*command, "--port", str(self.port), *options]
        self._environment = {**os.environ, **server.environ, **(environment or {})}
        self.start()

    def start(self) -> None:
        """Start it, again after a kill: on the same port and cache."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)

    def health(self) -> dict[str, Any]:
        return httpx.get(f"{self.url}/health/ready", timeout=10).json()

    def serves(self, release_id: str) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.health().get("release") == release_id
        return False

    def says(self, words: str) -> bool:
        return words in self.log.read_text()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(60)


@contextmanager
def replica(
    server: ObjectServer,
    url: str,
    cache: Path,
    *options: str,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Replica]:
    started = Replica(server, url, cache, *options, environment=environment)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.end()


def promote(store: ObjectStore, folder: Path) -> None:
    """Publish a release in a store, and make it current there."""
    put_release(store, folder)
    current = CurrentObject(store)
    seen = current.read()
    before = None if seen is None else seen.record.release
    now = datetime.now(UTC)
    current.swap(RecordedMove(at=now, move="promote", before=before, after=folder.name), seen=seen)


def until(happened: Callable[[], object], *, seconds: float = 60) -> float:
    """Wait until something happened, and return the time that it took."""
    begun = time.monotonic()
    while not happened():
        assert time.monotonic() - begun < seconds
        time.sleep(0.02)
    return time.monotonic() - begun
