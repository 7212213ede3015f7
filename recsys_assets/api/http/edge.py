"""The outermost layer of every request: limits, keys, request id, headers, metrics, logs.

It wraps the whole application, so that a 404 or a rejection has the same headers and is counted like an answer.
"""

import asyncio
import itertools
import logging
import re
import secrets
from pathlib import Path
from time import perf_counter
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from recsys_assets.api.http.auth import CALLER_KEY, KeyRing
from recsys_assets.api.http.bodies import SOURCE_KEY
from recsys_assets.api.http.connections import Connections, Peer, peer_of
from recsys_assets.api.http.limits import Deadlines, RateLimit
from recsys_assets.api.http.logs import LineLimit
from recsys_assets.api.http.logs import request_id as logged_request_id
from recsys_assets.api.http.problems import PROBLEM_JSON, REQUEST_ID_KEY, problem
from recsys_assets.api.http.request_metrics import Metrics
from recsys_assets.api_settings import ApiSettings

log = logging.getLogger("recsys.api.requests")

STARTED_KEY: Final = "recsys.started"
"""Key of the scope's state under which the time of arrival is, s by `perf_counter`."""

BODILESS_KEY: Final = "recsys.bodiless"
"""Key of the scope's state that is true where the request is a HEAD."""
STREAMED_KEY: Final = "recsys.streamed"
"""Key of the scope's state under which an endless answer puts the time until its head, s."""

