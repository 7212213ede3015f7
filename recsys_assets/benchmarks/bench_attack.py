"""`recsys bench attack`: a real server under attacks that stay on this machine, and files that fail under commands.

New clients while others hold all connections, requests while others search, keys while files are damaged.
"""

import http.client
import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from shutil import copyfile, copytree
from statistics import median
from typing import Any, Final

import numpy as np

from recsys_assets.api.http.auth import add_key, revoke_key
from recsys_assets.benchmarks.attack_requests import AttackRequests, send
from recsys_assets.benchmarks.file_faults import inject_all
from recsys_assets.benchmarks.harness import machine
from recsys_assets.benchmarks.serving_load import (
    LoadRequest,
    drive,
    free_port,
    get_body,
    running,
    wait_until_answered,
)
from recsys_assets.benchmarks.serving_worlds import publish_default
from recsys_assets.release.current import CURRENT_FILE, require_current
from recsys_assets.storage.home import Home
from recsys_assets.storage.string_table import Vocabulary

_HELD: Final = 560
"""Connections that the attacker holds, more than a server serves at a time by default."""
_PIPELINED: Final = 120
"""Requests that a client which never reads sends at once."""
_SEARCHERS: Final = (2, 16)
_REVOKE_SECONDS: Final = 10.0
"""Longest wait for a revoked key to be rejected."""
_EARLIER_IDS: Final = 200


