"""Two users merged over HTTP, and what both have from then on."""

import time

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import NOW, key_header

Client = TestClient[Litestar]


@pytest.fixture
def writer(own: Home, client: Client) -> dict[str, str]:
    return key_header(own, client, "write")


def merge(client: Client, writer: dict[str, str], before: str, after: str):
    return client.post("/v1/users/merge", json={"from": before, "to": after}, headers=writer)


def take(client: Client, writer: dict[str, str], user: str, item: str) -> None:
    events = {"events": [{"user_id": user, "item_id": item}]}
    assert client.post("/v1/events", json=events, headers=writer).status_code == 202


def listed(client: Client, user: str) -> list[str]:
    answer = client.get(f"/v1/users/{user}/recommendations?k=100").json()
    return [item["item_id"] for item in answer["items"]]


def test_what_an_anonymous_user_took_is_on_no_list_of_the_account_and_the_tag_changes(client, writer):
    tag = client.get("/v1/users/u1/recommendations").headers["etag"]
    first = listed(client, "u1")[0]
    take(client, writer, "anon-7", first)
    assert first in listed(client, "u1")
    assert merge(client, writer, "anon-7", "u1").json() == {"user_id": "u1", "new": True}
    assert first not in listed(client, "u1")
    assert first not in listed(client, "anon-7")
    again = client.get("/v1/users/u1/recommendations", headers={"If-None-Match": tag})
    assert again.status_code == 200


def test_histories_of_both_count_for_both(client, writer):
    history = {user: client.get(f"/v1/users/{user}/history?k=500").json() for user in ("u1", "u2")}
    have = {item["item_id"] for one in history.values() for item in one["items"]}
    merge(client, writer, "u1", "u2")
    for user in ("u1", "u2"):
        assert {
            item["item_id"] for item in client.get(f"/v1/users/{user}/history?k=500").json()["items"]
        } == have
        assert not have & set(listed(client, user))
    assert listed(client, "u1") == listed(client, "u2")


def test_other_users_keep_their_answers(client, writer):
    before = client.get("/v1/users/u3/recommendations")
    merge(client, writer, "u1", "u2")
    same = client.get("/v1/users/u3/recommendations", headers={"If-None-Match": before.headers["etag"]})
    assert same.status_code == 304


def test_the_same_merge_again_is_answered_as_before(client, writer):
    assert merge(client, writer, "anon-7", "u1").json()["new"] is True
    assert merge(client, writer, "anon-7", "u1").json() == {"user_id": "u1", "new": False}


def test_merges_form_chains(client, writer):
    merge(client, writer, "anon-7", "anon-8")
    assert merge(client, writer, "anon-8", "u1").json()["user_id"] == "u1"
    take(client, writer, "anon-7", "i1")
    assert "i1" not in listed(client, "u1")


@pytest.mark.parametrize(
    ("before", "after"),
    [("anon-7", "u2"), ("u1", "anon-7"), ("u1", "u1")],
    ids=["into a third", "into each other", "into itself"],
)
def test_a_merge_that_contradicts_an_earlier_one_is_a_conflict(client, writer, before, after):
    merge(client, writer, "anon-7", "u1")
    answer = merge(client, writer, before, after)
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert "merge" in answer.json()["detail"]


def test_a_merge_needs_the_scope_write(own, client):
    assert merge(client, {}, "a", "b").status_code == 401
    assert merge(client, key_header(own, client, "read"), "a", "b").status_code == 403


def test_other_workers_follow_a_merge(own, client, writer):
    with TestClient(create_app(own, clock=lambda: NOW)) as other:
        before = listed(other, "u1")
        take(client, writer, "anon-7", before[0])
        merge(client, writer, "anon-7", "u1")
        end = time.monotonic() + 10
        while before[0] in listed(other, "u1") and time.monotonic() < end:
            pass
        assert before[0] not in listed(other, "u1")
