"""Requests that write into a home, sent to a replica."""

import pytest
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.api.serving.replica_note import ReplicaNote, write_note
from recsys_assets.intake.event_meaning import EventOptions
from recsys_assets_tests.api.conftest import NOW, key_header
from recsys_assets_tests.event_servers import event_server

WRITES = [
    ("POST", "/v1/releases:promote", {"release": "20240101-0123456789"}, "admin"),
    ("PUT", "/v1/items/i1/state", {"hidden": True}, "write"),
    ("DELETE", "/v1/items/i1/state", None, "write"),
    ("PUT", "/v1/item-states", {"states": []}, "write"),
    ("DELETE", "/v1/users/u1", None, "admin"),
    ("POST", "/v1/events", {"user_id": "u1", "item_id": "i1", "kind": "view"}, "write"),
    ("POST", "/v1/impressions", {"answer_id": "a", "user_id": "u1", "items": ["i1"]}, "write"),
    ("POST", "/v1/users/merge", {"from": "a", "to": "b"}, "write"),
]


@pytest.fixture
def own(own):
    write_note(own, ReplicaNote(url="s3://bucket/home"))
    return own


@pytest.mark.parametrize(("method", "path", "body", "scope"), WRITES)
def test_a_replica_says_where_it_can_be_done(client, method, path, body, scope):
    answer = client.request(method, path, json=body, headers=key_header(client.home, client, scope))
    assert answer.status_code == 409, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith("this server is a replica of s3://bucket/home, and ")
    assert "machine that builds" in answer.text or "API there" in answer.text


@pytest.mark.parametrize(("method", "path", "body"), [write[:3] for write in WRITES])
def test_without_a_key_a_replica_says_nothing_else(client, method, path, body):
    assert client.request(method, path, json=body).status_code == 401


def test_a_replica_answers_what_only_reads(client):
    assert client.get("/v1/users/u1/recommendations").status_code == 200
    assert client.post("/v1/recommendations", json={"item_ids": ["i1"]}).status_code == 200


def test_health_says_what_keeps_a_replica_from_its_store(client):
    problem = "s3://bucket/home: no answer since 2026-01-01 12:00:00 UTC"
    write_note(client.home, ReplicaNote(url="s3://bucket/home", problem=problem))
    live = client.app.state.service.live
    next(one for one in live.followers if one.name == "object store").look()
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["problems"]) == (200, {"object store": problem})


def test_a_replica_takes_events_for_a_server_that_machines_share(own):
    with event_server("nats") as server:
        app = create_app(own, events=EventOptions(events=server.settings()), clock=lambda: NOW)
        with TestClient(app) as client:
            writer = key_header(own, client, "write")
            event = {"user_id": "u1", "item_id": "i1", "event_id": "e1"}
            assert client.post("/v1/events", json=event, headers=writer).json()["accepted"] == 1
            assert client.put("/v1/items/i1/state", json={"hidden": True}, headers=writer).status_code == 409
