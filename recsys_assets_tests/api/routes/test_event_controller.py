"""Events by HTTP: their forms, what is rejected with which place, and their effect on answers."""

import json
from datetime import date
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.event_settings import EventsSettings
from recsys_assets.intake.event_meaning import EventOptions
from recsys_assets.intake.rows import MergeRow
from recsys_assets.intake.stored_events import read_events
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import NOW, key_header
from recsys_assets_tests.api.world import item_id

Client = TestClient[Litestar]
NDJSON = "application/x-ndjson"


@pytest.fixture
def writer(own: Home, client: Client) -> dict[str, str]:
    return key_header(own, client, "write")


def event(**fields: Any) -> dict[str, Any]:
    return {"user_id": "u1", "item_id": item_id(5), **fields}


def stored(home: Home) -> list[str]:
    return [found.event_id for _, found in read_events(home.events_db)]


def test_an_event_changes_the_tag_and_the_answer_of_its_user_only(
    client: Client, writer: dict[str, str]
) -> None:
    before, other = (client.get(f"/v1/users/{user}/recommendations") for user in ("u1", "u2"))
    first = before.json()["items"][0]["item_id"]
    sent = event(item_id=first, timestamp="2024-04-01T10:00:00+02:00")
    accepted = {"accepted": 1, "duplicates": 0, "unknown_items": []}
    assert client.post("/v1/events", json={"events": [sent]}, headers=writer).json() == accepted
    after = client.get("/v1/users/u1/recommendations", headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert first not in {item["item_id"] for item in after.json()["items"]}
    same = client.get("/v1/users/u2/recommendations", headers={"If-None-Match": other.headers["etag"]})
    assert same.status_code == 304
    assert client.get("/v1/users/u1/history").json()["items"][0]["item_id"] == first


@pytest.mark.parametrize("scenario", [None, "home"])
def test_a_hidden_item_is_on_no_list_of_its_user_even_with_what_was_seen(
    client: Client, writer: dict[str, str], scenario: str | None
) -> None:
    params = {"include_seen": "true", "k": "50"} | ({"scenario": scenario} if scenario else {})
    before = client.get("/v1/users/u1/recommendations", params=params).json()["items"]
    hidden = before[0]["item_id"]
    assert client.post("/v1/events", json=event(item_id=hidden, kind="hide"), headers=writer).is_success
    after = client.get("/v1/users/u1/recommendations", params=params).json()["items"]
    assert hidden not in {item["item_id"] for item in after}


@pytest.mark.parametrize("form", ["object", "list", "one", "lines"])
def test_each_form_of_the_body_is_stored(
    own: Home, client: Client, writer: dict[str, str], form: str
) -> None:
    one, two = event(event_id="e1", kind="purchase", value=2.5), event(event_id="e2")
    bodies = {"object": {"events": [one, two]}, "list": [one, two], "one": one}
    if form == "lines":
        body = "\n".join(map(json.dumps, [one, two])) + "\n\n"
        answer = client.post("/v1/events", content=body, headers={**writer, "Content-Type": NDJSON})
    else:
        answer = client.post("/v1/events", json=bodies[form], headers=writer)
    assert answer.status_code == 202
    assert stored(own) == (["e1"] if form == "one" else ["e1", "e2"])


def test_an_event_sent_again_counts_once_and_another_content_is_a_conflict(
    own: Home, client: Client, writer: dict[str, str]
) -> None:
    sent = event(event_id="e1", kind="purchase")
    answers = [client.post("/v1/events", json=[sent, sent], headers=writer).json() for _ in range(2)]
    assert [(one["accepted"], one["duplicates"]) for one in answers] == [(1, 1), (0, 2)]
    other = client.post("/v1/events", json=[event(event_id="e2"), {**sent, "kind": "cart"}], headers=writer)
    assert (other.status_code, [one["key"] for one in other.json()["errors"]]) == (409, ["e1"])
    assert stored(own) == ["e1"]
    metrics = client.get("/metrics").text
    assert 'recsys_events_total{outcome="accepted"} 1.0' in metrics
    assert 'recsys_events_total{outcome="duplicate"} 3.0' in metrics
    assert 'recsys_events_total{outcome="conflict"} 1.0' in metrics


def test_items_that_the_release_does_not_hold_are_stored_and_named(
    own: Home, client: Client, writer: dict[str, str]
) -> None:
    sent = [event(item_id=f"new{n % 30}") for n in range(60)] + [event()]
    answer = client.post("/v1/events", json=sent, headers=writer).json()
    assert (answer["accepted"], answer["unknown_items"]) == (61, [f"new{n}" for n in range(20)])
    assert len(stored(own)) == 61


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"kind": "impression"}, "events[1].answer_id"),
        ({"kind": "nonsense"}, "events[1].kind"),
        ({"timestamp": "2024-04-02T00:05:01Z"}, "events[1].timestamp"),
        ({"timestamp": "2300-01-01T00:00:00Z"}, "events[1].timestamp"),
        ({"timestamp": "1970-01-01T00:00:00Z"}, "events[1].timestamp"),
        ({"timestamp": "1989-12-31T23:59:59Z"}, "events[1].timestamp"),
        ({"timestamp": "0001-01-01T00:00:00+10:00"}, "events[1].timestamp"),
        ({"rating": "five"}, "events[1].rating"),
        ({"event_id": ""}, "events[1].event_id"),
        ({"user": "u1"}, "events[1]"),
    ],
)
def test_a_wrong_event_is_named_by_its_place_and_none_of_the_batch_is_kept(
    own: Home, client: Client, writer: dict[str, str], wrong: dict[str, Any], key: str
) -> None:
    answer = client.post("/v1/events", json={"events": [event(), event(**wrong)]}, headers=writer)
    assert (answer.status_code, answer.json()["errors"][0]["key"]) == (400, key)
    assert stored(own) == []


