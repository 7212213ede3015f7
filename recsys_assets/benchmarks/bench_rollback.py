"""`recsys bench rollback`: two servers of one home under load, while `current` is moved back and forth by the command.

A client of each server requests the lists of the same users again and again, and compares every answer with the one
that its release gave before: an answer of another list, or of another release than its header says, is a mixed one.
"""

import http.client
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from recsys_assets.benchmarks.harness import machine
from recsys_assets.benchmarks.serving_load import (
    Load,
    LoadRequest,
    drive,
    free_port,
    get_body,
    running,
    wait_until_answered,
)
from recsys_assets.benchmarks.serving_worlds import publish_synthetic
from recsys_assets.errors import RecsysError
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.storage.home import Home

_SERVERS: Final = 2
_SERVE: Final = """
import pathlib, sys
from recsys_assets.api.serving.server import serve
from recsys_assets.api_settings import ApiSettings
from recsys_assets.storage.home import Home
serve(Home(pathlib.Path(sys.argv[1])), port=int(sys.argv[2]), settings=ApiSettings(anonymous_requests_per_second=0))
"""
_SIZES: Final = (16, 24, 32)
"""Embedding size of each release: their lists differ."""
_ASKED: Final = 40
"""Users whose lists are compared."""
_TAKEN_UP_SECONDS: Final = 60.0
"""Longest wait for a release to be served."""

ListsOf = Mapping[str, Mapping[str, Sequence[str]]]
"""Release -> path -> ids of the items listed."""


