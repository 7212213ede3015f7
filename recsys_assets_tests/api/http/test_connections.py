"""Connections that are held: real sockets against a real server, and the deadlines by stated figures."""

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic

import httpx
import pytest

from recsys_assets.api.http.connections import WATCHED, Connection, peer_of
from recsys_assets.api_settings import ApiSettings
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.servers import Server, get, running

pytestmark = pytest.mark.skipif(not WATCHED, reason="this system does not say what its connections do")

MOST, MOST_EACH = 16, 4
SLOW_BODY = (
    b"POST /v1/recommendations HTTP/1.1\r\nHost: x\r\n"
    b"Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
)
ELSEWHERE = "127.0.0.2"
"""An address of this machine that is treated as another one's."""


@pytest.fixture(scope="module")
def server(home: Home) -> Iterator[Server]:
    settings = ApiSettings(
        max_connections=MOST,
        max_connections_per_address=MOST_EACH,
        idle_timeout_seconds=60,
        write_timeout_seconds=1,
        body_timeout_seconds=60,
    )
    with running(home, settings=settings) as found:
        yield found


@contextmanager
def connected(
    server: Server, *, source: str = "127.0.0.1", buffer: int | None = None
) -> Iterator[socket.socket]:
    with socket.socket() as client:
        if buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        client.settimeout(30)
        client.bind((source, 0))
        client.connect(("127.0.0.1", server.port))
        yield client


def is_cut(client: socket.socket) -> bool:
    """Read until the server closes the connection; False where it stays open."""
    try:
        while client.recv(65_536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def cut_among(held: list[socket.socket], *, count: int) -> list[socket.socket]:
    """Wait until the server closed `count` of the connections, none of which sent anything."""
    deadline = monotonic() + 30
    while len(found := select.select(held, [], [], 0.05)[0]) < count:
        assert monotonic() < deadline
    return found


def status_of(client: socket.socket, path: str = "/v1/popular") -> int:
    client.sendall(get(path))
    return int(client.recv(65_536).split()[1])


def test_the_oldest_idle_connections_make_room_for_new_ones(server: Server) -> None:
    with ExitStack() as stack:
        first = [stack.enter_context(connected(server)) for _ in range(MOST)]
        assert {status_of(first[0]) for _ in range(20)} == {200}  # the kernel's clock has moved on
        later = [stack.enter_context(connected(server)) for _ in range(MOST)]
        assert set(cut_among(first + later, count=MOST)) >= set(first[1:])
        assert status_of(stack.enter_context(connected(server))) == 200


def test_clients_that_keep_sending_requests_do_not_lock_out_a_new_one(server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(20 * MOST):
            stack.enter_context(connected(server)).sendall(get("/nowhere"))
        assert httpx.get(f"{server.url}/health/ready").status_code == 200
        while (answer := httpx.get(f"{server.url}/v1/popular")).status_code == 503:
            assert answer.headers["retry-after"] == "1"
        assert answer.status_code == 200


def test_requests_under_way_stay_and_new_ones_are_rejected_at_once_but_for_health(server: Server) -> None:
    with ExitStack() as stack:
        busy = [stack.enter_context(connected(server)) for _ in range(2 * MOST)]
        for client in busy:
            client.sendall(SLOW_BODY)
        answer = httpx.get(f"{server.url}/v1/popular")
        while answer.status_code == 200:  # until the server has looked at its connections
            answer = httpx.get(f"{server.url}/v1/popular")
        assert answer.status_code == 503
        assert (answer.headers["retry-after"], answer.headers["connection"]) == ("1", "close")
        assert answer.headers["content-type"] == "application/problem+json"
        assert httpx.get(f"{server.url}/health/ready").status_code == 200
        for client in busy:
            client.sendall(b"x" * 98)
            assert client.recv(65_536).startswith(b"HTTP/1.1 400 ")


def test_an_address_has_a_share_of_the_connections(server: Server) -> None:
    with ExitStack() as stack:
        ours = stack.enter_context(connected(server))
        held = [stack.enter_context(connected(server, source=ELSEWHERE)) for _ in range(MOST_EACH + 3)]
        cut = cut_among(held, count=3)
        assert len(cut) == 3
        assert {status_of(client) for client in {ours, *held} - set(cut)} == {200}


def test_a_client_that_does_not_read_is_cut(server: Server) -> None:
    with connected(server, buffer=4_096) as client:
        client.sendall(get("/v1/popular?k=60") * 2_000)
        while True:  # until nothing of it is left to be read
            try:
                client.sendall(get("/v1/popular?k=60"))
            except OSError:
                break


def test_a_connection_without_a_request_is_closed(home: Home) -> None:
    settings = ApiSettings(idle_timeout_seconds=1)
    with running(home, settings=settings) as server, connected(server) as silent, connected(server) as idle:
        assert status_of(idle) == 200
        assert is_cut(silent)
        assert is_cut(idle)


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        (("192.0.2.1", 80), ("192.0.2.1", "80")),
        (("192.0.2.1", "80"), ("192.0.2.1", "80")),
        (("::ffff:192.0.2.1", 80, 0, 0), ("192.0.2.1", "80")),
        (("fe80::1%eth0", 80, 0, 2), ("fe80::1", "80")),
        (None, ("unknown", "")),
    ],
)
def test_a_client_has_one_name_wherever_it_is_read(
    address: tuple[object, ...], peer: tuple[str, str]
) -> None:
    assert peer_of(address) == peer


def figures(*, unacked: int = 0, acked: int = 0, received: int = 0, unsent: int = 0, answers: int = 0):
    return 1, unacked, 0, acked, received, unsent, answers


def test_a_request_that_comes_byte_by_byte_has_a_deadline() -> None:
    connection = Connection(("192.0.2.1", "1"), 0.0)
    late = [
        connection.overdue(figures(received=1 + second), busy=False, now=float(second), write_seconds=20)
        for second in range(12)
    ]
    assert late.index(True) == 10


def test_a_request_that_is_being_answered_has_none() -> None:
    connection = Connection(("192.0.2.1", "1"), 0.0)
    for second in range(60):
        assert not connection.overdue(figures(received=80), busy=True, now=float(second), write_seconds=20)
    assert not connection.overdue(
        figures(received=80, answers=1, acked=500), busy=False, now=60.0, write_seconds=20
    )


@pytest.mark.parametrize(("bytes_a_second", "cut"), [(0, True), (200, True), (2_000, False)])
def test_a_client_has_to_read_at_a_least_rate(bytes_a_second: int, *, cut: bool) -> None:
    connection = Connection(("192.0.2.1", "1"), 0.0)
    late = [
        connection.overdue(
            figures(acked=second * bytes_a_second, unsent=9_000, received=80, answers=1),
            busy=False,
            now=float(second),
            write_seconds=20,
        )
        for second in range(100)
    ]
    assert any(late) is cut


def test_reading_slowly_but_to_the_end_is_no_fault() -> None:
    connection = Connection(("192.0.2.1", "1"), 0.0)
    for second in range(100):
        unread = 0 if second % 15 == 0 else 5
        assert not connection.overdue(
            figures(acked=second, unsent=unread, answers=1), busy=False, now=float(second), write_seconds=20
        )
