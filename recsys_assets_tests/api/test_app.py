"""The application as a whole: imports, releases in answers, other origins."""

import subprocess
import sys

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.api.schemas import (
    feature_schemas,
    operation_schemas,
    recommendation_schemas,
    release_schemas,
    user_schemas,
)
from recsys_assets.api_settings import ApiSettings
from recsys_assets.release.load import Release
from recsys_assets.storage.home import Home


@pytest.mark.parametrize("module", ["app", "serving.server", "serving.answers"])
def test_serving_loads_no_training_library(module: str) -> None:
    heavy = {"torch", "dagster", "pandera", "polars", "pyarrow", "pandas", "sqlite_utils"}
    code = f"import sys, recsys_assets.api.{module}; print(*({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


def test_the_servers_own_process_leaves_metrics_and_framework_to_its_workers() -> None:
    theirs = {"prometheus_client", "litestar"}
    code = f"import sys, recsys_assets.api.serving.server; print(*({theirs} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


Client = TestClient[Litestar]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/users/u1/recommendations", recommendation_schemas.UserRecommendations),
        (
            "/v1/users/u1/recommendations?reasons=true&include_seen=true",
            recommendation_schemas.UserRecommendations,
        ),
        ("/v1/users/nobody/recommendations", recommendation_schemas.UserRecommendations),
        ("/v1/items/i5/similar", recommendation_schemas.SimilarItems),
        ("/v1/popular", recommendation_schemas.PopularItems),
        ("/v1/users/u1/history", recommendation_schemas.UserHistory),
        ("/v1/users/u1/features", feature_schemas.FeatureRow),
        ("/v1/items/i5/features", feature_schemas.FeatureRow),
        ("/v1/features", feature_schemas.FeatureRegistry),
        ("/v1/items?q=tea", operation_schemas.ItemSearch),
        ("/v1/users?q=u1", user_schemas.UserSearch),
        ("/v1/categories", operation_schemas.Categories),
        ("/v1/release", release_schemas.ReleaseSummary),
        ("/v1/releases", release_schemas.Releases),
        ("/v1/releases/history", release_schemas.ReleaseHistory),
    ],
)
def test_every_answer_names_its_release_in_body_and_header(
    client: Client, release: Release, path: str, body: type[msgspec.Struct]
) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    decoded = msgspec.json.decode(answer.content, type=body)
    assert decoded.release == release.release_id == answer.headers["x-release-id"]  # type: ignore[attr-defined]


def test_other_origins_are_not_allowed_by_default(client: Client) -> None:
    answer = client.get("/v1/popular", headers={"Origin": "http://elsewhere.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_pages_of_allowed_origins_may_call(own: Home) -> None:
    origin = "https://shop.example"
    with TestClient(create_app(own, settings=ApiSettings(cors_origins=[origin]))) as client:
        allowed = client.get("/v1/popular", headers={"Origin": origin})
        other = client.get("/v1/popular", headers={"Origin": "https://elsewhere.example"})
    assert allowed.headers["access-control-allow-origin"] == origin
    assert "access-control-allow-origin" not in other.headers