def test_a_time_before_all_events_is_named_with_the_first_day_that_is_taken(
    client: Client, writer: dict[str, str]
) -> None:
    answer = client.post("/v1/events", json=event(timestamp="1970-01-01T00:00:00Z"), headers=writer)
    said = answer.json()["errors"][0]["message"]
    assert said == (
        "Expected a time from 1990-01-01 on, got `1970-01-01 00:00:00+00:00`; see the sender's clock"
    )


def test_the_days_of_a_source_that_is_older_are_taken(own: Home, writer: dict[str, str]) -> None:
    options = EventOptions(first_day=date(1975, 6, 1))
    with TestClient(create_app(own, events=options, clock=lambda: NOW)) as client:
        for when, status in (("1975-05-31T23:59:59Z", 400), ("1975-06-01T00:00:00Z", 202)):
            sent = client.post("/v1/events", json=event(timestamp=when), headers=writer)
            assert sent.status_code == status
    assert len(stored(own)) == 1


def test_a_wrong_line_is_named_by_its_number(client: Client, writer: dict[str, str]) -> None:
    body = json.dumps(event()) + "\n" + json.dumps({"user_id": 5, "item_id": "x"})
    answer = client.post("/v1/events", content=body, headers={**writer, "Content-Type": NDJSON})
    assert (answer.status_code, answer.json()["errors"][0]["key"]) == (400, "line 2: user_id")


@pytest.mark.parametrize("count", [0, 1_001])
def test_a_batch_of_none_or_of_too_many_is_rejected(
    client: Client, writer: dict[str, str], count: int
) -> None:
    lines = "\n".join([json.dumps(event())] * count)
    for content, kind in ((json.dumps([event()] * count), "application/json"), (lines, NDJSON)):
        answer = client.post("/v1/events", content=content, headers={**writer, "Content-Type": kind})
        assert answer.status_code == 400


@pytest.mark.parametrize(
    "content", [b"", b"[", b"null", b"7", b'{"events": 5}', b"\xff", b'{"user_id": "a"}', b"[[]]"]
)
@pytest.mark.parametrize("kind", ["application/json", NDJSON])
def test_what_is_no_event_is_a_problem(
    client: Client, writer: dict[str, str], content: bytes, kind: str
) -> None:
    answer = client.post("/v1/events", content=content, headers={**writer, "Content-Type": kind})
    assert (answer.status_code, answer.json()["title"]) == (400, "The request is not valid")


def test_another_media_type_is_rejected(client: Client, writer: dict[str, str]) -> None:
    answer = client.post("/v1/events", content=b"a,b", headers={**writer, "Content-Type": "text/csv"})
    assert answer.status_code == 415
    assert NDJSON in answer.json()["detail"]


def test_kinds_of_the_settings_are_accepted_in_any_case(own: Home) -> None:
    options = EventOptions(events=EventsSettings(kinds=["quiz"]))
    with TestClient(create_app(own, clock=lambda: NOW, events=options)) as client:
        answer = client.post(
            "/v1/events", json=event(kind=" Quiz "), headers=key_header(own, client, "write")
        )
        assert answer.status_code == 202


def test_a_full_queue_is_429_with_the_time_to_wait(own: Home) -> None:
    options = EventOptions(events=EventsSettings(queue_rows=1, group_ms=1_000))
    with TestClient(create_app(own, clock=lambda: NOW, events=options)) as client:
        writer = key_header(own, client, "write")
        intake = client.app.state.service.live.intake
        intake.submit([MergeRow("c", "d", 0)]).result(10)  # the next group waits since this one was synced
        waits = intake.submit([MergeRow("a", "b", 0)])
        answer = client.post("/v1/events", json=event(), headers=writer)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert 'recsys_events_total{outcome="full"} 1.0' in client.get("/metrics").text
        assert waits.result(10).accepted == 1
        assert client.post("/v1/events", json=event(), headers=writer).status_code == 202


def test_the_document_shows_every_form_of_the_body_with_an_example(client: Client) -> None:
    operation = client.get("/schema/openapi.json").json()["paths"]["/v1/events"]["post"]
    content = operation["requestBody"]["content"]
    assert set(content) == {"application/json", NDJSON}
    assert len(content["application/json"]["schema"]["anyOf"]) == 3
    assert all(form["examples"] for form in content.values())
    assert {"202", "400", "409", "413", "429", "503"} <= set(operation["responses"])
