"""Part of `recsys bench scale_out`: two replicas follow promotions by the command, and reject a damaged release."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from recsys_assets.benchmarks.scale_servers import ObjectServer
from recsys_assets.benchmarks.serving_load import get_body, running, wait_until_answered
from recsys_assets.benchmarks.store_timings import command, store_variables
from recsys_assets.errors import RecsysError
from recsys_assets.launching.launcher import free_port
from recsys_assets.release.current import RecordedMove
from recsys_assets.release.current_object import CurrentObject
from recsys_assets.release.manifest import MANIFEST_FILE
from recsys_assets.release.release_objects import release_key
from recsys_assets.storage.object_store import ObjectStore
from recsys_assets.storage.open_objects import open_store

MOVES: Final = 10
REPLICAS: Final = 2
_DAYS: Final = "20"
_QUICK: Final = {
    "RECSYS_TRAINING__MODEL": "ials",
    "RECSYS_REPORT__DAYS": "0",
    "RECSYS_GATE__ENABLED": "false",
}
"""The builds are not measured."""
_EPOCHS: Final = ("4", "6", "8")
"""Of each release, so that they differ."""
_LOOK_SECONDS: Final = 0.01
_PATIENCE_SECONDS: Final = 60.0
_PROBLEM: Final = "object store"
"""Name of the problem in `/health/ready`."""


def follow(folder: Path, server: ObjectServer, *, moves: int = MOVES) -> dict[str, Any]:
    """Move `current` by `recsys releases` while two replicas follow it, then make a damaged release current.

    Args:
        folder: for the builder's home and the replicas' caches.
        server: the object store.
        moves: promotions and rollbacks between two releases.

    Returns:
        `follow_seconds`: from the swap of the object, as a reader of it sees it, until both replicas answer by the
        release, the longest; `follow_median_seconds`; `damaged_refused`: a release with a changed byte was rejected by
        both, which went on with the one before; `moves`.
    """
    home, variables = folder / "builder", {**store_variables(server, "home"), **_QUICK}
    store = open_store(variables["RECSYS_STORAGE__ROOT"], endpoint=server.endpoint, environ=server.environ)
    releases = _built(home, variables, CurrentObject(store))
    command("releases", "promote", releases[0], home=home, variables=variables)
    with ExitStack() as stack:
        ports = [
            stack.enter_context(_replica(server, variables, folder / f"replica-{number}"))
            for number in range(REPLICAS)
        ]
        seconds = []
        for number in range(moves):
            release = releases[(number + 1) % 2]
            with _swapped(CurrentObject(store), release) as at:
                command("releases", "promote", release, home=home, variables=variables)
                _until(lambda: all(_served(port) == release for port in ports), f"{release} is not served")  # noqa: B023  called at once
                served = time.monotonic()
            seconds.append(max(0.0, served - at[0]))
        refused = _damaged(store, releases[-1], ports)
    return {
        "follow_seconds": max(seconds),
        "follow_median_seconds": median(seconds),
        "damaged_refused": refused,
        "moves": moves,
        "replicas": REPLICAS,
    }


def _built(home: Path, variables: Mapping[str, str], current: CurrentObject) -> list[str]:
    """Build three releases of few days; return their ids."""
    found = []
    for epochs in _EPOCHS:
        command(
            *("build", "--days", _DAYS), home=home, variables={**variables, "RECSYS_TRAINING__EPOCHS": epochs}
        )
        seen = current.read()
        if seen is None:
            raise RecsysError(f"{current.url}: no release is current after a build")
        found.append(seen.record.release)
    return found


@contextmanager
def _replica(server: ObjectServer, variables: Mapping[str, str], cache: Path) -> Iterator[int]:
    """Run `recsys serve --from` while the block runs; yield its port."""
    port = free_port()
    serve = [sys.executable, "-W", "ignore", "-m", "recsys_assets", "serve", "--port", str(port)]
    serve += ["--from", variables["RECSYS_STORAGE__ROOT"], "--cache", str(cache)]
    environment = {**os.environ, **server.environ}
    with running(serve, environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until_answered(port, "/health/ready", process)
        yield port


@contextmanager
def _swapped(current: CurrentObject, release: str) -> Iterator[list[float]]:
    """Look at `current` while the block runs; the list has the time at which it first named the release."""
    at: list[float] = []
    stopped = threading.Event()

    def look() -> None:
        while not at and not stopped.is_set():
            seen = current.read()
            if seen is not None and seen.record.release == release:
                at.append(time.monotonic())
            stopped.wait(_LOOK_SECONDS)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield at
    finally:
        stopped.set()
        looking.join()


def _damaged(store: ObjectStore, release: str, ports: list[int]) -> bool:
    """Change a byte of a release that the replicas do not have, make it current, and see both reject it."""
    before = {port: _served(port) for port in ports}
    manifest = json.loads(store.get(release_key(release, MANIFEST_FILE)).content)
    file = max(manifest["files"], key=lambda name: int(name.endswith(".npy")))
    key = release_key(release, file)
    content = store.get(key).content
    store.put(key, content[:-1] + bytes([content[-1] ^ 1]))
    current = CurrentObject(store)
    seen = current.read()
    old = None if seen is None else seen.record.release
    move = RecordedMove(at=datetime.now(UTC), move="promote", before=old, after=release)
    current.swap(move, seen=seen)
    _until(lambda: all(_rejects(port, release) for port in ports), f"{release} is not rejected")
    return all(_served(port) == before[port] for port in ports)


def _health(port: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(get_body(port, "/health/ready"))
    return found


def _served(port: int) -> str:
    return str(_health(port)["release"])


def _rejects(port: int, release: str) -> bool:
    problem = _health(port).get("problems", {}).get(_PROBLEM, "")
    return f"release {release} is rejected" in problem


def _until(happened: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not happened():
        if time.monotonic() > deadline:
            raise RecsysError(f"{otherwise} after {_PATIENCE_SECONDS:.0f} s")
        time.sleep(_LOOK_SECONDS)
