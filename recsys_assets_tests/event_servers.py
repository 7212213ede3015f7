"""Servers of events for tests: Postgres or NATS, each with settings of a log of its own, and a way to kill it."""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from recsys_assets.event_settings import EventsSettings
from recsys_assets_tests.database_servers import postgres_server
from recsys_assets_tests.nats_servers import running_nats

Kind = Literal["postgres", "nats"]
_names = itertools.count()


class EventServer(NamedTuple):
    """A running server."""

    settings: Callable[[], EventsSettings]
    """Returns the settings of a new log."""
    kill: Callable[[], None]
    start: Callable[[], None]
    """Starts it again after a kill, on the same port."""


@contextmanager
def event_server(kind: Kind) -> Iterator[EventServer]:
    """A server of one kind. Skips where its binary is not installed."""

    def name() -> str:
        return f"log{next(_names)}"

    if kind == "postgres":
        with postgres_server() as postgres:
            yield EventServer(
                lambda: EventsSettings(backend="postgres", url=postgres.url, log_name=name()),
                postgres.kill,
                postgres.start,
            )
        return
    with (
        tempfile.TemporaryDirectory(prefix="recsys-nats-") as folder,
        running_nats(Path(folder)) as nats,
    ):
        yield EventServer(
            lambda: EventsSettings(
                backend="nats", url=nats.url, monitor=nats.monitor, log_name=name(), group_ms=1.0
            ),
            nats.kill,
            nats.start,
        )
