"""A builder, two replicas and their servers, under 200 requests a second, any of which a test may kill."""

import http.client
import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from recsys_assets.benchmarks.scale_servers import ObjectServer, PostgresServer
from recsys_assets.benchmarks.store_timings import store_variables
from recsys_assets.release.current import read_current
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.replicas import Replica, replica, until
from recsys_assets_tests.database_servers import postgres_server
from recsys_assets_tests.nats_servers import NatsServer, running_nats
from recsys_assets_tests.object_servers import running_seaweed

A_SECOND = 200
POSTS = 50
"""One request of N sends events."""
LONGEST_SECONDS, MOST_REQUESTS = 2_400.0, 480_000
COMMAND_SECONDS = 1_800.0
DAYS, FIRST_EPOCHS = 12, 4
QUICK = {
    "RECSYS_TRAINING__MODEL": "ials",
    "RECSYS_REPORT__DAYS": "0",
    "RECSYS_GATE__ENABLED": "false",
    "RECSYS_STORAGE__LEASE_SECONDS": "3",
}
Lists = dict[str, Sequence[str]]


@dataclass
class Load:
    """Answers to requests until now."""

    answers: dict[tuple[str, str, str, tuple[str, ...]], int] = field(default_factory=dict)
    """Release of the header, release of the body, user and items -> number."""
    failed: dict[tuple[int, str], int] = field(default_factory=dict)
    """Port and status, or kind of error, of reads that were not answered -> number."""
    unsent: dict[tuple[int, str], int] = field(default_factory=dict)
    """The same of events."""
    acknowledged: set[str] = field(default_factory=set)
    """Ids of events."""


@dataclass
class Stack:
    """All processes; the builder's commands run one after another."""

    folder: Path
    objects: ObjectServer
    postgres: PostgresServer
    nats: NatsServer
    variables: dict[str, str]
    replicas: list[Replica] = field(default_factory=list)
    lists: dict[str, Lists] = field(default_factory=dict)
    """Release -> user -> items, read while nothing else happened."""
    users: list[str] = field(default_factory=list)
    key: str = ""
    load: Load = field(default_factory=Load)
    days: int = DAYS
    epochs: int = FIRST_EPOCHS

    @property
    def home(self) -> Home:
        return Home(self.folder / "builder")

    def start(self, *arguments: str, **more: str) -> "Command":
        return Command(self, arguments, more)

    def command(self, *arguments: str, **more: str) -> str:
        """Run a command of the builder to its end, and return what it printed."""
        return self.start(*arguments, **more).ended()

    def build(self) -> "Command":
        """Start a build with two more days, and another number of epochs, so that it ends in a new release."""
        self.days, self.epochs = self.days + 2, self.epochs + 1
        return self.start(
            "build",
            RECSYS_SOURCE__LAST_DAY=f"2017-01-{self.days}",
            RECSYS_TRAINING__EPOCHS=str(self.epochs),
            RECSYS_EVENTS__LAND_MINUTES="0",  # an event of today would move the last day on
        )

    def current(self) -> str:
        found = read_current(self.home.releases)
        assert found is not None
        return found

    def follow(self) -> None:
        """Wait until both replicas serve the builder's release, and keep its lists."""
        release = self.current()
        until(lambda: all(one.serves(release) for one in self.replicas), seconds=600)
        if release not in self.lists:
            self.lists[release] = {user: self._items(user) for user in self.users}

    def _items(self, user: str) -> Sequence[str]:
        answer = httpx.get(f"{self.replicas[0].url}/v1/users/{user}/recommendations?k=5", timeout=30)
        assert answer.status_code == 200, answer.text
        return [item["item_id"] for item in answer.json()["items"]]

    def wrong(self) -> list[str]:
        """Answers that are not those of the release that their header names."""
        return [
            f"{number} × user {user}: {listed} of {body}, as {header}"
            for (header, body, user, listed), number in self.load.answers.items()
            if header != body or list(listed) != self.lists.get(header, {}).get(user)
        ]


class Command:
    """A command of the builder that runs."""

    def __init__(self, stack: Stack, arguments: Sequence[str], more: dict[str, str]) -> None:
        self.log = stack.folder / "command.log"
        self._arguments = arguments
        command = [sys.executable, "-m", "recsys_assets", *arguments, "--home", str(stack.home.root)]
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                command, env={**os.environ, **stack.variables, **more}, stdout=file, stderr=file
            )

    def says(self, *words: str) -> bool:
        text = self.log.read_text(errors="replace")
        return any(one in text for one in words)

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def ended(self) -> str:
        """Wait for its end, which must be a good one, and return what it printed."""
        status = self.process.wait(COMMAND_SECONDS)
        text = self.log.read_text(errors="replace")
        assert status == 0, f"{self._arguments}: {text[-3000:]}"
        return text