def run(
    *, seconds: float = 8.0, fuzz_cases: int = 4_000, faults: bool = True, home: Home | None = None
) -> dict[str, Any]:
    """Attack a server on this machine, and report what other clients see meanwhile.

    Args:
        seconds: duration of each attack.
        fuzz_cases: malformed or odd requests, each on a connection of its own.
        faults: fail file-system calls under the commands that write, too.
        home: an installation, a copy of which is served; None publishes the embedded default in a temporary folder.

    Returns:
        `new_client_ms_held`: the longest time of a new client's `/health/ready` while 560 connections are held, and
        `new_client_recommend_ms_held` of recommendations; `live_p99_ms_searching` (the worst of 2 and 16 searchers)
        and `live_p99_ms_quiet`; `recommend_ratio_searching`: recommendations a second beside 16 searchers, to those
        without; `revoke_seconds` with and without a damaged `current` beside; `fuzz_cases`, `errors_5xx` and what
        was sent for the first of them; `injected_faults` and the number of them that `lost` something; and the machine.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recsys-bench-attack-")))
        attacked = Home(folder / "attacked")
        if home is None:
            publish_default(attacked)
        else:
            _copy_served(home, attacked)
        home = attacked
        found = {
            **_hold(home, seconds=seconds),
            **_search(home, seconds=seconds),
            "revoke_seconds": _revoke(home),
            **_fuzz(home, cases=fuzz_cases),
            **(inject_all() if faults else {}),
        }
    return {**found, "machine": machine("litestar", "granian")}


def _copy_served(home: Home, target: Home) -> None:
    """Copy the current release, which is all that a server needs."""
    current = require_current(home.releases)
    copytree(home.releases / current, target.releases / current)
    copyfile(home.releases / CURRENT_FILE, target.releases / CURRENT_FILE)


@contextmanager
def _server(home: Home, *, limited: bool = True) -> Iterator[int]:
    """Serve a home with its defaults as `recsys serve` does, or without the rate limit."""
    port = free_port()
    command = [sys.executable, "-m", "recsys_assets", "serve", "--home", str(home.root), "--port", str(port)]
    limit = {} if limited else {"RECSYS_API__ANONYMOUS_REQUESTS_PER_SECOND": "0"}
    with running(command, {**os.environ, **limit}, stderr=subprocess.DEVNULL) as process:
        wait_until_answered(port, "/health/ready", process)
        yield port


def _hold(home: Home, *, seconds: float) -> dict[str, float]:
    """Measure new clients while connections are held by clients that send now and then, and that never read."""
    popular = b"GET /v1/popular?k=500 HTTP/1.1\r\nHost: x\r\n\r\n"
    attacks: dict[str, tuple[bytes, bool]] = {
        "sending": (b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n", True),
        "not_reading": (popular * _PIPELINED, False),
    }
    health, recommend = [], []
    for first, sends_again in attacks.values():
        with _server(home) as port, _held(port, first, again=first if sends_again else b""):
            ends = time.perf_counter() + seconds
            while time.perf_counter() < ends:
                health.append(_new_client_ms(port, "/health/ready"))
                recommend.append(_new_client_ms(port, "/v1/popular?k=10"))
                time.sleep(0.05)
    return {"new_client_ms_held": max(health), "new_client_recommend_ms_held": max(recommend)}


@contextmanager
def _held(port: int, first: bytes, *, again: bytes) -> Iterator[None]:
    """Hold connections that send `first`, and `again` every second, as far as the server lets them."""
    held: list[socket.socket] = []
    stop = threading.Event()

    def keep() -> None:
        while not stop.wait(1.0):
            for connection in held:
                _quietly(lambda one=connection: one.recv(1 << 16))  # type: ignore[misc]
                _quietly(lambda one=connection: one.send(again))  # type: ignore[misc]

    for _ in range(_HELD):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(5)
        connection.connect(("127.0.0.1", port))
        connection.settimeout(0)
        held.append(connection)
        _quietly(lambda one=connection: one.send(first))  # type: ignore[misc]
    keeper = threading.Thread(target=keep if again else stop.wait)
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        keeper.join()
        for connection in held:
            connection.close()


def _quietly(act: Callable[[], object]) -> None:
    try:
        act()
    except OSError:
        return  # the server closed it, or its buffers are full


def _new_client_ms(port: int, path: str) -> float:
    """Return the time of a request of status 200 on a connection of its own, ms; infinity where there is none."""
    started = time.perf_counter()
    try:
        get_body(port, path)
    except OSError:
        return math.inf
    return (time.perf_counter() - started) * 1000


def _search(home: Home, *, seconds: float) -> dict[str, Any]:
    users = Vocabulary.load(home.releases / require_current(home.releases), "users")
    recommend = [
        LoadRequest(path=f"/v1/users/{user}/recommendations?k=10") for user in list(users)[:_EARLIER_IDS]
    ]
    found: dict[str, Any] = {}
    with _server(home, limited=False) as port:
        found["live_p99_ms_quiet"] = _live_p99_ms(port, seconds=seconds)
        for count in _SEARCHERS:
            with _searching(port, count):
                found[f"live_p99_ms_{count}_searchers"] = _live_p99_ms(port, seconds=seconds)
        alone, beside = [], []
        for _ in range(3):
            alone.append(drive(port, recommend, seconds=seconds / 3).rps)
            with _searching(port, _SEARCHERS[-1]):
                beside.append(drive(port, recommend, seconds=seconds / 3).rps)
    found["live_p99_ms_searching"] = max(found[f"live_p99_ms_{count}_searchers"] for count in _SEARCHERS)
    found["recommend_ratio_searching"] = median(beside) / median(alone)
    return found


@contextmanager
def _searching(port: int, count: int) -> Iterator[None]:
    """Search for the beginning of most words, one search after another on each of `count` connections."""
    module = "recsys_assets.benchmarks.bench_attack"
    command = [sys.executable, "-m", module, str(port), str(count)]
    with running(command, os.environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None  # noqa: S101  it is a pipe
        process.stdout.readline()
        yield


def search_for_ever(port: int, count: int) -> None:
    """Search over `count` connections until the process is ended."""

    def search() -> None:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while True:
            try:
                client.request("GET", "/v1/items?q=s&limit=1")
                client.getresponse().read()
            except (OSError, http.client.HTTPException):
                client.close()  # cut off; a searcher comes back

    for _ in range(count):
        threading.Thread(target=search, daemon=True).start()
    print("searching", flush=True)  # noqa: T201  the parent waits for it
    threading.Event().wait()


def _live_p99_ms(port: int, *, seconds: float) -> float:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    times, ends = list[float](), time.perf_counter() + seconds
    while (started := time.perf_counter()) < ends:
        client.request("GET", "/health/live")
        client.getresponse().read()
        times.append(time.perf_counter() - started)
        time.sleep(0.01)
    client.close()
    return float(np.percentile(times, 99)) * 1000


def _revoke(home: Home) -> float:
    """Return the longest time until a revoked key is rejected: in a whole home, and where `current` is damaged."""
    current = home.releases / CURRENT_FILE
    whole, waits = current.read_bytes(), []
    with _server(home) as port:
        try:
            for content in (whole, b"not-a-release\n"):
                key, secret = add_key(home, name="bench", scopes=["read"], now=datetime.now(UTC))
                _wait_for(lambda one=secret: _status(port, one) == http.HTTPStatus.OK)  # type: ignore[misc]
                current.write_bytes(content)
                started = time.perf_counter()
                revoke_key(home, key.id)
                _wait_for(lambda one=secret: _status(port, one) == http.HTTPStatus.UNAUTHORIZED)  # type: ignore[misc]
                waits.append(time.perf_counter() - started)
        finally:
            current.write_bytes(whole)
    return max(waits)


def _status(port: int, key: str) -> int:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    client.request("GET", "/v1/popular?k=1", headers={"X-API-Key": key})
    status = client.getresponse().status
    client.close()
    return status


def _wait_for(holds: Callable[[], bool]) -> None:
    ends = time.perf_counter() + _REVOKE_SECONDS
    while not holds() and time.perf_counter() < ends:
        time.sleep(0.01)


def _fuzz(home: Home, *, cases: int) -> dict[str, Any]:
    """Send odd and malformed requests over four connections at a time; the limits of a caller are off."""
    release = home.releases / require_current(home.releases)
    ids = [*list(Vocabulary.load(release, "users"))[:5], *list(Vocabulary.load(release, "items"))[:5]]
    key, secret = add_key(home, name="bench", scopes=["admin"], now=datetime.now(UTC))
    try:
        with _server(home, limited=False) as port, ThreadPoolExecutor(4) as pool:
            openapi = json.loads(get_body(port, "/schema/openapi.json"))
            odd = AttackRequests(openapi, ids=ids, key=secret, seed=0)
            outcomes = list(pool.map(lambda request: send(port, request), islice(odd, cases)))
            counted = get_body(port, "/metrics").decode()
    finally:
        revoke_key(home, key.id)
    failed = [one for one in outcomes if one.status is not None and one.status >= 500]  # noqa: PLR2004
    in_metrics = {
        line: float(line.split()[-1])
        for line in counted.splitlines()
        if "_count{" in line and 'status="5' in line
    }
    return {
        "fuzz_cases": len(outcomes),
        "fuzz_answered": sum(one.status is not None for one in outcomes),
        "errors_5xx": max(len(failed), round(sum(in_metrics.values()))),
        "first_5xx": [*(repr(one.sent) for one in failed[:3]), *in_metrics],
    }


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a parent may ignore it, and its children do then
    search_for_ever(int(sys.argv[1]), int(sys.argv[2]))
