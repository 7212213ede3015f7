"""Real servers: start, load, swap, stop, and clients that behave badly."""

import asyncio
import json
import signal
import socket
import subprocess
import time
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from urllib.parse import quote

import httpx
import psutil
import pytest

from recsys_assets.api.http.auth import add_key
from recsys_assets.api_settings import ApiSettings
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import NOW
from recsys_assets_tests.api.servers import Server, ask, command, free_port, get, read_answer, running
from recsys_assets_tests.api.world import publish_release

CONNECTIONS = 50
MOVES = 20


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, dict[str, str]]:
    """A home with two releases of different items; release id -> how its item ids begin."""
    home = Home(tmp_path_factory.mktemp("two"))
    first = publish_release(home, prefix="a", seed=1)
    second = publish_release(home, prefix="b", seed=2, created_at=datetime(2024, 4, 2, tzinfo=UTC))
    return home, {first: "a", second: "b"}


def test_promoting_and_rolling_back_under_load_loses_and_mixes_nothing(
    two: tuple[Home, dict[str, str]],
) -> None:
    home, prefixes = two
    with running(home) as server:
        seen = asyncio.run(_ask_while_moving(server, ReleaseStore(home.releases), prefixes))
    assert seen == set(prefixes)


async def _ask_while_moving(server: Server, store: ReleaseStore, prefixes: dict[str, str]) -> set[str]:
    seen: set[str] = set()
    moving = True
    questions = [
        "/v1/users/u1/recommendations",
        "/v1/users/nobody/recommendations",
        "/v1/popular?k=30",
        "/v1/users/u7/recommendations?include_seen=true&k=60&reasons=true",
    ]

    async def keep_asking(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        paths = cycle(questions[number % 4 :] + questions[: number % 4])
        while moving:
            answer = await ask(reader, writer, get(next(paths)))
            assert answer.status == 200
            body = json.loads(answer.body)
            assert body["release"] == answer.headers["x-release-id"]
            plain = [item["item_id"] for item in body["items"] if item["item_id"][0] in "ab"]
            assert plain
            assert {item_id[0] for item_id in plain} == {prefixes[body["release"]]}
            seen.add(body["release"])
        writer.close()

    async def move() -> None:
        nonlocal moving
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            for number in range(MOVES):
                current = store.current_id()
                other = next(release for release in prefixes if release != current)
                if number % 2:
                    other = store.rollback()
                else:
                    store.promote(other)
                async with asyncio.timeout(30):
                    while (await ask(reader, writer, get("/v1/popular"))).headers["x-release-id"] != other:
                        pass
        finally:
            moving = False
        writer.close()

    async with asyncio.TaskGroup() as group:
        for number in range(CONNECTIONS):
            group.create_task(keep_asking(number))
        group.create_task(move())
    return seen


def test_sigterm_under_load_answers_open_requests_and_exits_cleanly(home: Home) -> None:
    with running(home) as server:
        whole, cut = asyncio.run(_ask_until_stopped(server))
        assert server.process.wait(timeout=60) == 0
    assert whole > 0
    assert cut == 0


async def _ask_until_stopped(server: Server) -> tuple[int, int]:
    """Answers that came whole, and answers that were cut off after their first byte."""
    whole = cut = 0

    async def keep_asking() -> None:
        nonlocal whole, cut
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        while True:
            try:
                answer = await ask(reader, writer, get("/v1/users/u1/recommendations"))
            except asyncio.IncompleteReadError as error:
                cut += bool(error.partial)
                return
            except ConnectionError:
                return
            assert answer.status == 200
            whole += 1
            if whole == 500:
                server.process.send_signal(signal.SIGTERM)

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(keep_asking())
    return whole, cut


@pytest.fixture(scope="module")
def server(home: Home) -> Server:
    """A server that the tests of bad behaviour share; it has to survive all of them."""
    settings = ApiSettings(body_timeout_seconds=1.0, max_body_bytes=100_000)
    with running(home, settings=settings) as found:
        yield found


HOSTILE_IDS = [
    "a/b",
    '"',
    "'; DROP TABLE item_features; --",
    "a\nb",
    "a\0b",
    "☕",
    "../../etc/passwd",
    "%",
    "\x7f",
    "x" * 4_000,
]


@pytest.mark.parametrize("item_id", HOSTILE_IDS)
def test_any_item_id_is_answered_as_documented(server: Server, item_id: str) -> None:
    encoded = quote(item_id, safe="")
    for path, statuses in (
        (f"/v1/items/{encoded}/similar", {404}),
        (f"/v1/items/{encoded}/features", {404}),
        (f"/v1/users/{encoded}/recommendations", {200}),
        (f"/v1/popular?exclude={encoded}&category={encoded[:500]}", {200}),
        (f"/v1/items?q={encoded[:200]}", {200}),
        (f"/static/{encoded}", {404}),
    ):
        answer = httpx.get(server.url + path)
        assert answer.status_code in statuses, path


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (get("/v1/popular?k=1000000000"), 400),
        (get("/static/../../../../../../etc/passwd"), 404),
        (get("/static/%2e%2e/%2e%2e/app.py"), 404),
        (get("/static/..%2f..%2fapp.py"), 404),
        (get("/v1/users/%ff%fe/recommendations"), 200),
        (get("//v1//popular"), 200),
        (b"POST /v1/recommendations HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n", 413),
        (b"POST /v1/recommendations HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", 408),
    ],
)
def test_raw_requests_are_answered_as_documented(server: Server, request_bytes: bytes, status: int) -> None:
    async def exchange() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        answer = await ask(reader, writer, request_bytes)
        writer.close()
        return answer.status

    assert asyncio.run(exchange()) == status