def run(
    *, moves: int = 30, pause: float = 1.0, users: int = 20_000, items: int = 5_000, load: bool = True
) -> dict[str, Any]:
    """Move `current` under load: the time until no answer is of the old release, failed answers and mixed ones.

    The moves are two rollbacks and two promotions, again and again, each by `recsys releases` in a process of its own.

    Args:
        moves: number of moves.
        pause: seconds from a move that both servers have taken up to the next one.
        users: users of each release.
        items: items of each release.
        load: drive each server by 16 more connections.

    Returns:
        `effective_seconds`: from the end of the command to the last answer of the old release from either server, the
        longest of all moves, 0 where the command ended last; `effective_median_seconds`; `from_start_seconds`: the
        longest from the command's start; `command_median_seconds`; `answers` that were compared, `load_rps` beside
        them; `errors`: requests without an answer of status 200; `mixed` answers; the moves and the machine.
    """
    with ExitStack() as stack:
        home = Home(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recsys-bench-rollback-"))))
        for size in _SIZES:
            shutil.rmtree(home.artifact("embeddings").parent, ignore_errors=True)
            publish_synthetic(home, users=users, items=items, size=size)
        ports = [stack.enter_context(_server(home)) for _ in range(_SERVERS)]
        paths = [f"/v1/users/u{num:07d}/recommendations?k=10" for num in range(_ASKED)]
        clients = [_Client(port, paths) for port in ports]
        store = ReleaseStore(home.releases)
        releases = [manifest.release_id for manifest in reversed(store.list())]
        expected = _lists(home, clients, [*releases[1:], releases[0], *releases])
        with ExitStack() as under_load:
            driving = under_load.enter_context(_loaded(ports, paths)) if load else []
            for client in clients:
                under_load.enter_context(client.requesting())
            commands = [["rollback"], ["rollback"], *(["promote", later] for later in releases[1:])]
            made = [
                _move(home, clients, commands[number % len(commands)], pause=pause) for number in range(moves)
            ]
        return _figures(made, clients, expected, [one for done in driving for one in done.result()])


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """One answer to a client."""

    at: float
    path: str
    release: str
    named: str
    """The release that the header names."""
    items: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class _Move:
    """One move of `current`."""

    started: float
    ended: float
    before: str
    until: float
    """The time until which answers belong to it."""


@dataclass
class _Client:
    """Requests recommendations of one server, over one connection, and keeps the answers."""

    port: int
    paths: Sequence[str]
    answers: list[_Answer] = field(default_factory=list)
    errors: int = 0

    @contextmanager
    def requesting(self) -> Iterator[None]:
        """Send requests while the block runs."""
        stopped = threading.Event()
        thread = threading.Thread(target=self._request, args=(stopped,))
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def served(self) -> str:
        """Return the release that answers now."""
        found: str = json.loads(get_body(self.port, self.paths[0]))["release"]
        return found

    def _request(self, stopped: threading.Event) -> None:
        rng, connection = random.Random(self.port), http.client.HTTPConnection("127.0.0.1", self.port)  # noqa: S311  no secret
        while not stopped.is_set():
            path = rng.choice(self.paths)
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                body = response.read()
            except (OSError, http.client.HTTPException):
                self.errors += 1
                connection.close()
                continue
            if response.status != http.client.OK:
                self.errors += 1
                continue
            named = response.headers.get("X-Release-Id", "")
            self.answers.append(_answer(path, body, named=named, at=time.monotonic()))
        connection.close()


def _answer(path: str, body: bytes, *, named: str, at: float) -> _Answer:
    found = json.loads(body)
    listed = [item["item_id"] for item in found["items"]]
    return _Answer(at=at, path=path, release=found["release"], named=named, items=listed)


@contextmanager
def _server(home: Home) -> Iterator[int]:
    """Serve a home as `recsys serve` does, without the rate limit of anonymous callers."""
    port = free_port()
    command = [sys.executable, "-c", _SERVE, str(home.root), str(port)]
    with running(command, os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until_answered(port, "/health/ready", process)
        yield port


def _lists(home: Home, clients: Sequence[_Client], releases: Sequence[str]) -> ListsOf:
    """Promote releases one after the other, and return the lists that each server gives from them."""
    found: dict[str, dict[str, Sequence[str]]] = {}
    for release in releases:
        ReleaseStore(home.releases).promote(release)
        _wait_until_served(clients, release)
        for client in clients:
            for path in client.paths:
                answer = _answer(path, get_body(client.port, path), named=release, at=0.0)
                if found.setdefault(answer.release, {}).setdefault(path, answer.items) != answer.items:
                    raise RecsysError(f"release {release} gives two lists for {path}")
    return found


def _wait_until_served(clients: Sequence[_Client], release: str) -> None:
    deadline = time.monotonic() + _TAKEN_UP_SECONDS
    while any(client.served() != release for client in clients):
        if time.monotonic() > deadline:
            raise RecsysError(f"release {release} is not served after {_TAKEN_UP_SECONDS:.0f} s")
        time.sleep(0.02)


@contextmanager
def _loaded(ports: Sequence[int], paths: Sequence[str]) -> Iterator[list[Future[list[Load]]]]:
    """Drive servers while the block runs; the futures have the results after it."""
    stopped, requests = threading.Event(), [LoadRequest(path=path) for path in paths]

    def drive_on(port: int) -> list[Load]:
        found = []
        while not stopped.is_set():
            found.append(drive(port, requests, seconds=2.0))
        return found

    with ThreadPoolExecutor(len(ports)) as pool:
        try:
            yield [pool.submit(drive_on, port) for port in ports]
        finally:
            stopped.set()


def _move(home: Home, clients: Sequence[_Client], move: Sequence[str], *, pause: float) -> _Move:
    """Move `current` by the command, and wait until both servers have taken it up."""
    store = ReleaseStore(home.releases)
    before = str(store.current_id())
    command = [sys.executable, "-m", "recsys_assets", "releases", *move, "--home", str(home.root)]
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  our own command
    ended = time.monotonic()
    _wait_until_served(clients, str(store.current_id()))
    time.sleep(pause)
    return _Move(started=started, ended=ended, before=before, until=time.monotonic())


def _figures(
    moves: Sequence[_Move], clients: Sequence[_Client], expected: ListsOf, loads: Sequence[Load]
) -> dict[str, Any]:
    answers = [answer for client in clients for answer in client.answers]
    last = [
        max(
            (a.at for a in answers if move.started <= a.at < move.until and a.release == move.before),
            default=move.started,
        )
        for move in moves
    ]
    effective = [max(0.0, at - move.ended) for at, move in zip(last, moves, strict=True)]
    mixed = sum(a.named != a.release or expected[a.release][a.path] != a.items for a in answers)
    return {
        "effective_seconds": round(max(effective), 3),
        "effective_median_seconds": round(median(effective), 3),
        "from_start_seconds": round(max(at - move.started for at, move in zip(last, moves, strict=True)), 3),
        "command_median_seconds": round(median(move.ended - move.started for move in moves), 3),
        "answers": len(answers),
        "load_rps": round(sum(load.rps for load in loads) / max(len(loads) / len(clients), 1)),
        "errors": sum(client.errors for client in clients) + sum(load.errors for load in loads),
        "mixed": mixed,
        "moves": len(moves),
        "servers": len(clients),
        "machine": machine("litestar", "granian"),
    }