_SLOW_SECONDS = 0.25
_LINES_A_SECOND = 20
_ACCEPTED_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_COMMON_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
_POLICY = (
    b"default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    b"object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE_HEADERS = (*_COMMON_HEADERS, (b"content-security-policy", _POLICY))
_UNROUTED = "unrouted"
_COST_OF_UNKNOWN_KEY = 20.0
_CLOSED_AND_LATER = ((b"retry-after", b"1"), (b"connection", b"close"))

Rejection = tuple[int, str, tuple[tuple[bytes, bytes], ...]]
"""Status, detail and headers of an answer that the application does not give."""


class Edge:
    """The outermost ASGI application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: ApiSettings,
        metrics: Metrics,
        keys: KeyRing,
        connections: Connections,
        shared_limits: Path | None = None,
    ) -> None:
        """`shared_limits`: the file in which all workers count the requests of each caller."""
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._keys = keys
        self._connections = connections
        self._limit = RateLimit(settings, shared=shared_limits)
        self._deadlines = Deadlines()
        self._lines = LineLimit(_LINES_A_SECOND)
        self._prefix = secrets.token_hex(4)
        self._number = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        path = routable(scope.get("raw_path") or b"")
        if path is not None:
            scope["path"] = path
        headers = dict(scope["headers"])
        request_id = self._request_id(headers.get(b"x-request-id"))
        logged_request_id.set(request_id)
        state: dict[str, Any] = scope["state"]
        state[REQUEST_ID_KEY] = request_id
        state[STARTED_KEY] = started
        method = scope["method"]
        bodiless = method == "HEAD"
        if bodiless:
            scope["method"] = "GET"
            state[BODILESS_KEY] = True
        status = 0
        common = _COMMON_HEADERS if scope["path"].startswith("/v1/") else _PAGE_HEADERS
        own_headers = ((b"x-request-id", request_id.encode()), *common)

        async def outbound(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *own_headers]
            elif bodiless and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        client = peer_of(scope["client"])
        busy = self._connections.busy
        busy.add(client)
        try:
            rejection = self._rejection(scope, client, headers, state, started)
            if rejection is not None:
                await _send_problem(outbound, *rejection, request_id)
            else:
                inbound = receive if method == "GET" or bodiless else self._limited(receive, headers)
                await self._app(scope, inbound, outbound)
        finally:
            busy.discard(client)
            self._finish(scope, method, status, perf_counter() - started)

    def _request_id(self, given: bytes | None) -> str:
        if given is not None and _ACCEPTED_ID.fullmatch(given):
            return given.decode()
        return f"{self._prefix}-{next(self._number):x}"

    def _rejection(
        self, scope: HTTPScope, client: Peer, headers: dict[bytes, bytes], state: dict[str, Any], now: float
    ) -> Rejection | None:
        if not scope["path"].startswith("/health/"):
            if self._connections.rejects(client):
                return 503, "the server has all the connections that it takes; try again", _CLOSED_AND_LATER
            denial = self._denial(client[0], headers, state, now)
            if denial is not None:
                return denial
        if not headers.get(b"host") or len(headers) < len(list(scope["headers"])):
            # the server adds an empty one where there is none
            hosts = sum(name == b"host" and value != b"" for name, value in scope["headers"])
            if hosts > 1 or (hosts == 0 and scope["http_version"] == "1.1"):
                return 400, f"the request has {hosts} Host headers; HTTP/1.1 needs one", ()
        settings = self._settings
        for part, text in (("query", scope["query_string"]), ("path", scope.get("raw_path") or b"")):
            if len(text) > settings.max_query_bytes:
                found = len(text)
                return 414, f"the {part} has {found} bytes; at most {settings.max_query_bytes} are taken", ()
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > settings.max_body_bytes:
            return 413, f"the body has {int(length)} bytes; at most {settings.max_body_bytes} are taken", ()
        return None

    def _denial(
        self, address: str, headers: dict[bytes, bytes], state: dict[str, Any], now: float
    ) -> Rejection | None:
        """Find the caller and count the request; a key that is not known costs the address many requests."""
        presented = _presented(headers)
        key = None if presented is None else self._keys.find(presented)
        if key is not None:
            state[CALLER_KEY] = key
            wait = self._limit.wait_for_key(key.id, now)
        else:
            cost = 1.0 if presented is None else _COST_OF_UNKNOWN_KEY
            wait = self._limit.wait_for_address(address, headers.get(b"x-forwarded-for"), now, cost=cost)
        if wait > 0:
            return 429, f"ask again in {wait:.2f} s", ((b"retry-after", str(int(wait) + 1).encode()),)
        if presented is not None and key is None:
            return 401, "this API key is not known here; it may have been revoked", _CHALLENGE
        return None

    def _limited(self, receive: Receive, headers: dict[bytes, bytes]) -> Receive:
        declared = headers.get(b"content-length", b"")
        if declared == b"0":
            return receive
        expected = int(declared) if declared.isdigit() else None
        settings = self._settings
        deadline = asyncio.get_running_loop().time() + settings.body_timeout_seconds
        taken = 0
        complete = False

        async def inbound() -> Any:
            nonlocal taken, complete
            if complete:
                return await receive()
            task = self._deadlines.begin(deadline)
            try:
                message = await receive()
            except asyncio.CancelledError:
                if not self._deadlines.passed(task):
                    raise
                detail = f"the body was not here after {settings.body_timeout_seconds} s"
                raise HTTPException(status_code=408, detail=detail) from None
            finally:
                self._deadlines.end(task)
            if message["type"] == "http.disconnect":
                detail = "the body ended, or was malformed, before it was whole"
                raise HTTPException(status_code=400, detail=detail)
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken == expected:
                    # the body is complete: saying so now saves a turn of the loop that would fetch an empty end
                    message["more_body"] = False
                complete = not message.get("more_body", False)
                if taken > settings.max_body_bytes:
                    detail = f"the body has more than {settings.max_body_bytes} bytes"
                    raise HTTPException(status_code=413, detail=detail)
            return message

        return inbound

    def _finish(self, scope: HTTPScope, method: str, status: int, seconds: float) -> None:
        route = str(scope.get("path_template") or _UNROUTED)
        source = scope["state"].get(SOURCE_KEY, "")
        seconds = scope["state"].get(STREAMED_KEY, seconds)
        self._metrics.observe(route, method if route != _UNROUTED else "ANY", status, source, seconds)
        dropped: int | None = 0
        if not self._settings.log_requests:
            remarkable = status >= 500 or seconds > _SLOW_SECONDS  # noqa: PLR2004
            dropped = self._lines.dropped_before(perf_counter()) if remarkable else None
        if dropped is not None:
            log.info(
                "request",
                extra={
                    "method": method,
                    "route": route,
                    "status": status,
                    "source": source or None,
                    "ms": round(seconds * 1000, 3),
                    "not_logged_before": dropped or None,
                },
            )


_CHALLENGE = ((b"www-authenticate", b'Bearer realm="recsys"'),)


def _presented(headers: dict[bytes, bytes]) -> str | None:
    given = headers.get(b"x-api-key")
    if given is not None:
        return given.decode("latin-1").strip()
    scheme, _, credentials = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else None


async def _send_problem(
    send: Send, status: int, detail: str, extra: tuple[tuple[bytes, bytes], ...], request_id: str
) -> None:
    body = problem(status, detail, instance=request_id)
    headers = [
        (b"content-type", PROBLEM_JSON.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


_SLASH: Final = "\x001"
_NUL: Final = "\x000"


def routable(raw_path: bytes) -> str | None:
    """Return a path in which an id may hold a slash or a NUL; None where ASGI's own path routes as well.

    A slash inside a segment (`%2f`) would split it in routing, so it is replaced until `as_sent` restores it.
    """
    if b"%" not in raw_path or not (b"%2f" in raw_path.lower() or b"%00" in raw_path):
        return None
    decoded = (
        unquote_to_bytes(part).decode("utf-8", "replace") for part in raw_path.partition(b"?")[0].split(b"/")
    )
    return "/".join(part.replace("\0", _NUL).replace("/", _SLASH) for part in decoded)


def as_sent(path_id: str) -> str:
    """Restore the slashes and NULs of an id from a path that `routable` changed."""
    return path_id.replace(_SLASH, "/").replace(_NUL, "\0") if "\0" in path_id else path_id
