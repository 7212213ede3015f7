"""What a client sees: bodies, headers, entity tags, problems."""

import gzip
from typing import TypeVar

import brotli
import httpx
import msgspec
import pytest
from backports import zstd
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.http.auth import add_key
from recsys_assets.api.schemas import operation_schemas, recommendation_schemas
from recsys_assets.release.load import Release
from recsys_assets.settings import ApiSettings
from recsys_assets_tests.api.conftest import NOW
from recsys_assets_tests.api.world import ODD_ITEM, item_id

Client = TestClient[Litestar]
Body = TypeVar("Body", bound=msgspec.Struct)


def decode(answer: httpx.Response, body: type[Body]) -> Body:
    """A good answer, by the structure that the document promises."""
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=body)


@pytest.fixture
def writer(client: Client) -> dict[str, str]:
    """Headers of a caller that may write."""
    secret = add_key(client.home, name="tests", scopes=["write"], now=NOW)[1]
    client.app.state.service.keys.refresh()
    return {"X-API-Key": secret}


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
        ("/v1/users/u1/features", operation_schemas.FeatureRow),
        ("/v1/items/i5/features", operation_schemas.FeatureRow),
        ("/v1/features", operation_schemas.FeatureRegistry),
        ("/v1/items?q=tea", operation_schemas.ItemSearch),
        ("/v1/users?q=u1", operation_schemas.UserSearch),
        ("/v1/categories", operation_schemas.Categories),
        ("/v1/release", operation_schemas.ReleaseSummary),
        ("/v1/releases", operation_schemas.Releases),
    ],
)
def test_every_answer_names_its_release_in_body_and_header(
    client: Client, release: Release, path: str, body: type[msgspec.Struct]
) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    decoded = msgspec.json.decode(answer.content, type=body)
    assert decoded.release == release.release_id == answer.headers["x-release-id"]  # type: ignore[attr-defined]


def test_recommendations_have_titles_and_categories(client: Client) -> None:
    found = client.get("/v1/users/u1/recommendations?k=5").json()
    assert found["source"] == "user"
    assert [set(item) for item in found["items"]] == [{"item_id", "title", "category", "score"}] * 5
    assert all(item["title"].startswith(item["category"]) for item in found["items"] if item["title"])


def test_a_stranger_is_answered_with_popular_items(client: Client) -> None:
    found = client.get("/v1/users/nobody/recommendations?k=4").json()
    assert found["source"] == "popular"
    assert found["items"] == client.get("/v1/popular?k=4").json()["items"]


def test_what_the_user_has_is_left_out_unless_asked_for(client: Client) -> None:
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


def test_ids_with_quotes_blanks_and_emoji_work(client: Client) -> None:
    found = client.get(f"/v1/items/{ODD_ITEM}/similar?k=3")
    assert found.status_code == 200
    assert found.json()["item_id"] == ODD_ITEM


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
def test_refusals_are_problems(client: Client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert msgspec.json.decode(answer.content, type=operation_schemas.Problem).status == status
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/v1/users/u1/recommendations", "/v1/popular", "/v1/items/i5/similar", "/", "/v1/release"]
)
def test_if_none_match_is_answered_by_304_without_a_body(client: Client, path: str) -> None:
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": f'"other", {first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_an_event_changes_the_tag_and_the_answer_of_its_user_only(
    client: Client, writer: dict[str, str]
) -> None:
    before, other = (client.get(f"/v1/users/{user}/recommendations") for user in ("u1", "u2"))
    first = before.json()["items"][0]["item_id"]
    event = {"user_id": "u1", "item_id": first, "timestamp": "2024-04-01T10:00:00+02:00"}
    assert client.post("/v1/events", json={"events": [event]}, headers=writer).json() == {"accepted": 1}
    after = client.get("/v1/users/u1/recommendations", headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert first not in {item["item_id"] for item in after.json()["items"]}
    same = client.get("/v1/users/u2/recommendations", headers={"If-None-Match": other.headers["etag"]})
    assert same.status_code == 304
    assert client.get("/v1/users/u1/history").json()["items"][0]["item_id"] == first


def test_personal_answers_are_private_and_others_public(client: Client) -> None:
    personal = client.get("/v1/users/u1/recommendations").headers
    assert personal["cache-control"] == "private, no-cache"
    assert "Authorization" in personal["vary"]
    for path in ("/v1/popular", "/v1/items/i5/similar"):
        assert client.get(path).headers["cache-control"].startswith("public, max-age=")


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ('{"item_ids": ["i1"], "k": "7"}', "k"),
        ('{"item_ids": ["i1"], "explain": 0}', "explain"),
        ('{"item_ids": ["i1", 2]}', "item_ids[1]"),
        ("null", "data"),
    ],
)
def test_bodies_are_read_strictly_and_the_place_is_named(client: Client, body: str, key: str) -> None:
    answer = client.post("/v1/recommendations", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert [error["key"] for error in answer.json()["errors"]] == [key]


def test_a_whole_number_may_be_written_as_a_float(client: Client) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.post("/v1/recommendations", content='{"item_ids": ["i1"], "k": 7.0}', headers=headers)
    assert len(answer.json()["items"]) == 7


def test_head_has_the_headers_of_get_and_no_body(client: Client) -> None:
    got, head = client.get("/v1/popular"), client.head("/v1/popular")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-length", "content-type", "cache-control", "x-release-id"):
        assert head.headers[name] == got.headers[name]


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "br"])
def test_long_answers_are_compressed_under_a_tag_of_their_own(client: Client, encoding: str) -> None:
    path = "/v1/popular?k=60"
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    with client.stream("GET", path, headers={"Accept-Encoding": encoding}) as packed:
        body = b"".join(packed.iter_raw())
    assert packed.headers["content-encoding"] == encoding
    unpack = {"gzip": gzip.decompress, "zstd": zstd.decompress, "br": brotli.decompress}
    assert unpack[encoding](body) == plain.content
    assert len(body) < len(plain.content) / 2
    assert packed.headers["etag"] != plain.headers["etag"]


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("br;q=0.5, gzip;q=0.9", "gzip"),
        ("zstd;q=0, *", "br"),
        ("identity", None),
    ],
)
def test_the_encoding_that_the_client_likes_best_is_taken(
    client: Client, accepted: str, chosen: str | None
) -> None:
    answer = client.get("/v1/popular?k=60", headers={"Accept-Encoding": accepted})
    assert answer.headers.get("content-encoding") == chosen


