"""Settings of events that arrive while the product runs: intake, landing, and what they say about answers."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from recsys_assets.scale_settings import Endpoint
from recsys_assets.storage.bounds import CountOrZero, Line


class EventsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Events by HTTP, and their way into the lake."""

    backend: Literal["sqlite", "postgres", "nats"] = "sqlite"
    """Keeper of events until they land: `events.sqlite` in the home, or a server that several machines share."""
    url: Line | None = None
    """The server, `postgresql://user@host/database` or `nats://host:4222`; needs `recsys-assets[scale]`."""
    log_name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$")] = "recsys"
    """Name of the server's schema or stream: the same on all machines of one product, another one for each product."""
    replicas: Annotated[int, Meta(ge=1, le=5)] = 1
    """NATS servers that hold each event."""
    acknowledge: Literal["synced", "written"] = "synced"
    """A NATS server acknowledges what is synced to its disk, as `monitor` must show; `written` survives the end of its
    process, and a power cut may lose the last 2 minutes."""
    monitor: Endpoint | None = None
    """The NATS server's own HTTP port, `http://host:8222`, which says whether it has `sync_interval: always`."""
    kinds: list[Line] = []
    """Kinds of events taken beside view, cart, purchase, rating, like, dislike and hide."""
    queue_rows: Annotated[int, Meta(ge=1, le=10_000_000)] = 50_000
    """Most events of a worker that may wait to be written; beyond them it answers 429."""
    group_ms: Annotated[float, Meta(ge=0, le=1_000)] = 5.0
    """Least time between two syncs of the disk, ms: events that arrive meanwhile are written together."""
    future_seconds: Annotated[int, Meta(ge=0, le=86_400)] = 300
    """An event may be stamped this much later than the server's clock, s."""
    land_minutes: CountOrZero = 15
    """Land the day that is not over every N minutes; 0: land finished days only."""
    keep_days: CountOrZero = 30
    """Keep events in the intake for N days after they landed."""
    attribution_days: Annotated[float, Meta(ge=0.01, le=90)] = 7.0
    """A click or purchase counts for the last answer that showed the item to the user within N days before."""
