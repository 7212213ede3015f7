"""Query strings that were validated before: a request that repeats one is answered without validating it again.

Nearly all requests for lists have one of a few query strings. Reading and validating it costs as much as a list.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from litestar.connection import ASGIConnection
from litestar.types import ASGIApp, Receive, Scope, Send

Answering = Callable[[Scope], Awaitable[ASGIApp]]
"""Answers any request with one query string; what else differs is in the request's scope."""

MOST_KNOWN: Final = 1_024
"""Query strings of a route that are remembered, at most."""
LONGEST: Final = 256
"""Bytes of a query string that is remembered, at most."""
_ANSWERING_KEY: Final = "recsys.answering"


def repeat(scope: Scope, answering: Answering) -> None:
    """Have later requests with the query string of this one answered by `answering`.

    Args:
        scope: of a request of a route with `KnownQueries`, whose query was validated.
        answering: answers them; it is called after the guards, in place of the route's function.
    """
    scope["state"][_ANSWERING_KEY] = answering


class KnownQueries:
    """The middleware of a route without a body that remembers query strings."""

    def __init__(self, app: ASGIApp) -> None:
        """Remember nothing yet; `app` validates a query and answers."""
        self._app = app
        self._known: dict[bytes, Answering] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        query = scope["query_string"]
        answering = self._known.get(query)
        if answering is None:
            await self._app(scope, receive, send)
            self._remember(query, scope["state"].get(_ANSWERING_KEY))
            return
        handler = scope["route_handler"]
        if handler.resolve_guards():
            await handler.authorize_connection(ASGIConnection(scope, receive, send))
        reply = await answering(scope)
        await reply(scope, receive, send)

    def _remember(self, query: bytes, answering: Answering | None) -> None:
        if answering is None or len(query) > LONGEST:
            return
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[query] = answering