def test_short_answers_go_as_they_are(client: Client) -> None:
    assert (
        "content-encoding" not in client.get("/v1/popular?k=2", headers={"Accept-Encoding": "gzip"}).headers
    )


def test_a_request_id_is_kept_where_it_is_harmless(client: Client) -> None:
    assert client.get("/health/live", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert (
        client.get("/health/live", headers={"X-Request-Id": "<script>"}).headers["x-request-id"] != "<script>"
    )


def test_pages_allow_scripts_from_here_only(client: Client) -> None:
    for path in ("/", "/schema", "/schema/scalar"):
        headers = client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe-inline" not in headers["content-security-policy"].split("style-src")[0]
        assert headers["x-content-type-options"] == "nosniff"


def test_pages_name_no_other_host_but_the_dagster_ui(client: Client) -> None:
    for path in ("/", "/schema", "/schema/scalar", "/static/explorer.js", "/static/explorer.css"):
        page = client.get(path).text.replace(ApiSettings().dagster_url, "")
        assert "http://" not in page
        assert "https://" not in page


def test_other_origins_are_not_allowed_by_default(client: Client) -> None:
    answer = client.get("/v1/popular", headers={"Origin": "http://elsewhere.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_metrics_tell_latency_by_route_and_source(client: Client) -> None:
    client.get("/v1/users/u1/recommendations?k=7")
    client.get("/v1/users/nobody/recommendations")
    client.get("/v1/no/such/thing")
    lines = client.get("/metrics").text.splitlines()
    counts = [line for line in lines if line.startswith("recsys_request_seconds_count")]
    route = 'route="/v1/users/{user_id}/recommendations"'
    assert any(route in line and 'source="user"' in line for line in counts)
    assert any('route="unrouted"' in line and 'status="404"' in line for line in counts)
    assert 'recsys_fallbacks_total{source="popular"} 1.0' in lines
    age = next(line for line in lines if line.startswith("recsys_release_age_seconds"))
    assert float(age.split()[-1]) == 86_400.0
    coverage = next(line for line in lines if line.startswith("recsys_recommendation_coverage"))
    assert 0 < float(coverage.split()[-1]) < 1


def test_features_of_many_come_in_the_order_asked_for(client: Client) -> None:
    body = {"entity": "item", "ids": ["i7", "nothing", item_id(0)], "names": ["price"]}
    assert client.post("/v1/features:batchGet", json=body).json()["rows"] == [
        {"price": 7.5},
        None,
        {"price": 0.5},
    ]


def test_search_takes_any_words_as_words(client: Client) -> None:
    assert client.get("/v1/items", params={"q": "cheese"}).json()["items"]
    for words in ('"', "' OR 1=1 --", "NEAR(", "*", "a\0b", "☕"):
        assert client.get("/v1/items", params={"q": words}).status_code == 200
