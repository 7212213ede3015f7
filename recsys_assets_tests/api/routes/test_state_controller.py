"""Item states over HTTP: merged, listed, logged, and heeded by every list at once."""

from datetime import timedelta

import pytest

from recsys_assets.intake.item_states import StateChange
from recsys_assets_tests.api.conftest import NOW, key_header
from recsys_assets_tests.api.world import ODD_ITEM


@pytest.fixture
def write(client):
    return key_header(client.home, client, "write")


def ids(client, path, **query):
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return [item["item_id"] for item in answer.json()["items"]]


def lists_of(client):
    """Each endpoint that lists items, and its ids."""
    user, item = "/v1/users/u1/recommendations", "/v1/items/i17/similar"
    scenarios = [one["name"] for one in client.get("/v1/scenarios").json()["scenarios"]]
    found = {
        "plain": ids(client, user, k=20),
        "seen too": ids(client, user, k=20, include_seen=True),
        "category": ids(client, user, k=20, category="Coffee"),
        "no time": ids(client, user, k=20, budget_ms=0),
        "stranger": ids(client, "/v1/users/nobody/recommendations", k=20),
        "cohort": ids(client, "/v1/users/nobody/recommendations", k=20, cohort="favourite_category:Coffee"),
        "similar": ids(client, item, k=20),
        "similar of a category": ids(client, item, k=20, category="Coffee"),
        "popular": ids(client, "/v1/popular", k=80),
        "popular of a category": ids(client, "/v1/popular", k=80, category="Coffee"),
    }
    for name in scenarios:
        found[f"scenario {name}"] = ids(client, user, k=20, scenario=name)
        found[f"scenario {name}, stranger"] = ids(
            client, "/v1/users/nobody/recommendations", k=20, scenario=name
        )
    for scenario in (None, *scenarios):
        body = {"item_ids": ["i17", "i21"], "k": 20, "scenario": scenario, "reasons": True}
        answer = client.post("/v1/recommendations", json=body)
        assert answer.status_code == 200, answer.text
        items = answer.json()["items"]
        found[f"session, {scenario}"] = [one["item_id"] for one in items]
        found[f"reasons, {scenario}"] = [one["because"]["item_id"] for one in items if one.get("because")]
    return found


def test_a_hidden_item_is_on_no_list_at_once(client, write):
    before = lists_of(client)
    hidden = sorted({"i17", "i21", "i29", *before["plain"][:3], *before["popular"][:3]} - {ODD_ITEM})
    shown = [name for name, items in before.items() if set(items) & set(hidden)]
    assert len(shown) >= 15
    body = {"items": [{"item_id": item, "hidden": True} for item in hidden], "why": "recalled"}
    assert client.put("/v1/item-states", json=body, headers=write).status_code == 200
    after = lists_of(client)
    assert {name: items for name, items in after.items() if set(items) & set(hidden)} == {}
    assert len(after["plain"]) == 20


def test_the_answer_why_says_since_when_by_whom_and_why(client, write):
    client.put("/v1/items/i17/state", json={"hidden": True, "why": "recalled"}, headers=write)
    answer = client.get("/v1/users/u1/recommendations/why", params={"item_id": "i17"}).json()
    assert answer["words"] == (
        "Its state leaves it out: hidden since 2024-04-02 00:00 UTC by write: recalled."
    )
    assert answer["verdict"] == "dropped"
    explained = client.get("/v1/users/u1/recommendations", params={"explain": True}).json()["trace"]
    (record,) = [one for one in explained["items"] if one["item_id"] == "i17"]
    assert record["dropped_by"] == "item state"
    assert record["why"] == "hidden since 2024-04-02 00:00 UTC by write: recalled"


def test_changes_are_merged_and_null_takes_a_field_back(client, write):
    place = "/v1/items/i5/state"
    client.put(place, json={"price": 2.5, "boost": 2}, headers=write)
    merged = client.put(place, json={"price": None, "available": False}, headers=write).json()
    assert merged["known"] is True
    assert {name: merged["state"][name] for name in ("boost", "available")} == {
        "boost": 2,
        "available": False,
    }
    assert "price" not in merged["state"]
    assert client.get(place, headers=write).json() == merged
    gone = client.put(place, json={"boost": None, "available": None}, headers=write).json()
    assert gone["state"] is None


def test_the_log_has_each_change_the_last_first_a_page_at_a_time(client, write):
    for price in (1, 2, 3):
        client.put("/v1/items/i5/state", json={"price": price, "why": f"no {price}"}, headers=write)
    first = client.get("/v1/item-states/log", params={"limit": 2}, headers=write).json()
    assert [one["why"] for one in first["changes"]] == ["no 3", "no 2"]
    assert {one["by"] for one in first["changes"]} == {"write"}
    query = {"limit": 2, "before": first["next"]}
    last = client.get("/v1/item-states/log", params=query, headers=write).json()
    assert [one["why"] for one in last["changes"]] == ["no 1"]
    assert last["next"] is None


def test_items_with_a_state_are_listed_by_id_a_page_at_a_time(client, write):
    body = {"items": [{"item_id": name, "hidden": True} for name in ("i3", "i1", "i2")]}
    client.put("/v1/item-states", json=body, headers=write)
    first = client.get("/v1/item-states", params={"limit": 2}, headers=write).json()
    assert ([one["item_id"] for one in first["items"]], first["total"]) == (["i1", "i2"], 3)
    rest = client.get("/v1/item-states", params={"limit": 2, "after": first["next"]}, headers=write).json()
    assert ([one["item_id"] for one in rest["items"]], rest["next"]) == (["i3"], None)


