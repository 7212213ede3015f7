"""`recsys bench events`: events over HTTP to a real server: their rate, their effect on lists, and losses by SIGKILL.

The rate is compared with the disk's own rate of syncs in the same folder, measured in the same run.
"""

import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from recsys_assets.api.http.auth import add_key
from recsys_assets.benchmarks.event_load import (
    BATCH,
    EventClient,
    EventServer,
    Kill,
    Sender,
    batches,
    event_server,
    kill_worker,
    sync_rate,
)
from recsys_assets.benchmarks.harness import machine
from recsys_assets.benchmarks.serving_load import LoadRequest, drive
from recsys_assets.benchmarks.serving_worlds import publish_synthetic
from recsys_assets.errors import RecsysError
from recsys_assets.event_settings import EventsSettings
from recsys_assets.intake.stored_events import read_events
from recsys_assets.storage.home import Home

KILLS: Final[Sequence[Kill]] = (kill_worker,)
"""Kinds of kills, each in turn: of a worker here; of other processes by other benchmarks."""
_REQUESTED: Final = 2_000
"""Users whose lists are requested under events."""
_EVENTS_A_SECOND: Final = 1_000
_EFFECTIVE_WITHIN_SECONDS: Final = 5.0


def run(
    *,
    users: int = 20_000,
    items: int = 5_000,
    seconds: float = 5.0,
    kills: int = 50,
    clients: Sequence[int] = (1, 2, 4, 8),
    tried: int = 50,
) -> dict[str, Any]:
    """Send events in batches of 100.

    Args:
        users: users of the release.
        items: items of the release.
        seconds: duration of each measurement of a rate.
        kills: SIGKILLs at random moments, while a client sends.
        clients: numbers of connections; the rate is measured at each.
        tried: events whose effect on the user's list is timed.

    Returns:
        `events_per_second`: the highest rate over the numbers of connections, and `p99_ms` of its requests;
        `by_clients`: rate, p99 and commits a second at each; `fsyncs_per_second` of the disk;
        `share_of_fsync_limit`: the most commits a second, divided by what the disk and `group_ms` allow;
        `effective_ms`: from a 202 to a list that honours the event, the longest, two workers, and its median;
        `recommend_ratio`: lists a second beside 1,000 events a second, divided by those without; `lost` and
        `duplicated` events that got a 202 over the kills; the machine.
    """
    with ExitStack() as stack:
        home = Home(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recsys-bench-events-"))))
        publish_synthetic(home, users=users, items=items)
        key = add_key(home, name="bench", scopes=["write"], now=datetime.now(UTC))[1]
        world = {"users": users, "items": items}
        with event_server(home, key) as server:
            found = _beside_events(server, seconds=seconds, **world)
            found |= _rates(server, clients, seconds=seconds, **world)
        with event_server(home, key, workers=2) as server:
            found |= _effective(server, tried=tried)
            found |= _killed(server, kills=kills, **world)
    return {**found, "machine": machine("litestar", "granian")}


def _rates(
    server: EventServer, clients: Sequence[int], *, seconds: float, users: int, items: int
) -> dict[str, Any]:
    syncs = sync_rate(server.home.root)
    by_clients = {}
    for count in clients:
        senders = [
            Sender(server, batches(users=users, items=items, seed=1_000 * count + place))
            for place in range(count)
        ]
        before, started = server.commits(), time.perf_counter()
        with ExitStack() as stack:
            for sender in senders:
                stack.enter_context(sender.sending())
            time.sleep(seconds)
        spent = time.perf_counter() - started
        times = [ms for sender in senders for ms in sender.milliseconds]
        by_clients[str(count)] = {
            "events_per_second": round(len(times) * BATCH / spent),
            "p99_ms": round(float(np.percentile(times, 99)), 1),
            "commits_per_second": round((server.commits() - before) / spent, 1),
        }
    best = max(by_clients.values(), key=lambda one: one["events_per_second"])
    allowed = min(syncs, 1_000 / EventsSettings().group_ms)
    return {
        "events_per_second": best["events_per_second"],
        "p99_ms": best["p99_ms"],
        "fsyncs_per_second": round(syncs),
        "share_of_fsync_limit": round(
            max(one["commits_per_second"] for one in by_clients.values()) / allowed, 3
        ),
        "by_clients": by_clients,
    }


def _effective(server: EventServer, *, tried: int) -> dict[str, Any]:
    """Time from the answer to an event to the first list that honours it, a new connection each time."""
    taken = []
    for number in range(tried):
        user = f"u{number:07d}"
        reader, writer = EventClient(server), EventClient(server)
        first = reader.items_of(user)[0]
        body = f'{{"user_id": "{user}", "item_id": "{first}", "kind": "purchase"}}'.encode()
        if writer.send(body) != 202:  # noqa: PLR2004  accepted
            raise RecsysError(f"the event of {user} was not accepted")
        started = time.perf_counter()
        while first in reader.items_of(user):
            if time.perf_counter() - started > _EFFECTIVE_WITHIN_SECONDS:
                raise RecsysError(f"{first} is in the list of {user} after {_EFFECTIVE_WITHIN_SECONDS:.0f} s")
        taken.append((time.perf_counter() - started) * 1000)
        reader.close()
        writer.close()
    return {"effective_ms": round(max(taken), 1), "effective_median_ms": round(median(taken), 1)}


def _beside_events(server: EventServer, *, seconds: float, users: int, items: int) -> dict[str, Any]:
    """Lists a second of users, some of whom have events, without events and beside them, in turn."""
    rng = random.Random(0)  # noqa: S311  no secret
    requested = [
        LoadRequest(path=f"/v1/users/u{rng.randrange(users):07d}/recommendations?k=10")
        for _ in range(_REQUESTED)
    ]
    drive(server.port, requested, seconds=1.0)
    alone, beside = [], []
    source = batches(users=users, items=items, seed=7)
    for _ in range(2):
        alone.append(drive(server.port, requested, seconds=seconds).rps)
        sender = Sender(server, source, pause=BATCH / _EVENTS_A_SECOND)
        with sender.sending():
            beside.append(drive(server.port, requested, seconds=seconds).rps)
    return {
        "recommend_ratio": round(median(beside) / median(alone), 3),
        "recommend_rps": round(median(alone)),
    }


def _killed(server: EventServer, *, kills: int, users: int, items: int) -> dict[str, Any]:
    """Kill processes while a client sends, and count what it was promised and what is stored."""
    rng = random.Random(1)  # noqa: S311  no secret
    before = {event.event_id for _, event in read_events(server.home.events_db)}
    sender = Sender(server, batches(users=users, items=items, seed=999))
    with sender.sending():
        for number in range(kills):
            time.sleep(rng.uniform(0.02, 0.3))
            KILLS[number % len(KILLS)](server, rng)
        time.sleep(0.5)
    stored = [event for _, event in read_events(server.home.events_db) if event.event_id not in before]
    ids = {event.event_id for event in stored}
    return {
        "kills": kills,
        "sent_again": sender.again,
        "accepted_under_kills": len(sender.accepted),
        "lost": len(sender.accepted - ids),
        "duplicated": len(stored) - len({event.value for event in stored}),
    }