def test_a_body_of_ten_megabytes_is_rejected_without_being_kept(server: Server) -> None:
    before = _memory(server)
    for _ in range(5):
        try:
            answer = httpx.post(f"{server.url}/v1/recommendations", content=b"[" * 10_000_000)
            assert answer.status_code == 413
        except httpx.WriteError:
            pass  # the server closed the connection before all of it was sent, which is as good
    assert _memory(server) - before < 50


def test_half_open_requests_take_bounded_memory_and_others_are_answered(server: Server) -> None:
    asyncio.run(_half_open(server, count=400))


@pytest.mark.slow
def test_ten_thousand_half_open_requests_take_bounded_memory(server: Server) -> None:
    asyncio.run(_half_open(server, count=10_000))


async def _half_open(server: Server, *, count: int) -> None:
    before = _memory(server)
    waiting = []
    for _ in range(count):
        connection = socket.socket()
        connection.setblocking(False)  # noqa: FBT003  its own signature
        connection.connect_ex(("127.0.0.1", server.port))
        waiting.append(connection)
        await asyncio.sleep(0)
    for connection in waiting:
        try:
            connection.send(b"GET /v1/popular HTTP/1.1\r\nHost:")
        except OSError:
            continue  # not accepted yet: it waits in the backlog, which is bounded too
    grown = _memory(server) - before
    for connection in waiting:
        connection.close()
    status = 0
    async with asyncio.timeout(60):
        while status != 200:  # 503 until the server has noticed that they are gone
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(get("/v1/popular"))
            status = (await read_answer(reader)).status
            writer.close()
            await asyncio.sleep(0.05)
    assert grown < 150


def _memory(server: Server) -> float:
    """MB of all the server's processes."""
    root = psutil.Process(server.process.pid)
    return sum(one.memory_info().rss for one in [root, *root.children(recursive=True)]) / 2**20


def test_two_workers_see_each_others_events_at_once_and_add_up_their_metrics(
    tmp_path: Path, home: Home
) -> None:
    own = Home(tmp_path)
    own.releases.symlink_to(home.releases)
    _, secret = add_key(own, name="tests", scopes=["write"], now=NOW)
    path = "/v1/users/u5/recommendations"
    with running(own, workers=2) as server:
        first = httpx.get(server.url + path).json()["items"][0]["item_id"]
        event = {"events": [{"user_id": "u5", "item_id": first}]}
        sent = httpx.post(f"{server.url}/v1/events", json=event, headers={"X-API-Key": secret})
        assert sent.status_code == 202
        for _ in range(20):  # a new connection each, so that both workers answer
            items = httpx.get(server.url + path).json()["items"]
            assert first not in {item["item_id"] for item in items}
        lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    route = 'route="/v1/users/{user_id}/recommendations"'
    counts = [line for line in lines if line.startswith("recsys_request_seconds_count") and route in line]
    assert sum(float(line.split()[-1]) for line in counts) == 21


def test_workers_end_with_a_server_that_is_killed(home: Home) -> None:
    with running(home, workers=2) as server:
        workers = psutil.Process(server.process.pid).children(recursive=True)
        server.process.kill()
        _, alive = psutil.wait_procs(workers, timeout=30)
    assert len(workers) == 2
    assert alive == []


def test_a_server_that_is_stopped_while_its_workers_load_ends_at_once(home: Home) -> None:
    with subprocess.Popen(command(home, free_port(), workers=2), stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 60
        while len(psutil.Process(process.pid).children()) < 2:
            assert time.monotonic() < end
            time.sleep(0.005)
        process.terminate()
        assert process.wait(timeout=12) == 0  # a worker that does not end by itself is killed after 15 s
