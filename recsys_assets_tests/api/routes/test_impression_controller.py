"""Impressions: durable, each once, of answers of this home only; and what came of the answers as JSON."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.experiments.online_results import OnlineMetric, OnlineResults, write_results
from recsys_assets.intake.stored_events import read_events, read_impressions
from recsys_assets.release.answer_counts import AnswerCounts
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import NOW, key_header

Client = TestClient[Litestar]


@pytest.fixture
def writer(own: Home, client: Client) -> dict[str, str]:
    return key_header(own, client, "write")


def answer(client: Client, user: str = "u1") -> tuple[str, list[str]]:
    """Return the id and the items of a list."""
    body = client.get(f"/v1/users/{user}/recommendations").json()
    return body["id"], [item["item_id"] for item in body["items"]]


def stored(home: Home) -> list[tuple[str, str, int, str | None]]:
    return [
        (row.answer_id, row.item_id, row.position, row.user_id) for _, row in read_impressions(home.events_db)
    ]


def places(reply) -> list[str]:
    assert reply.status_code == 400, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    return [error["key"] for error in reply.json()["errors"]]


def test_a_list_as_it_was_shown_is_on_the_disk_when_it_is_answered(
    own: Home, client: Client, writer: dict[str, str]
) -> None:
    given, items = answer(client)
    reply = client.post(
        "/v1/impressions", json={"answer_id": given, "items": items[:3], "user_id": "u1"}, headers=writer
    )
    assert (reply.status_code, reply.json()) == (202, {"accepted": 3, "duplicates": 0})
    assert stored(own) == [(given, item, place, "u1") for place, item in enumerate(items[:3], start=1)]


def test_a_client_and_a_server_that_both_report_an_item_count_once(
    own: Home, client: Client, writer: dict[str, str]
) -> None:
    given, items = answer(client)
    client.post("/v1/impressions", json={"answer_id": given, "items": items[:2]}, headers=writer)
    shown = {
        "answer_id": given,
        "items": [{"item_id": items[1], "position": 9}, {"item_id": items[2], "position": 3}],
    }
    again = client.post("/v1/impressions", json=shown, headers=writer)
    assert again.json() == {"accepted": 1, "duplicates": 1}
    event = {"user_id": "u1", "item_id": items[0], "kind": "impression", "answer_id": given, "position": 1}
    reply = client.post("/v1/events", json=event, headers=writer)
    assert (reply.json()["accepted"], reply.json()["duplicates"]) == (0, 1)
    assert [row[1:3] for row in stored(own)] == [(items[0], 1), (items[1], 2), (items[2], 3)]
    assert list(read_events(own.events_db)) == []


def test_an_impression_among_events_changes_no_list(
    own: Home, client: Client, writer: dict[str, str]
) -> None:
    given, items = answer(client)
    event = {"user_id": "u1", "item_id": items[0], "kind": "impression", "answer_id": given, "position": 1}
    assert client.post("/v1/events", json=[event], headers=writer).status_code == 202
    assert answer(client)[1] == items
    assert len(stored(own)) == 1


@pytest.mark.parametrize("form", ["one", "list", "object", "lines"])
def test_every_form_of_the_body_is_taken(
    own: Home, client: Client, writer: dict[str, str], form: str
) -> None:
    given, items = answer(client)
    one = {"answer_id": given, "items": items[:1], "timestamp": "2024-04-01T10:00:00Z"}
    other = {"answer_id": given, "items": [{"item_id": items[1], "position": 2}]}
    lines = b"\n".join(map(msgspec.json.encode, [one, other])) + b"\n\n"
    body = {
        "one": {"json": one},
        "list": {"json": [one, other]},
        "object": {"json": {"impressions": [one, other]}},
        "lines": {"content": lines, "headers": {"content-type": "application/x-ndjson"}},
    }[form]
    reply = client.post("/v1/impressions", **{**body, "headers": writer | body.get("headers", {})})
    assert reply.json() == {"accepted": 1 if form == "one" else 2, "duplicates": 0}
    _, first = next(read_impressions(own.events_db))
    assert first.timestamp == int(datetime(2024, 4, 1, 10, tzinfo=UTC).timestamp() * 1_000_000)


def test_an_answer_of_another_worker_of_this_home_is_ours(
    own: Home, client: Client, writer: dict[str, str]
) -> None:
    release = client.get("/v1/release").json()["release"]
    other = AnswerCounts(own.answers_db).give(release, "plain")
    assert (
        client.post("/v1/impressions", json={"answer_id": other, "items": ["x"]}, headers=writer).status_code
        == 202
    )


def test_what_cannot_be_an_impression_is_rejected_with_its_place_and_nothing_is_stored(
    own: Home, client: Client, writer: dict[str, str]
) -> None:
    given, items = answer(client)
    good = {"answer_id": given, "items": items[:1]}
    series = given.rpartition(".")[2]

    def post(*shown):
        return places(client.post("/v1/impressions", json=list(shown), headers=writer))

    assert post(good, good | {"answer_id": "no id"}) == ["impressions[1].answer_id"]
    assert post(good | {"answer_id": given.replace(series, "0000000012")}) == ["impressions[0].answer_id"]
    assert post(good | {"timestamp": (NOW + timedelta(days=1)).isoformat()}) == ["impressions[0].timestamp"]
    assert post(good | {"items": [{"item_id": "x", "position": 0}]}) == ["[0].items[0].position"]
    assert post(good | {"items": []}) == ["[0].items"]
    assert post(*[good | {"items": ["x"] * 1000}] * 11) == ["impressions"]
    event = {"user_id": "u", "item_id": "x", "kind": "impression", "answer_id": given, "position": 1}
    for change, key in (
        ({"answer_id": "no id"}, "answer_id"),
        ({"answer_id": None}, "answer_id"),
        ({"position": None}, "position"),
    ):
        assert places(client.post("/v1/events", json=[event | change], headers=writer)) == [
            f"events[0].{key}"
        ]
    assert stored(own) == []


def test_it_needs_a_key_that_may_write(own: Home, client: Client) -> None:
    given, items = answer(client)
    body = {"answer_id": given, "items": items}
    assert client.post("/v1/impressions", json=body).status_code == 401
    assert (
        client.post("/v1/impressions", json=body, headers=key_header(own, client, "read")).status_code == 403
    )


def metric(day: str, group_kind: str, group: str) -> OnlineMetric:
    return OnlineMetric(
        day=datetime.fromisoformat(day).date(),
        group_kind=group_kind,  # type: ignore[arg-type]
        group=group,
        metric="ctr",
        value=0.25,
        low=0.1,
        high=None,
        users=3,
        shown=8,
        events=2,
    )


def test_what_came_of_the_answers_is_split_as_wanted_and_cut_to_the_newest_days(
    own: Home, client: Client
) -> None:
    empty = client.get("/v1/online-metrics").json()
    assert (empty["made_at"], empty["period"], empty["days"]) == (None, None, [])
    days = [
        metric("2024-03-01", "all", "all"),
        metric("2024-03-30", "all", "all"),
        metric("2024-03-30", "arm", "e/a"),
    ]
    found = OnlineResults(
        made_at=NOW,
        attribution_days=7,
        final_through=None,
        period_first=days[0].day,
        period_last=days[1].day,
        period=days[1:],
        days=days,
    )
    write_results(own.artifact("online_metrics"), found)
    body = client.get("/v1/online-metrics").json()
    assert [one["day"] for one in body["days"]] == ["2024-03-30"]
    assert [one["day"] for one in client.get("/v1/online-metrics?days=90").json()["days"]] == [
        "2024-03-01",
        "2024-03-30",
    ]
    (arm,) = client.get("/v1/online-metrics?by=arm").json()["period"]["metrics"]
    assert (arm["group"], arm["value"], arm["high"]) == ("e/a", 0.25, None)
    assert client.get("/v1/online-metrics?by=user").status_code == 400


def test_a_damaged_file_of_metrics_is_not_available_and_its_path_is_not_shown(
    own: Home, client: Client
) -> None:
    folder = own.artifact("online_metrics")
    folder.mkdir(parents=True)
    (folder / "online_metrics.json").write_text("{")
    reply = client.get("/v1/online-metrics")
    assert reply.status_code == 503
    assert "online metrics" in reply.json()["detail"]
    assert str(own.root) not in reply.text