@contextmanager
def running_stack(folder: Path, *, more: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """Servers, a builder with two releases, and two replicas, without load; `more` are settings of the builder."""
    with ExitStack() as stack:
        (folder / "nats").mkdir()
        objects = stack.enter_context(running_seaweed(folder / "objects"))
        database = stack.enter_context(postgres_server())
        nats = stack.enter_context(running_nats(folder / "nats"))
        events = {
            "RECSYS_EVENTS__BACKEND": "nats",
            "RECSYS_EVENTS__URL": nats.url,
            "RECSYS_EVENTS__MONITOR": nats.monitor,
        }
        servers = {"RECSYS_DAGSTER__POSTGRES": database.url, "RECSYS_LEDGER__POSTGRES": database.url}
        found = Stack(
            folder,
            objects,
            database,
            nats,
            {**store_variables(objects, "home"), **QUICK, **events, **servers, **(more or {})},
        )
        found.command("init", "--days", str(DAYS))
        found.key = found.command("keys", "add", "load", "--scope", "write").strip().splitlines()[-1]
        found.build().ended()
        for name in ("a", "b"):
            found.replicas.append(
                stack.enter_context(
                    replica(
                        objects, found.variables["RECSYS_STORAGE__ROOT"], folder / name, environment=events
                    )
                )
            )
        until(lambda: all(one.serves(found.current()) for one in found.replicas), seconds=600)
        found.users = [user for user in map(str, range(1, 120)) if is_known(found, user)][:40]
        found.follow()
        yield found


def is_known(stack: Stack, user: str) -> bool:
    answer = httpx.get(f"{stack.replicas[0].url}/v1/users/{user}/recommendations?k=5", timeout=30)
    return answer.status_code == 200 and answer.json()["source"] == "user"


@contextmanager
def loaded(stack: Stack) -> Iterator[Load]:
    """Send 200 requests a second to both replicas while the block runs; one of 50 sends events."""
    stack.load, stopped, lock = (
        Load(acknowledged=stack.load.acknowledged),
        threading.Event(),
        threading.Lock(),
    )
    threads = [
        threading.Thread(target=_send, args=(stack, one, seed, stopped, lock))
        for one in stack.replicas
        for seed in range(2)
    ]
    for thread in threads:
        thread.start()
    try:
        yield stack.load
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


_ids = itertools.count()


def _send(stack: Stack, target: Replica, seed: int, stopped: threading.Event, lock: threading.Lock) -> None:
    rng, begun, number = random.Random(f"{target.port} {seed}"), time.monotonic(), 0
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=20)
    while not stopped.is_set() and number < MOST_REQUESTS // 4 and time.monotonic() - begun < LONGEST_SECONDS:
        number += 1
        stopped.wait(max(0.0, begun + number * 4 / A_SECOND - time.monotonic()))
        if number % POSTS == 0:
            event = _event(next(_ids))
            status, _, _ = _answer(connection, "POST", "/v1/events", json.dumps(event), stack.key)
            with lock:
                _count_event(stack.load, target.port, event, status)
        else:
            user = rng.choice(stack.users)
            path = f"/v1/users/{user}/recommendations?k=5"
            status, header, body = _answer(connection, "GET", path, None, stack.key)
            with lock:
                _count_read(stack.load, target.port, user, status, header=header, body=body)
    connection.close()


def _answer(
    connection: http.client.HTTPConnection, method: str, path: str, body: str | None, key: str
) -> tuple[str, str, bytes]:
    """Status, or the kind of error; the release of the header; the body."""
    try:
        connection.request(
            method, path, body, {"X-API-Key": key, "Content-Type": "application/json"} if body else {}
        )
        answer = connection.getresponse()
        return str(answer.status), str(answer.getheader("X-Release-Id")), answer.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return type(error).__name__, "", b""


def _count_event(load: Load, port: int, event: dict[str, Any], status: str) -> None:
    if status == "202":
        load.acknowledged.add(event["event_id"])
    else:
        load.unsent[port, status] = load.unsent.get((port, status), 0) + 1


def _count_read(load: Load, port: int, user: str, status: str, *, header: str, body: bytes) -> None:
    if status == "200":
        found = json.loads(body)
        one = (header, found["release"], user, tuple(item["item_id"] for item in found["items"]))
        load.answers[one] = load.answers.get(one, 0) + 1
    else:
        load.failed[port, status] = load.failed.get((port, status), 0) + 1


def _event(number: int) -> dict[str, Any]:
    """An event of a user whose lists nobody compares."""
    return {
        "event_id": f"load-{number}",
        "user_id": f"load-{number % 50}",
        "item_id": "981760",
        "kind": "view",
    }


def wait_for(happened: Callable[[], object], *, seconds: float) -> bool:
    """Wait until something happened; False after the time."""
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
