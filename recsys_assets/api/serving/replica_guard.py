"""Guards of routes that write into a home: a replica has none, and says where the same can be done."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.status_codes import HTTP_409_CONFLICT

if TYPE_CHECKING:
    from recsys_assets.api.serving.live import Live

Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], None]
BUILDER: Final = "send it to the API of the machine that builds"
"""The way out of most routes."""
SHARED_EVENTS: Final = (
    'set [events] backend = "postgres" or "nats" there and on the replicas, or send it to the API there'
)
"""The way out of routes that store events."""


def needs_home(what: str, way_out: str = BUILDER, *, or_shared_events: bool = False) -> Guard:
    """Make a guard of a route that a replica answers by 409; list it after the guard of the key.

    Args:
        what: a clause of the reason, "releases are promoted where they are built".
        way_out: a clause of the next step.
        or_shared_events: accept on a replica whose events go to a server that several machines share.
    """

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        live: Live = connection.app.state.service.live
        if live.followed is None or (or_shared_events and live.options.events.backend != "sqlite"):
            return
        raise HTTPException(
            status_code=HTTP_409_CONFLICT,
            detail=f"this server is a replica of {live.followed.url}, and {what}: {way_out}",
        )

    return guard
