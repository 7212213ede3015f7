"""Checks that a NATS server keeps what it acknowledges: its stream's settings, and the sync of its disk."""

import json
import urllib.request
from typing import Any, Final
from urllib.error import HTTPError

from recsys_assets.errors import EventsUnavailableError
from recsys_assets.intake.server_log import no_answer

ID_KEY: Final = "recsys-log"
"""Key of the log's id in the stream's metadata."""
NO_JETSTREAM: Final = (
    "the server has no JetStream; give it a jetstream block with a store_dir, or start it with -js"
)
"""Message on a server that would keep nothing."""
_SECONDS: Final = 2.0
_MOST_VARZ: Final = 1_000_000
_DURABLE: Final = {
    "storage": "file",
    "retention": "limits",
    "discard": "new",
    "max_age": 0,
    "max_msgs": -1,
    "max_bytes": -1,
    "max_msgs_per_subject": -1,
    "no_ack": False,
    "allow_direct": True,
}
"""Settings by which a stream lets go of no acknowledged message, and can be read."""


def require_durable(config: Any, *, replicas: int, shown: str) -> None:
    """Check the settings of a stream.

    Args:
        config: the stream's, of nats-py.
        replicas: servers that hold each message, at least.
        shown: the server and the stream, for the error.

    Raises:
        EventsUnavailableError: an acknowledged message may be lost by them, or the stream is another program's.
    """
    wrong = [
        f"{name} = {getattr(config, name)} instead of {value}"
        for name, value in _DURABLE.items()
        if getattr(config, name) != value
    ]
    if (config.num_replicas or 1) < replicas:
        wrong.append(f"{config.num_replicas} replicas instead of {replicas}")
    if config.persist_mode == "async":
        wrong.append("persist_mode = async instead of default")
    if ID_KEY not in (config.metadata or {}):
        wrong.append(f"no {ID_KEY} in its metadata: it is another program's")
    if wrong:
        raise EventsUnavailableError(
            f"{shown}: the stream has {', '.join(wrong)}; edit it there, or give another [events] log_name"
        )


def require_sync(monitor: str) -> None:
    """Check that a server syncs its files before it acknowledges.

    Args:
        monitor: its HTTP port, a URL.

    Raises:
        EventsUnavailableError: the monitor does not answer, or does not show `sync_interval: always`.
    """
    url = f"{monitor.rstrip('/')}/varz"
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310  a setting
            found = json.loads(answer.read(_MOST_VARZ))
        if not found["jetstream"]:
            raise EventsUnavailableError(f"{url}: {NO_JETSTREAM}")
        is_synced = found["jetstream"]["config"].get("sync_always", False)
    except HTTPError as error:
        raise EventsUnavailableError(
            f"{url}: {error}; is that the NATS server? See [events] monitor"
        ) from error
    except OSError as error:
        raise no_answer(url, f"{error}; see [events] monitor")  # noqa: B904  it has a cause
    except (ValueError, KeyError, TypeError) as error:
        raise EventsUnavailableError(
            f"{url}: does not say whether the server syncs ({type(error).__name__}: {error}); see [events] monitor"
        ) from error
    if not is_synced:
        raise EventsUnavailableError(
            f"{url}: the server has no `sync_interval: always` in its jetstream block, so that a power cut loses"
            ' acknowledged events; set it there, or set [events] acknowledge = "written"'
        )
