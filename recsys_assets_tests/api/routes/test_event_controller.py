"""Events and their effect on answers."""

from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import key_header

Client = TestClient[Litestar]


def test_an_event_changes_the_tag_and_the_answer_of_its_user_only(own: Home, client: Client) -> None:
    writer = key_header(own, client, "write")
    before, other = (client.get(f"/v1/users/{user}/recommendations") for user in ("u1", "u2"))
    first = before.json()["items"][0]["item_id"]
    event = {"user_id": "u1", "item_id": first, "timestamp": "2024-04-01T10:00:00+02:00"}
    accepted = {"accepted": 1, "duplicates": 0, "unknown_items": []}
    assert client.post("/v1/events", json={"events": [event]}, headers=writer).json() == accepted
    after = client.get("/v1/users/u1/recommendations", headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert first not in {item["item_id"] for item in after.json()["items"]}
    same = client.get("/v1/users/u2/recommendations", headers={"If-None-Match": other.headers["etag"]})
    assert same.status_code == 304
    assert client.get("/v1/users/u1/history").json()["items"][0]["item_id"] == first
