"""Requests that no honest client sends, over real sockets: none is a failure of the server."""

import re
import socket
from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.http.auth import add_key
from recsys_assets.api.serving.slow_work import SlowWork
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import NOW
from recsys_assets_tests.api.servers import Server, running

SESSION, EVENTS, JSON = b"/v1/recommendations", b"/v1/events", b"application/json"
QUIETLY = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


class Hostile(NamedTuple):
    """A server, and a key that may write."""

    server: Server
    secret: str


@pytest.fixture(scope="module")
def hostile(home: Home) -> Iterator[Hostile]:
    secret = add_key(home, name="hostile", scopes=["write"], now=NOW)[1]
    with running(home) as server:
        yield Hostile(server, secret)


def status_of(hostile: Hostile, sent: bytes, *, aborted: bool = False) -> int:
    """Send bytes, and nothing more where `aborted`; the status of the answer."""
    with socket.create_connection(("127.0.0.1", hostile.server.port), timeout=30) as client:
        client.sendall(sent)
        if aborted:
            client.shutdown(socket.SHUT_WR)
        return int(client.makefile("rb").readline().split()[1])


def head(method: bytes, path: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join([method + b" " + path + b" HTTP/1.1", b"Host: here", *lines, b"", b""])


def post(path: bytes, body: bytes, *, secret: str, kind: bytes = JSON) -> bytes:
    lines = [b"Content-Type: " + kind, b"X-API-Key: " + secret.encode(), b"Content-Length: %d" % len(body)]
    return head(b"POST", path, *lines) + body


def failures(hostile: Hostile) -> list[str]:
    """Lines of the metrics that count failures of the server."""
    text = httpx.get(f"{hostile.server.url}/metrics").text
    return re.findall(r'recsys_request_seconds_count\{.*status="(?:5\d\d|0)".*', text)


def event(timestamp: bytes) -> bytes:
    return b'{"events":[{"user_id":"1","item_id":"2","timestamp":"' + timestamp + b'"}]}'


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"item_ids":' + b"[" * 2_000 + b"]" * 2_000 + b"}",
        b'{"k":7.0,"item_ids":["1"],"x":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'{"x":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001,
        b'{"item_ids":["\xff\xfe"]}',
        b'{"k":' + b"9" * 5_000 + b',"item_ids":["1"]}',
        b'{"k":1e400,"item_ids":["1"]}',
        b'{"item_ids":["' + b"i" * 60_000 + b'"]}',
        b'{"item_ids":[' + b"1," * 400_000 + b"1]}",
        b"",
    ],
    ids=lambda body: str(body[:24]),
)
def test_a_body_that_is_deep_long_or_garbage_is_a_400(hostile: Hostile, body: bytes) -> None:
    assert status_of(hostile, post(SESSION, body, secret=hostile.secret)) == 400


@pytest.mark.parametrize("when", [b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59-14:00"])
def test_a_time_whose_offset_leaves_the_calendar_is_a_400(hostile: Hostile, when: bytes) -> None:
    assert status_of(hostile, post(EVENTS, event(when), secret=hostile.secret)) == 400


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (b"text/plain", 415),
        (b"application/x-www-form-urlencoded", 415),
        (b"application/json; charset=latin-1", 415),
        (b"application/json" + b" " * 50_000 + b"x", 415),
        (b"application/" + b"a+" * 25_000 + b"x", 415),
        (b"application/json;charset=UTF-8", 200),
        (b"application/vnd.shop+json", 200),
    ],
)
def test_a_body_is_json_only_where_it_says_so(hostile: Hostile, kind: bytes, status: int) -> None:
    assert (
        status_of(hostile, post(SESSION, b'{"item_ids":["i1"]}', secret=hostile.secret, kind=kind)) == status
    )


