"""Requests as an attacker or a broken client writes them, made from the server's own OpenAPI description.

Each is the bytes of a connection: requests of every route with odd values in every place, and others whose framing
is wrong. They are drawn by a seed, so that a found fault can be repeated.
"""

import json
import random
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any, Final
from urllib.parse import quote

_ANSWER_SECONDS: Final = 15.0
"""Longest wait for an answer: more than any deadline of the server."""
_MALFORMED_SHARE: Final = 0.2
"""Share of requests whose framing is wrong."""
_ODD_TEXTS: Final = (
    "",
    " ",
    "0",
    "-1",
    "null",
    "1e400",
    "9" * 400,
    "NaN",
    "a" * 7_000,
    "é" * 500,
    "\U0001f600",
    "\u202e\ufeff\u0000",
    "../../../etc/passwd",
    "..%2f..%2fcurrent",
    "a/b//c",
    "'; DROP TABLE item_features; --",
    '" OR NEAR(a b) * ^',
    "-" * 500,
    "not " * 200,
    "{{7*7}}",
    "%",
    "%zz",
    "\r\nX-Injected: 1",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "2017-02-30",
)
_ODD_VALUES: Final[tuple[Any, ...]] = (
    *_ODD_TEXTS,
    None,
    True,
    0,
    -1,
    2**63,
    2**64 + 1,
    10**400,
    1e308,
    -0.0,
    [],
    {},
    [[]],
    ["a"] * 300,
    [None],
    {"": {"": {}}},
)
_MEDIA_TYPES: Final = (
    "application/json",
    "application/json; charset=utf-16",
    "application/msgpack",
    "application/xml",
    "text/plain",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    "",
)


@dataclass(frozen=True)
class AttackRequest:
    """The bytes of one connection."""

    sent: bytes
    """All bytes."""
    incomplete: bool = False
    """The server would wait for more: the client ends its side."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of one connection."""

    status: int | None
    """Status of the answer; None where the server closed the connection without one."""
    sent: bytes
    """The beginning of what was sent."""


class AttackRequests:
    """An endless supply of requests to one server."""

    def __init__(self, openapi: dict[str, Any], *, ids: Sequence[str], key: str, seed: int) -> None:
        """Prepare requests.

        Args:
            openapi: the server's description of its routes.
            ids: some ids of users and items that exist.
            key: an API key with every scope.
            seed: of the choices.
        """
        self._random = random.Random(seed)  # noqa: S311  no secret
        self._ids, self._key = ids, key
        self._routes = [
            (method.upper(), path, operation)
            for path, methods in openapi["paths"].items()
            for method, operation in methods.items()
        ]

    def __iter__(self) -> Iterator[AttackRequest]:
        """Yield one connection after another."""
        while True:
            method, path, operation = self._random.choice(self._routes)
            target = self._target(path, operation)
            body = self._body() if method != "GET" else b""
            if self._random.random() < _MALFORMED_SHARE:
                yield self._malformed(method, target, body)
            else:
                yield AttackRequest(self._framed(method, target, body))

    def _target(self, path: str, operation: dict[str, Any]) -> str:
        query = []
        for parameter in operation.get("parameters", ()):
            value = self._value()
            text = value if isinstance(value, str) else json.dumps(value)
            if parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", quote(text, safe="") or "%20")
            elif parameter["in"] == "query" and self._random.random() < 0.5:  # noqa: PLR2004  every second one
                query.append(f"{parameter['name']}={quote(text)}")
        return f"{path}?{'&'.join(query)}" if query else path

    def _value(self) -> Any:
        known = self._random.random() < 0.5  # noqa: PLR2004
        return self._random.choice(self._ids) if known else self._random.choice(_ODD_VALUES)

    def _body(self) -> bytes:
        choice, value = self._random.randrange(8), self._value
        event = {"user_id": value(), "item_id": value(), "timestamp": self._random.choice(_ODD_TEXTS)}
        bodies: tuple[Any, ...] = (
            {"events": [event]},
            {"events": [event] * 3, "more": value()},
            {"item_ids": [value(), value()], "k": value()},
            {"user_id": value(), "scenario": value(), "exclude": value()},
        )
        if choice < len(bodies):
            return json.dumps(bodies[choice]).encode("utf-8", "surrogatepass")
        return (
            b"[" * 2_000 + b"]" * 2_000,
            b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
            bytes(self._random.randbytes(200)),
            b'{"events": [',
        )[choice - len(bodies)]

    def _framed(self, method: str, target: str, body: bytes) -> bytes:
        lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
        if self._random.random() < 0.5:  # noqa: PLR2004
            lines.append(f"X-API-Key: {self._key}")
        if body:
            lines += [
                f"Content-Length: {len(body)}",
                f"Content-Type: {self._random.choice(_MEDIA_TYPES[:1] * 4 + _MEDIA_TYPES)}",
            ]
        return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body

    def _malformed(self, method: str, target: str, body: bytes) -> AttackRequest:
        line = f"{method} {target} HTTP/1.1\r\n".encode("latin-1", "replace")
        host = b"Host: 127.0.0.1\r\nConnection: close\r\nX-API-Key: " + self._key.encode() + b"\r\n"
        json_type = b"Content-Type: application/json\r\n"
        chunked = line + host + json_type + b"Transfer-Encoding: chunked\r\n\r\n"
        declared = line + host + json_type + b"Content-Length: "
        headers = b'Range: bytes=9-1\r\nAccept-Encoding: gzip;q=x, *;q=0\r\nIf-None-Match: ,,"\r\n\r\n'
        complete = (
            line + b"Connection: close\r\n\r\n",  # no Host
            line + host + b"Host: other\r\n\r\n",
            chunked + b"zz\r\nab\r\n0\r\n\r\n",
            chunked + b"-1\r\nab\r\n0\r\n\r\n",
            declared + b"-5\r\n\r\n" + body,
            declared + b"5\r\nContent-Length: 6\r\n\r\n123456",
            declared + b"4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            line.replace(b"HTTP/1.1", b"HTTP/3.7") + host + b"\r\n",
            line + host + b"X-Long: " + b"a" * 60_000 + b"\r\n\r\n",
            line + host + headers,
            b"GET\r\n\r\n",
        )
        incomplete = (
            chunked + b"fffffffffffffffff\r\nab",
            chunked + b"5\r\nab",
            declared + b"100\r\n\r\n" + body[:10],
            b"\x16\x03\x01\x02\x00\x01\x00",  # TLS
            line,
        )
        choice = self._random.randrange(len(complete) + len(incomplete))
        if choice < len(complete):
            return AttackRequest(complete[choice])
        return AttackRequest(incomplete[choice - len(complete)], incomplete=True)


def send(port: int, request: AttackRequest) -> Outcome:
    """Send a request on a connection of its own, and read the answer; of one without an end, the status."""
    with socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_SECONDS) as connection:
        response = HTTPResponse(connection)
        try:
            connection.sendall(request.sent)
            if request.incomplete:
                connection.shutdown(socket.SHUT_WR)
            response.begin()
            status: int | None = response.status
            if response.getheader("content-type", "").partition(";")[0] != "text/event-stream":
                response.read()
        except (OSError, HTTPException):
            status = None
        finally:
            response.close()
    return Outcome(status=status, sent=request.sent[:200])