def test_a_list_is_stored_whole_or_not_at_all(client, write):
    past = (NOW - timedelta(days=1)).isoformat()
    wrong = {"items": [{"item_id": "i1", "hidden": True}, {"item_id": "i2", "until": past}]}
    assert client.put("/v1/item-states", json=wrong, headers=write).status_code == 409
    assert client.get("/v1/item-states", headers=write).json()["total"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {"items": []},
        {"items": [{"item_id": f"i{n}"} for n in range(1001)]},
        {"items": [{"item_id": "i1", "price": -1}]},
        {"items": [{"item_id": "i1", "boost": 0}]},
        {"items": [{"item_id": "i1", "categories": []}]},
        {"items": [{"item_id": "i1", "categories": ["Tea | Bread"]}]},
        {"items": [{"item_id": "i1", "until": "2030-01-01"}]},
        {"items": [{"item_id": "i1", "colour": "red"}]},
        {"items": [{"hidden": True}]},
    ],
)
def test_a_wrong_list_is_a_problem(client, write, body):
    answer = client.put("/v1/item-states", json=body, headers=write)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_item_twice_in_a_list_is_a_conflict(client, write):
    twice = {"items": [{"item_id": "i1", "hidden": True}, {"item_id": "i1", "price": 2}]}
    answer = client.put("/v1/item-states", json=twice, headers=write)
    assert answer.status_code == 409
    assert "'i1' is in the list twice" in answer.json()["detail"]


def test_a_state_of_an_unknown_item_waits_and_is_named_as_such(client, write):
    answer = client.put("/v1/items/new/state", json={"hidden": True}, headers=write).json()
    assert answer["known"] is False
    assert client.get("/v1/items/new/state", headers=write).json()["state"]["hidden"] is True
    assert client.get("/v1/items/nowhere/state", headers=write).status_code == 404


def test_an_item_is_back_once_its_state_is_taken_back_and_again_changes_nothing(client, write):
    before = ids(client, "/v1/popular")
    client.put(f"/v1/items/{before[0]}/state", json={"hidden": True}, headers=write)
    assert before[0] not in ids(client, "/v1/popular")
    for _ in range(2):
        answer = client.delete(f"/v1/items/{before[0]}/state", params={"why": "mended"}, headers=write)
        assert (answer.status_code, answer.json()["state"]) == (200, None)
    assert ids(client, "/v1/popular") == before


@pytest.mark.parametrize(
    "path",
    [
        "/v1/users/u1/recommendations",
        "/v1/users/u1/recommendations?scenario=home",
        "/v1/popular",
        "/v1/items/i5/similar",
        "/v1/categories",
    ],
)
def test_entity_tags_change_with_the_states(client, write, path):
    tag = client.get(path).headers["etag"]
    assert client.get(path, headers={"if-none-match": tag}).status_code == 304
    client.put("/v1/items/i9/state", json={"hidden": True}, headers=write)
    assert client.get(path, headers={"if-none-match": tag}).status_code == 200


def test_rules_see_price_and_availability_of_now(client, write):
    (client.home.rules_file).write_text(
        'version = 1\n[scenarios.cheap]\nlimits = {unavailable = "keep"}\n'
        '[[scenarios.cheap.candidates]]\nsource = "popular"\nquota = 100\n'
        '[[scenarios.cheap.filters]]\nkind = "where"\nkeep = "available and price <= 3"\n'
    )
    client.app.state.service.live.serving.rules.refresh()
    shown = ids(client, "/v1/users/u1/recommendations", scenario="cheap", k=100)
    assert "i1" in shown  # costs 1.5
    assert "i12" not in shown  # costs 12.5
    client.put("/v1/items/i1/state", json={"price": 9}, headers=write)
    client.put("/v1/items/i2/state", json={"available": False}, headers=write)
    client.put("/v1/items/i12/state", json={"price": 1}, headers=write)
    now = ids(client, "/v1/users/u1/recommendations", scenario="cheap", k=100)
    assert {*shown, "i12"} - {"i1", "i2"} == set(now)


def test_a_category_of_now_is_in_the_answers(client, write):
    client.put("/v1/items/i5/state", json={"categories": ["Fish"]}, headers=write)
    (item,) = client.get("/v1/popular", params={"category": "Fish"}).json()["items"]
    assert (item["item_id"], item["category"]) == ("i5", "Fish")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/items/i1/state"),
        ("GET", "/v1/items/i1/state"),
        ("DELETE", "/v1/items/i1/state"),
        ("PUT", "/v1/item-states"),
        ("GET", "/v1/item-states"),
        ("GET", "/v1/item-states/log"),
    ],
)
def test_no_key_or_too_small_a_scope_is_rejected(client, method, path):
    assert client.request(method, path, json={}).status_code == 401
    read = key_header(client.home, client, "read")
    expected = 403 if method != "GET" else 200
    assert client.request(method, path, headers=read).status_code == expected


def test_a_change_by_another_process_counts_from_the_next_look(client):
    store = client.app.state.service.live.states.store
    first = ids(client, "/v1/popular")[0]
    type(store)(client.home.item_states_db).put({first: StateChange(hidden=True)}, by="shell", now=NOW)
    client.app.state.service.live.states.refresh([client.app.state.service.serving()])
    assert first not in ids(client, "/v1/popular")


def test_a_search_finds_hidden_items_and_says_their_state(client, write):
    client.put("/v1/items/i5/state", json={"hidden": True}, headers=write)
    client.put("/v1/items/i9/state", json={"available": False}, headers=write)
    found = client.get("/v1/items", params={"q": "Coffee", "limit": 100}).json()["items"]
    states = {item["item_id"]: item["state"] for item in found}
    assert (states["i5"], states["i9"], states["i13"]) == ("hidden", "not available", None)
