"""Errors as problem bodies."""

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.schemas import operation_schemas
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import key_header

Client = TestClient[Litestar]
ROUTES_OF_LINES = ("/v1/events", "/v1/impressions")


def test_an_unknown_item_is_a_404_problem(client: Client) -> None:
    answer = client.get("/v1/items/nothing/similar")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    problem = msgspec.json.decode(answer.content, type=operation_schemas.Problem)
    assert problem.status == 404
    assert "'nothing' is not in release" in (problem.detail or "")
    assert problem.instance == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/popular?k=0", 400),
        ("GET", "/v1/popular?k=1000000000", 400),
        ("GET", "/v1/popular?k=many", 400),
        ("GET", "/v1/users/u1/recommendations?budget_ms=-1", 400),
        ("GET", "/v1/users/u1/recommendations?diversity=null", 400),
        ("GET", "/v1/users/stranger/recommendations?cohort=shoe_size:43", 404),
        ("GET", "/v1/nowhere", 404),
        ("GET", "/static/../app.py", 404),
        ("GET", "/static/%2e%2e/app.py", 404),
        ("DELETE", "/v1/popular", 405),
        ("GET", f"/v1/popular?category={'x' * 9000}", 414),
        ("POST", "/v1/events", 401),
    ],
)
def test_every_error_is_a_problem_body(client: Client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert msgspec.json.decode(answer.content, type=operation_schemas.Problem).status == status
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ROUTES_OF_LINES)
@pytest.mark.parametrize("body", [b'{"a":' * 5_000, b'{"user_id":' + b"[" * 5_000, b"[" * 5_000])
def test_a_deep_body_of_a_route_with_several_forms_is_a_400(
    own: Home, client: Client, path: str, body: bytes
) -> None:
    answer = client.post(path, content=body, headers=key_header(own, client, "write"))
    assert answer.status_code == 400
    assert answer.json()["title"] == "The request is not valid"
    assert "recursion" not in answer.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/events", b'{"user_id":"u1","item_id":"i5","value":NaN}'),
        ("/v1/impressions", b'{"answer_id":"a","items":["\\ud800"]}'),
    ],
)
def test_an_object_that_is_not_json_is_not_taken_for_another_form(
    own: Home, client: Client, path: str, body: bytes
) -> None:
    answer = client.post(path, content=body, headers=key_header(own, client, "write"))
    assert answer.status_code == 400
    assert "unknown field" not in answer.text


@pytest.mark.parametrize("path", ROUTES_OF_LINES)
def test_a_line_that_is_not_json_is_named(own: Home, client: Client, path: str) -> None:
    headers = {**key_header(own, client, "write"), "Content-Type": "application/x-ndjson"}
    fields = {
        "/v1/events": b'{"user_id":"u1","item_id":"i5"}',
        "/v1/impressions": b'{"answer_id":"a","items":["i"]}',
    }
    answer = client.post(path, content=fields[path] + b"\n\nnonsense\n", headers=headers)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("line 3: JSON is malformed")


@pytest.mark.parametrize("path", ROUTES_OF_LINES)
def test_lines_in_another_charset_than_utf_8_are_a_415(own: Home, client: Client, path: str) -> None:
    headers = {**key_header(own, client, "write"), "Content-Type": "application/x-ndjson; charset=latin-1"}
    assert client.post(path, content=b"{}\n", headers=headers).status_code == 415


@pytest.mark.parametrize("encoding", ["gzip", "br", "x" * 200])
def test_a_compressed_body_is_a_415_that_says_so(own: Home, client: Client, encoding: str) -> None:
    headers = {**key_header(own, client, "write"), "Content-Encoding": encoding}
    answer = client.post("/v1/events", content=b"\x1f\x8b", headers=headers)
    assert answer.status_code == 415
    assert "send it uncompressed" in answer.json()["detail"]


def test_an_empty_body_is_a_400_in_words(own: Home, client: Client) -> None:
    answer = client.post("/v1/users/merge", headers=key_header(own, client, "write"))
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["message"] == "Expected a JSON body, got none"
