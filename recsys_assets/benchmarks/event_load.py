"""Events sent to a real server: batches whose rows can be recognised, clients that send them, and SIGKILLs."""

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from recsys_assets.benchmarks.serving_load import free_port, get_body, running, wait_until_answered
from recsys_assets.errors import RecsysError
from recsys_assets.storage.home import Home

BATCH: Final = 100
"""Events of a request."""
_SERVE: Final = """
import pathlib, sys
from recsys_assets.api.serving.server import serve
from recsys_assets.api_settings import ApiSettings
from recsys_assets.storage.home import Home
settings = ApiSettings(requests_per_second=0, anonymous_requests_per_second=0)
serve(Home(pathlib.Path(sys.argv[1])), port=int(sys.argv[2]), workers=int(sys.argv[3]), settings=settings)
"""
_PATIENCE_SECONDS: Final = 60.0
_SETTLED_SECONDS: Final = 7.0
"""Age of a worker that may be killed: granian ends the server for one that ends within 5.5 s of its start."""
_READY_SECONDS: Final = 2.0
"""Age of a worker that answers, mostly."""


@dataclass(frozen=True, kw_only=True)
class EventServer:
    """A server under test."""

    home: Home
    port: int
    process: "subprocess.Popen[bytes]"
    key: str
    """An API key with the scope `write`."""

    def commits(self) -> float:
        """Return the commits of events since its start, of the one worker that it has."""
        for line in get_body(self.port, "/metrics").decode().splitlines():
            if line.startswith("recsys_event_commits_total "):
                return float(line.split()[1])
        return 0.0

    def workers(self) -> list[psutil.Process]:
        """Return its processes that answer requests."""
        found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return found


@contextmanager
def event_server(home: Home, key: str, *, workers: int = 1) -> Iterator[EventServer]:
    """Serve a home as `recsys serve` does, without limits on callers."""
    port = free_port()
    command = [sys.executable, "-c", _SERVE, str(home.root), str(port), str(workers)]
    with running(command, os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until_answered(port, "/health/ready", process)
        yield EventServer(home=home, port=port, process=process, key=key)


@dataclass(frozen=True, kw_only=True)
class EventBatch:
    """One request's events."""

    ids: Sequence[str]
    body: bytes


def batches(*, users: int, items: int, seed: int) -> Iterator[EventBatch]:
    """Yield batches of events of drawn users and items without end; the `value` of each event is its own."""
    rng, number = random.Random(seed), 0  # noqa: S311  no secret
    while True:
        events: list[dict[str, Any]] = []
        for _ in range(BATCH):
            number += 1
            event = {
                "event_id": f"{seed}-{number}",
                "user_id": f"u{rng.randrange(users):07d}",
                "item_id": f"i{rng.randrange(items):07d}",
                "kind": "view",
                "value": float(seed * 10_000_000 + number),
            }
            events.append(event)
        body = json.dumps({"events": events}).encode()
        yield EventBatch(ids=[event["event_id"] for event in events], body=body)


class EventClient:
    """One connection that sends batches; it connects again after an error."""

    def __init__(self, server: EventServer) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        self._headers = {"X-API-Key": server.key, "Content-Type": "application/json"}

    def send(self, body: bytes) -> int:
        """Send a body; return the status, 0 where there was no answer."""
        try:
            self._connection.request("POST", "/v1/events", body, self._headers)
            response = self._connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return 0
        return response.status

    def items_of(self, user_id: str) -> list[str]:
        """Return the ids of the items that the server recommends to a user."""
        self._connection.request("GET", f"/v1/users/{user_id}/recommendations")
        answer = json.loads(self._connection.getresponse().read())
        return [item["item_id"] for item in answer["items"]]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@dataclass
class Sender:
    """Sends batches while the block runs, each again until it is accepted, from a thread of its own."""

    server: EventServer
    source: Iterator[EventBatch]
    pause: float = 0.0
    """Seconds from the start of a batch to that of the next one, at least."""
    accepted: set[str] = field(default_factory=set)
    """Ids of events that got a 202."""
    milliseconds: list[float] = field(default_factory=list)
    """Time of each request that got a 202."""
    again: int = 0
    """Requests that got none, and were sent again."""
    failed: bool = False
    """A batch was not accepted in a minute."""

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send while the block runs."""
        stopped = threading.Event()
        thread = threading.Thread(target=self._send, args=(stopped,))
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()
        if self.failed:
            raise RecsysError(f"no batch was accepted within {_PATIENCE_SECONDS:.0f} s")

    def _send(self, stopped: threading.Event) -> None:
        client = EventClient(self.server)
        while not stopped.is_set() and not self.failed:
            batch, due = next(self.source), time.monotonic() + self.pause
            self._send_until_accepted(client, batch)
            stopped.wait(max(0.0, due - time.monotonic()))
        client.close()

    def _send_until_accepted(self, client: EventClient, batch: EventBatch) -> None:
        end = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < end:
            started = time.perf_counter()
            if client.send(batch.body) == http.client.ACCEPTED:
                self.milliseconds.append((time.perf_counter() - started) * 1000)
                self.accepted.update(batch.ids)
                return
            self.again += 1
            time.sleep(0.01)
        self.failed = True


Kill = Callable[[EventServer, random.Random], None]
"""Kills one process of the product by SIGKILL, once that is possible, and returns at once."""


def kill_worker(server: EventServer, rng: random.Random) -> None:
    """Kill a worker that has run for some seconds, while another one answers."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        ages = {one.pid: time.time() - one.create_time() for one in server.workers()}
        settled = [pid for pid, age in ages.items() if age > _SETTLED_SECONDS]
        if len(ages) > 1 and settled and min(ages.values()) > _READY_SECONDS:
            os.kill(rng.choice(settled), signal.SIGKILL)
            return
        if time.monotonic() > end:
            raise RecsysError(f"no worker was started again within {_PATIENCE_SECONDS:.0f} s")
        time.sleep(0.02)


def sync_rate(folder: Path, *, seconds: float = 1.0) -> float:
    """Return the number of syncs a second of 4 KB that were appended to a file."""
    page, count = os.urandom(4096), 0
    file = folder / "sync.probe"
    with file.open("wb", buffering=0) as out:
        started = time.perf_counter()
        while (spent := time.perf_counter() - started) < seconds:
            out.write(page)
            os.fdatasync(out.fileno())
            count += 1
    file.unlink()
    return count / spent
