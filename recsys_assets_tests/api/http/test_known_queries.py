"""A query string that was validated before is answered as the first time, by the request that repeats it."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from litestar import Litestar, get
from litestar.testing import TestClient
from litestar.types import ASGIApp, Scope

from recsys_assets.api.app import create_app
from recsys_assets.api.http.bodies import Reply
from recsys_assets.api.http.known_queries import LONGEST, MOST_KNOWN, KnownQueries, repeat
from recsys_assets.api.openapi import K, UserIdPath
from recsys_assets.api_settings import ApiSettings
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import key_header

Client = TestClient[Litestar]


def body_of(answer: httpx.Response) -> dict[str, Any]:
    """The body without the id, which no other answer has."""
    found: dict[str, Any] = answer.json()
    assert found.pop("id")
    return found


def counting(*, remember: bool = True) -> tuple[Litestar, list[str]]:
    """An application that says `validated` for a query that its route saw, and what its route saw."""
    validated: list[str] = []

    async def again(scope: Scope) -> ASGIApp:
        return Reply(f"again for {scope['path_params']['user_id']}".encode())

    @get("/{user_id:str}", middleware=[KnownQueries])
    async def route(scope: Scope, user_id: UserIdPath, k: K = 1) -> ASGIApp:
        validated.append(f"{user_id} {k}")
        if remember:
            repeat(scope, again)
        return Reply(b"validated")

    return Litestar([route], openapi_config=None), validated


@pytest.mark.parametrize(
    "query", ["", "k=3", "k=5&category=A", "reasons=true", "scenario=home&k=4", "explain=true"]
)
def test_a_repeated_query_has_the_answer_of_the_first(client: Client, query: str) -> None:
    first, second = (client.get(f"/v1/users/u1/recommendations?{query}") for _ in range(2))
    assert first.status_code == second.status_code
    untimed = [{**body_of(found), "trace": None} for found in (first, second)]
    assert untimed[0] == untimed[1]
    assert {*first.headers} == {*second.headers}
    assert first.headers.get("etag") == second.headers.get("etag")


@pytest.mark.parametrize("path", ["items/i5/similar", "popular"])
@pytest.mark.parametrize("query", ["", "k=3", "category=A", "k=2&exclude=i7"])
def test_a_repeated_query_of_other_lists_has_the_answer_of_the_first(
    client: Client, path: str, query: str
) -> None:
    first, second = (client.get(f"/v1/{path}?{query}") for _ in range(2))
    assert body_of(first) == body_of(second)
    assert first.headers["etag"] == second.headers["etag"]


def test_a_known_query_of_another_item_has_its_answer(client: Client) -> None:
    client.get("/v1/items/i5/similar?k=3")
    assert client.get("/v1/items/i6/similar?k=3").json()["item_id"] == "i6"
    assert client.get("/v1/items/nothing/similar?k=3").status_code == 404


def test_a_known_query_of_another_user_has_that_user_s_answer(client: Client) -> None:
    client.get("/v1/users/u1/recommendations?k=3")
    found = client.get("/v1/users/u2/recommendations?k=3")
    assert body_of(found) == body_of(client.get("/v1/users/u2/recommendations?k=3&explain=false"))
    assert found.json()["user_id"] == "u2"


def test_a_known_query_that_fails_is_a_problem_each_time(client: Client) -> None:
    problems = [client.get("/v1/users/u1/recommendations?scenario=nothing") for _ in range(2)]
    assert [found.status_code for found in problems] == [404, 404]
    assert problems[0].json()["detail"] == problems[1].json()["detail"]


def test_a_query_that_is_not_valid_is_never_known(client: Client) -> None:
    assert [client.get("/v1/users/u1/recommendations?k=0").status_code for _ in range(2)] == [400, 400]


def test_a_known_query_needs_the_key_that_every_query_needs(own: Home) -> None:
    settings = ApiSettings(require_key_for_reads=True)
    with TestClient(
        create_app(own, settings=settings, clock=lambda: datetime(2024, 4, 2, tzinfo=UTC))
    ) as client:
        path, header = "/v1/users/u1/recommendations?k=3", key_header(own, client, "read")
        assert [client.get(path, headers=header).status_code for _ in range(2)] == [200, 200]
        assert client.get(path).status_code == 401


def test_a_known_query_is_counted_under_its_route(client: Client) -> None:
    for _ in range(3):
        client.get("/v1/users/u1/recommendations?k=6")
    route = (
        'recsys_request_seconds_count{method="GET",route="/v1/users/{user_id}/recommendations",source="user"'
    )
    (line,) = (one for one in client.get("/metrics").text.splitlines() if one.startswith(route))
    assert line.endswith(" 3.0")


def test_only_the_first_request_with_a_query_is_validated() -> None:
    app, validated = counting()
    with TestClient(app) as client:
        texts = [client.get(path).text for path in ("/a?k=2", "/b?k=2", "/a?k=3", "/c?k=2")]
    assert texts == ["validated", "again for b", "validated", "again for c"]
    assert validated == ["a 2", "a 3"]


def test_a_query_is_validated_each_time_where_its_route_does_not_want_it_repeated() -> None:
    app, validated = counting(remember=False)
    with TestClient(app) as client:
        for _ in range(3):
            client.get("/a?k=2")
    assert len(validated) == 3


def test_a_long_query_is_not_remembered() -> None:
    app, validated = counting()
    with TestClient(app) as client:
        for _ in range(2):
            client.get(f"/a?k=2&other={'x' * LONGEST}")
    assert len(validated) == 2


def test_queries_that_never_end_are_forgotten_in_between() -> None:
    app, validated = counting()
    with TestClient(app) as client:
        for number in range(MOST_KNOWN + 1):
            client.get(f"/a?other={number}")
        client.get("/a?other=0")
        client.get(f"/a?other={MOST_KNOWN}")
    assert len(validated) == MOST_KNOWN + 2
