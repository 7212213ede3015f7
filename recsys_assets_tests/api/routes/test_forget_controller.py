"""A user who is forgotten by HTTP is a stranger from then on, and the request outlives the server."""

from datetime import UTC, datetime

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.intake.stored_events import read_events
from recsys_assets.storage.forgotten import (
    RecordedForget,
    end_forget,
    hash_of,
    read_unfinished_forgets,
    write_unfinished_forgets,
)
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import NOW, key_header

Client = TestClient[Litestar]
USER = "u1"


@pytest.fixture
def admin(client: Client, own: Home) -> dict[str, str]:
    return key_header(own, client, "admin")


def end(home: Home) -> None:
    """End the forget, as the last step of the command does."""
    (begun,) = read_unfinished_forgets(home)
    hashes = tuple(hash_of(begun.salt, user) for user in begun.users)
    ended = RecordedForget(
        number=begun.number, at=begun.at, finished_at=NOW, salt=begun.salt, users=hashes, proof={"files": 7}
    )
    end_forget(home, ended)


def test_a_request_is_on_the_disk_before_its_answer(client: Client, own: Home, admin: dict[str, str]) -> None:
    answer = client.delete(f"/v1/users/{USER}", headers=admin)
    assert (answer.status_code, answer.json()["state"]) == (202, "waiting")
    (begun,) = read_unfinished_forgets(own)
    assert (begun.users, begun.who, begun.at) == ((USER,), "admin", NOW)


def test_the_user_is_a_stranger_from_then_on(client: Client, admin: dict[str, str]) -> None:
    stranger = client.get("/v1/users/nobody/recommendations").json()
    known = client.get(f"/v1/users/{USER}/recommendations").json()
    assert known["items"] != stranger["items"]

    client.delete(f"/v1/users/{USER}", headers=admin)

    hidden = client.get(f"/v1/users/{USER}/recommendations").json()
    assert hidden["items"] == stranger["items"]
    assert client.get(f"/v1/users/{USER}/history").status_code == 404
    assert client.get(f"/v1/users/{USER}/features").status_code == 404
    assert USER not in client.get("/v1/users", params={"q": USER, "limit": 100}).json()["user_ids"]
    batch = client.post("/v1/features:batchGet", json={"entity": "user", "ids": [USER, "u2"]}).json()["rows"]
    assert batch[0] is None
    assert batch[1] is not None


def test_events_of_before_count_no_more(client: Client, admin: dict[str, str]) -> None:
    event = {"user_id": "new", "item_id": "i1"}
    client.post("/v1/events", json={"events": [event]}, headers=admin)
    assert client.get("/v1/users/new/history").status_code == 200
    client.delete("/v1/users/new", headers=admin)
    assert client.get("/v1/users/new/history").status_code == 404


def test_another_worker_hides_the_user_too(client: Client, own: Home, admin: dict[str, str]) -> None:
    with TestClient(create_app(own, clock=lambda: NOW)) as other:
        assert other.get(f"/v1/users/{USER}/history").status_code == 200
        client.delete(f"/v1/users/{USER}", headers=admin)
        other.app.state.service.live.hide_forgotten()
        assert other.get(f"/v1/users/{USER}/history").status_code == 404


def test_a_server_that_starts_later_hides_the_user(client: Client, own: Home, admin: dict[str, str]) -> None:
    client.delete(f"/v1/users/{USER}", headers=admin)
    with TestClient(create_app(own, clock=lambda: NOW)) as later:
        assert later.get(f"/v1/users/{USER}/history").status_code == 404


def test_the_same_request_again_is_the_same_forget(client: Client, admin: dict[str, str]) -> None:
    first, again = (client.delete(f"/v1/users/{name}", headers=admin).json() for name in (USER, f" {USER} "))
    assert first["forget"] == again["forget"]


def test_its_state_is_kept_without_the_id(client: Client, own: Home, admin: dict[str, str]) -> None:
    number = client.delete(f"/v1/users/{USER}", headers=admin).json()["forget"]
    assert client.get(f"/v1/forgets/{number}", headers=admin).json()["state"] == "waiting"
    end(own)
    found = client.get(f"/v1/forgets/{number}", headers=admin).json()
    assert (found["state"], found["files_read"]) == ("done", 7)
    assert datetime.fromisoformat(found["finished_at"]).astimezone(UTC) == NOW
    assert USER.encode() not in own.forgotten.read_bytes()


def test_an_unknown_number_is_404(client: Client, admin: dict[str, str]) -> None:
    assert client.get("/v1/forgets/99", headers=admin).status_code == 404


@pytest.mark.parametrize("scope", ["read", "write"])
def test_only_an_admin_may_forget(client: Client, own: Home, scope: str) -> None:
    headers = key_header(own, client, scope)
    assert client.delete(f"/v1/users/{USER}", headers=headers).status_code == 403
    assert client.get("/v1/forgets/1", headers=headers).status_code == 403
    assert client.delete(f"/v1/users/{USER}").status_code == 401


def test_a_text_that_is_no_id_is_400(client: Client, admin: dict[str, str]) -> None:
    assert client.delete("/v1/users/NaN", headers=admin).status_code == 400


def test_a_damaged_record_is_503_and_hides_nobody_by_mistake(
    client: Client, own: Home, admin: dict[str, str]
) -> None:
    own.unfinished_forgets.write_bytes(b"[{")
    answer = client.delete(f"/v1/users/{USER}", headers=admin)
    assert (answer.status_code, "forgotten" in answer.json()["detail"]) == (503, True)
    assert client.get(f"/v1/users/{USER}/recommendations").status_code == 200
    write_unfinished_forgets(own, [])


@pytest.mark.parametrize("given", ["77.0", " 77", "77"])
def test_an_id_of_another_form_is_one_user_in_events_lists_and_the_forget(
    client: Client, own: Home, admin: dict[str, str], given: str
) -> None:
    client.post("/v1/events", json={"user_id": given, "item_id": "i1"}, headers=admin)
    for form in ("77.0", " 77", "77"):
        assert client.get(f"/v1/users/{form}/history").status_code == 200
    assert [row.user_id for _, row in read_events(own.events_db)] == ["77"]
    client.delete("/v1/users/77.0", headers=admin)
    (begun,) = read_unfinished_forgets(own)
    assert begun.users == ("77", "77.0")
    for form in ("77.0", " 77", "77"):
        assert client.get(f"/v1/users/{form}/history").status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "key"),
    [
        ("/v1/events", {"user_id": " ", "item_id": "i1"}, "events[0].user_id"),
        ("/v1/users/merge", {"from": "NaN", "to": "u1"}, "from"),
    ],
)
def test_a_user_who_could_not_be_forgotten_is_not_taken(
    client: Client, admin: dict[str, str], path: str, body: dict[str, str], key: str
) -> None:
    answer = client.post(path, json=body, headers=admin)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["key"] == key
