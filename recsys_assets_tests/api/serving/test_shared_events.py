"""Two API processes on two machines share one server of events: each has the other's events, and outlives it."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.intake.event_meaning import EventOptions
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import NOW, key_header
from recsys_assets_tests.event_servers import EventServer

Client = TestClient[Litestar]


@pytest.fixture(params=["postgres", "nats"])
def server(request: pytest.FixtureRequest) -> EventServer:
    found: EventServer = request.getfixturevalue(f"{request.param}_events")
    return found


@pytest.fixture
def clients(home: Home, server: EventServer, tmp_path: Path) -> Iterator[list[Client]]:
    """Two machines: a home each over the same release, and one log."""
    options = EventOptions(events=server.settings())
    with ExitStack() as opened:
        found = []
        for name in ("one", "two"):
            own = Home(tmp_path / name)
            own.root.mkdir()
            own.releases.symlink_to(home.releases)
            client = opened.enter_context(
                TestClient(create_app(own, events=options, clock=lambda: NOW), raise_server_exceptions=False)
            )
            client.headers.update(key_header(own, client, "write"))
            found.append(client)
        yield found


def listed(client: Client, user: str) -> list[str]:
    answer = client.get(f"/v1/users/{user}/recommendations?k=100").json()
    return [item["item_id"] for item in answer["items"]]


def send(client: Client, item: str, user: str = "u1") -> int:
    event = {"user_id": user, "item_id": item, "event_id": f"{user} {item}"}
    return client.post("/v1/events", json=event).status_code


def until(is_so: Callable[[], bool], *, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_event_hides_its_item_at_once_for_its_sender_and_soon_on_the_other_machine(clients) -> None:
    one, two = clients
    item = listed(one, "u1")[0]
    assert item in listed(two, "u1")
    assert send(one, item) == 202
    assert item not in listed(one, "u1")
    until(lambda: item not in listed(two, "u1"))


def test_an_event_is_a_duplicate_on_whatever_machine_it_comes_again(clients) -> None:
    event = {"user_id": "u2", "item_id": "i4", "event_id": "once", "timestamp": "2024-04-01T10:00:00Z"}
    answers = [client.post("/v1/events", json=event).json() for client in (*clients, *clients)]
    assert [answer["accepted"] for answer in answers] == [1, 0, 0, 0]
    other = {**event, "item_id": "i5"}
    assert [client.post("/v1/events", json=other).status_code for client in clients] == [409, 409]


def test_a_merge_holds_on_both_machines_and_a_contradiction_is_rejected_on_both(clients) -> None:
    one, two = clients
    item = listed(one, "u3")[0]
    assert send(one, item, user="anon-1") == 202
    merge = {"from": "anon-1", "to": "u3"}
    assert one.post("/v1/users/merge", json=merge).json() == {"user_id": "u3", "new": True}
    until(lambda: item not in listed(two, "u3"))
    assert two.post("/v1/users/merge", json=merge).json() == {"user_id": "u3", "new": False}
    other = {"from": "anon-1", "to": "u4"}
    assert [client.post("/v1/users/merge", json=other).status_code for client in clients] == [409, 409]


def test_an_impression_is_taken_on_another_machine_than_the_one_that_answered(clients) -> None:
    one, two = clients
    answer = one.get("/v1/users/u6/recommendations").json()
    shown = {"answer_id": answer["id"], "user_id": "u6", "items": [answer["items"][0]["item_id"]]}
    until(lambda: two.post("/v1/impressions", json=shown).status_code == 202)
    assert one.post("/v1/impressions", json=shown).json() == {"accepted": 0, "duplicates": 1}
    made_up = {**shown, "answer_id": answer["id"].rpartition(".")[0] + ".000000001"}
    assert two.post("/v1/impressions", json=made_up).status_code == 400


def test_without_the_server_events_get_503_and_lists_go_on_until_it_is_back(clients, server) -> None:
    one, two = clients
    before = listed(two, "u5")
    server.kill()
    try:
        rejected = one.post("/v1/events", json={"user_id": "u5", "item_id": before[0], "event_id": "e"})
        assert rejected.status_code == 503
        assert rejected.headers["retry-after"] == "1"
        assert "with the same event_id" in rejected.json()["detail"]
        assert listed(two, "u5") == before
        until(lambda: "no answer" in one.get("/health/ready").json()["problems"].get("event server", ""))
        assert one.get("/health/ready").status_code == 200
    finally:
        server.start()
    until(lambda: send(one, before[1], user="u5") == 202)
    until(lambda: before[1] not in listed(two, "u5"))
    until(lambda: not one.get("/health/ready").json().get("problems"))
