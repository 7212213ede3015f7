"""Recommendations for a user and for a session."""

from litestar import Litestar
from litestar.testing import TestClient

Client = TestClient[Litestar]


def test_recommendations_have_titles_and_categories(client: Client) -> None:
    found = client.get("/v1/users/u1/recommendations?k=5").json()
    assert found["source"] == "user"
    assert [set(item) for item in found["items"]] == [{"item_id", "title", "category", "score"}] * 5
    assert all(item["title"].startswith(item["category"]) for item in found["items"] if item["title"])


def test_a_stranger_is_answered_with_popular_items(client: Client) -> None:
    found = client.get("/v1/users/nobody/recommendations?k=4").json()
    assert found["source"] == "popular"
    assert found["items"] == client.get("/v1/popular?k=4").json()["items"]


def test_items_of_the_user_are_left_out_unless_included(client: Client) -> None:
    owned = {item["item_id"] for item in client.get("/v1/users/u1/history").json()["items"]}
    without = {item["item_id"] for item in client.get("/v1/users/u1/recommendations?k=50").json()["items"]}
    kept = client.get("/v1/users/u1/recommendations?k=80&include_seen=true").json()["items"]
    assert owned.isdisjoint(without)
    assert owned <= {item["item_id"] for item in kept}


def test_a_session_names_the_items_it_does_not_know(client: Client) -> None:
    found = client.post("/v1/recommendations", json={"item_ids": ["i5", "nothing"], "k": 3}).json()
    assert found["source"] == "session"
    assert found["unknown_item_ids"] == ["nothing"]
    assert len(found["items"]) == 3