@pytest.mark.parametrize(
    "sent",
    [
        head(b"POST", SESSION, b"Content-Type: application/json", b"Content-Length: 500") + b'{"item',
        head(b"POST", SESSION, b"Content-Type: application/json", b"Transfer-Encoding: chunked")
        + b"ZZ\r\nab\r\n",
        head(b"POST", SESSION, b"Content-Type: application/json", b"Transfer-Encoding: chunked")
        + b'5\r\n{"k":\r\nFFFFFFFFFFFFFFFFFFFF\r\n',
        b"GET /v1/popular HTTP/1.1\r\n\r\n",
        b"GET /v1/popular HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        head(b"POST", SESSION, b"Content-Length: -1"),
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    ],
    ids=["aborted", "no chunk size", "huge chunk size", "no Host", "two Hosts", "negative length", "TLS"],
)
def test_a_broken_message_is_a_400(hostile: Hostile, sent: bytes) -> None:
    assert status_of(hostile, sent, aborted=sent.endswith(b'{"item')) == 400


@pytest.mark.parametrize("character", [b"a", b"%00", b"%2f"])
def test_an_id_of_60_kb_is_a_414(hostile: Hostile, character: bytes) -> None:
    name = character * (60_000 // len(character))
    assert status_of(hostile, head(b"GET", b"/v1/users/" + name + b"/recommendations")) == 414


def test_clients_that_go_away_are_no_failures_of_the_server(hostile: Hostile) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", hostile.server.port)) as client:
            client.sendall(head(b"POST", SESSION, b"Content-Length: 500") + b'{"item')
        with socket.create_connection(("127.0.0.1", hostile.server.port)) as client:
            client.sendall(head(b"GET", b"/v1/items?q=brand"))
    assert failures(hostile) == []


PIECES = st.sampled_from(
    rb"/ ? & = % %00 %ff null -1 1e400 nan k q exclude ' \" * \ /v1/users/u1/recommendations /v1/items /v1/popular"
    rb" /similar /static/ /v1/quality cohort=favourite_brand: scenario=home explain=true category= %c3%a9 \xc3".split()
)


@given(
    pieces=st.lists(st.one_of(PIECES, st.binary(max_size=6)), max_size=12),
    method=st.sampled_from([b"GET", b"POST"]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=QUIETLY, database=None)
def test_no_path_or_query_makes_the_server_fail(hostile: Hostile, pieces: list[bytes], method: bytes) -> None:
    path = re.sub(rb"[\x00-\x20\x7f]", b"+", b"/" + b"".join(pieces))
    assert status_of(hostile, head(method, path, b"X-API-Key: " + hostile.secret.encode())) < 500


@given(
    body=st.one_of(st.binary(max_size=200), st.text(alphabet='{}[]",:0123456789.eE-kitem_ds\\u', max_size=80))
)
@settings(max_examples=150, deadline=None, suppress_health_check=QUIETLY, database=None)
def test_no_body_makes_the_server_fail(hostile: Hostile, body: bytes | str) -> None:
    sent = body if isinstance(body, bytes) else body.encode()
    for path in (SESSION, EVENTS, b"/v1/features:batchGet"):
        assert status_of(hostile, post(path, sent, secret=hostile.secret)) < 500


@pytest.mark.parametrize(
    "path", ["/v1/items?q=tea", "/v1/quality", "/v1/users/u1/recommendations?k=500", "/metrics"]
)
def test_slow_work_beyond_the_queue_is_a_503_with_retry_after(
    client: TestClient[Litestar], path: str
) -> None:
    client.app.state.service.slow = SlowWork(threads=0, waiting=0)
    answer = client.get(path)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert client.get("/v1/users/u1/recommendations").status_code == 200
    assert client.get("/health/ready").status_code == 200


def test_a_503_names_no_path_of_the_server(client: TestClient[Litestar], own: Home) -> None:
    own.events_db.unlink(missing_ok=True)
    own.events_db.mkdir()
    secret = add_key(own, name="w", scopes=["write"], now=NOW)[1]
    client.app.state.service.keys.refresh()
    answer = client.post("/v1/events", content=event(b"2024-04-01T00:00:00Z"), headers={"X-API-Key": secret})

    assert answer.status_code == 503
    assert str(own.root) not in answer.text
