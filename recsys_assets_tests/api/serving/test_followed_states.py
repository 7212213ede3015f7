"""Item states in real servers: several workers, rows computed ahead, under load, and after a restart."""

import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import NamedTuple

import httpx
import pytest

from recsys_assets.api.http.auth import add_key
from recsys_assets.api.serving.followed_states import FollowedStates
from recsys_assets.api.serving.serving_release import Serving
from recsys_assets.errors import ItemStatesUnavailableError
from recsys_assets.intake.item_states import StateChange
from recsys_assets.intake.newest_catalogue import CatalogueRow, write_newest
from recsys_assets.intake.state_store import StateStore
from recsys_assets_tests.api.conftest import NOW
from recsys_assets_tests.api.servers import running

IN_FORCE = 1.0
"""Seconds after which every worker heeds a change."""
LISTS = [
    *(f"/v1/users/u{user}/recommendations?k=20" for user in range(4)),
    *(f"/v1/users/u{user}/recommendations?k=20&scenario=home" for user in range(2)),
    "/v1/users/u1/recommendations?include_seen=true&k=40",
    "/v1/users/u1/recommendations?category=Coffee",
    "/v1/users/u1/recommendations?budget_ms=0",
    "/v1/users/stranger/recommendations?k=20",
    "/v1/users/stranger/recommendations?k=20&scenario=home",
    "/v1/items/i17/similar?k=20",
    "/v1/items/i5/similar?k=20&category=Coffee",
    "/v1/popular?k=40",
    "/v1/popular?category=Coffee&k=40",
]
"""Lists of every kind."""


class Seen(NamedTuple):
    """One answer."""

    path: str
    sent: float
    """Time of the request, by the monotonic clock, s."""
    ids: set[str]


def load(url: str, in_force: "Future[float]") -> list[Seen]:
    """Request one list after another until each was requested after `in_force`, a time by the monotonic clock.

    Each has a connection of its own, so that every worker answers some.
    """
    seen, late = [], 0
    with httpx.Client(base_url=url, headers={"connection": "close"}, timeout=30) as client:
        for path in cycle(LISTS):
            sent = time.monotonic()
            answer = client.get(path)
            assert answer.status_code == 200, answer.text
            seen.append(Seen(path, sent, {item["item_id"] for item in answer.json()["items"]}))
            late += in_force.done() and sent >= in_force.result()
            if late >= 2 * len(LISTS):
                break
    return seen


def test_a_hidden_item_is_on_no_list_of_any_worker_under_load_and_after_a_restart(own):
    key = {"X-API-Key": add_key(own, name="shop", scopes=["write"], now=NOW)[1]}
    with running(own, workers=2) as server, ThreadPoolExecutor(4) as pool:
        before = [httpx.get(f"{server.url}{path}").json()["items"] for path in LISTS]
        hidden = {item["item_id"] for items in before for item in items[:2] if item["item_id"].isalnum()}
        in_force = Future[float]()
        loads = [pool.submit(load, server.url, in_force) for _ in range(4)]
        body = {"items": [{"item_id": item, "hidden": True} for item in hidden], "why": "recalled"}
        try:
            changed = httpx.put(f"{server.url}/v1/item-states", json=body, headers=key, timeout=30)
        finally:  # else the loads would never end
            in_force.set_result(time.monotonic() + IN_FORCE)
        assert changed.status_code == 200
        seen = [one for done in loads for one in done.result()]
        late = [one for one in seen if one.sent >= in_force.result()]
        assert {one.path for one in late} == set(LISTS)
        assert [(one.path, one.ids & hidden) for one in late if one.ids & hidden] == []
    with running(own, workers=2) as server:
        for path in LISTS:
            items = httpx.get(f"{server.url}{path}").json()["items"]
            assert not hidden & {item["item_id"] for item in items}, path


def test_a_command_without_a_server_counts_in_a_running_one(own):
    with running(own) as server:
        first = httpx.get(f"{server.url}/v1/popular").json()["items"][0]["item_id"]
        StateStore(own.item_states_db).put(
            {first: StateChange(hidden=True)}, by="shell", now=datetime.now(UTC)
        )
        deadline = time.monotonic() + 30
        while first in {item["item_id"] for item in httpx.get(f"{server.url}/v1/popular").json()["items"]}:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_state_that_ends_by_the_clock_is_no_longer_heeded(own, release):
    now = NOW
    states = FollowedStates(own, clock=lambda: now)
    serving = Serving(release, own)
    serving.rules.bind()
    item = release.items[int(release.popular_items[0])]
    states.store.put({item: StateChange(hidden=True, until=NOW + timedelta(hours=1))}, by="shop", now=NOW)
    states.refresh([serving])
    version = serving.states.version
    assert serving.states.gone == 1
    now = NOW + timedelta(hours=1)
    states.refresh([serving])
    assert serving.states.gone_I is None
    assert serving.states.version > version


def test_a_store_that_cannot_be_read_at_the_start_is_a_problem_of_health_and_no_end(own):
    own.item_states_db.write_bytes(b"no database" * 1000)
    with running(own) as server:
        health = f"{server.url}/health/ready"
        deadline = time.monotonic() + 30
        while "item states" not in httpx.get(health).json().get("problems", {}):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert httpx.get(health).status_code == 200
        assert httpx.get(f"{server.url}/v1/popular").status_code == 200


def test_a_release_older_than_the_catalogue_is_served_with_its_categories_and_prices(own, release):
    write_newest(own.catalogue_now, [CatalogueRow("i5", "Fish", 0.25), CatalogueRow("i6", None, None)])
    serving = Serving(release, own)
    serving.rules.bind()
    FollowedStates(own).refresh_catalogue([serving])
    num = release.items.num("i5")
    assert serving.plain.lookups.of_category("Fish").tolist() == [num]
    assert '"category":"Fish"' in serving.items.open(num)
    assert serving.states.prices == {num: 0.25}
    assert serving.states.version == 1


def test_a_state_wins_over_the_catalogue(own, release):
    write_newest(own.catalogue_now, [CatalogueRow("i5", "Fish", 0.25)])
    serving = Serving(release, own)
    states = FollowedStates(own)
    states.store.put({"i5": StateChange(price=7.0, categories=["Meat"])}, by="shop", now=NOW)
    states.refresh([serving])
    states.refresh_catalogue([serving])
    num = release.items.num("i5")
    assert (serving.states.prices[num], serving.states.categories[num]) == (7.0, "Meat")


def test_a_release_as_new_as_the_catalogue_needs_none_of_it(own, release):
    write_newest(own.catalogue_now, [CatalogueRow("i5", "Fish", 0.25)])
    before = release.manifest.created_at.timestamp() - 1
    os.utime(own.catalogue_now, (before, before))
    serving = Serving(release, own)
    FollowedStates(own).refresh_catalogue([serving])
    assert (serving.states.version, dict(serving.states.categories)) == (0, {})


def test_states_hold_though_the_catalogue_cannot_be_read(own, release):
    write_newest(own.catalogue_now, [CatalogueRow("i5", "Fish", 0.25)])
    os.truncate(own.catalogue_now / "prices.npy", 3)
    serving = Serving(release, own)
    states = FollowedStates(own)
    states.store.put({"i5": StateChange(hidden=True)}, by="shop", now=NOW)
    states.refresh([serving])
    with pytest.raises(ItemStatesUnavailableError, match="newest catalogue cannot be read"):
        states.refresh_catalogue([serving])
    assert serving.states.gone == 1
