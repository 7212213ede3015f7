"""Servers of two homes with one store: a state changed at one is heeded by the other, and an outage is said."""

import time
from datetime import UTC, datetime

import httpx
import pytest

from recsys_assets.api.http.auth import add_key
from recsys_assets.intake.states_of_home import states_of
from recsys_assets.intake.states_record import STATES_KEY
from recsys_assets.storage.home import Home
from recsys_assets.storage.local_objects import LocalObjects
from recsys_assets.storage.store_binding import bind
from recsys_assets_tests.api.replicas import until
from recsys_assets_tests.api.servers import running
from recsys_assets_tests.api.world import publish_release


@pytest.fixture
def home(tmp_path) -> Home:
    """A home with a release, bound to a store in a folder."""
    home = Home(tmp_path / "home")
    publish_release(home, seed=0)
    bind(home, {"RECSYS_STORAGE__ROOT": f"file://{tmp_path}/store"})
    return home


@pytest.fixture
def key(home) -> dict[str, str]:
    return {"X-API-Key": add_key(home, name="shop", scopes=["read", "write"], now=datetime.now(UTC))[1]}


def test_a_state_changed_at_a_server_is_in_the_store_once_it_has_answered(home, key, tmp_path):
    other = Home(tmp_path / "other")
    bind(other, {"RECSYS_STORAGE__ROOT": f"file://{tmp_path}/store"})
    theirs = states_of(other)
    with running(home, workers=2) as server:
        answer = httpx.put(f"{server.url}/v1/items/i1/state", json={"hidden": True}, headers=key)
        assert "waiting" not in answer.json()
        theirs.shared.exchange(datetime.now(UTC))
        assert theirs.refresh(datetime.now(UTC)).states["i1"].hidden
        theirs.take_back(["i1"], by="shell", why="", now=datetime.now(UTC))
        place = f"{server.url}/v1/items/i1/state"
        until(lambda: httpx.get(place, headers=key).json()["state"] is None, seconds=20)


def test_a_store_that_cannot_be_used_is_named_by_the_answer_and_by_health(home, key, tmp_path):
    store = LocalObjects(tmp_path / "store")
    with running(home) as server:
        place = f"{server.url}/v1/items/i1/state"
        store.put(STATES_KEY, b"{")
        answer = httpx.put(place, json={"hidden": True}, headers=key)
        assert answer.status_code == 200
        assert answer.json()["state"]["hidden"]
        assert answer.json()["waiting"].startswith(
            "other machines do not know of a change of item states yet"
        )
        health = f"{server.url}/health/ready"
        until(lambda: "do not know" in str(httpx.get(health).json()["problems"]), seconds=20)
        many = {"items": [{"item_id": "i2", "hidden": True}]}
        again = httpx.put(f"{server.url}/v1/item-states", json=many, headers=key).json()
        assert "do not know of 2 changes" in again["waiting"]
        store.delete([STATES_KEY])
        until(lambda: not httpx.get(health).json()["problems"], seconds=20)
        assert "waiting" not in httpx.get(place, headers=key).json()
    assert b'"i1"' in store.get(STATES_KEY).content
    assert b'"i2"' in store.get(STATES_KEY).content


def test_a_change_that_waits_is_sent_after_a_restart(home, key, tmp_path):
    store = LocalObjects(tmp_path / "store")
    store.put(STATES_KEY, b"{")
    with running(home) as server:
        httpx.put(f"{server.url}/v1/items/i1/state", json={"hidden": True}, headers=key)
    store.delete([STATES_KEY])
    with running(home) as server:
        assert httpx.get(f"{server.url}/v1/items/i1/state", headers=key).json()["state"]["hidden"]
        end = time.monotonic() + 20
        while not any(store.list(STATES_KEY)):
            assert time.monotonic() < end
            time.sleep(0.02)
