"""Errors as problem bodies."""

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.schemas import operation_schemas

Client = TestClient[Litestar]


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
