"""Bodies: strict decoding, entity tags, cache headers, content encodings."""

import gzip
import json

import brotli
import pytest
from backports import zstd
from litestar import Litestar
from litestar.testing import TestClient

Client = TestClient[Litestar]


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


@pytest.mark.parametrize(
    "path", ["/v1/users/u1/recommendations", "/v1/popular", "/v1/items/i5/similar", "/", "/v1/release"]
)
def test_if_none_match_is_answered_by_304_without_a_body(client: Client, path: str) -> None:
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": f'"other", {first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_personal_answers_are_private_and_others_public(client: Client) -> None:
    personal = client.get("/v1/users/u1/recommendations").headers
    assert personal["cache-control"] == "private, no-cache"
    assert "Authorization" in personal["vary"]
    for path in ("/v1/popular", "/v1/items/i5/similar"):
        assert client.get(path).headers["cache-control"].startswith("public, max-age=")


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "br"])
def test_long_answers_are_compressed_under_a_tag_of_their_own(client: Client, encoding: str) -> None:
    path = "/v1/popular?k=60"
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    with client.stream("GET", path, headers={"Accept-Encoding": encoding}) as packed:
        body = b"".join(packed.iter_raw())
    assert packed.headers["content-encoding"] == encoding
    unpack = {"gzip": gzip.decompress, "zstd": zstd.decompress, "br": brotli.decompress}
    assert _without_id(unpack[encoding](body)) == _without_id(plain.content)
    assert len(body) < len(plain.content) / 2
    assert packed.headers["etag"] != plain.headers["etag"]


def _without_id(body: bytes) -> dict[str, object]:
    found: dict[str, object] = json.loads(body)
    assert found.pop("id")
    return found


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
def test_the_encoding_with_the_greatest_weight_is_chosen(
    client: Client, accepted: str, chosen: str | None
) -> None:
    answer = client.get("/v1/popular?k=60", headers={"Accept-Encoding": accepted})
    assert answer.headers.get("content-encoding") == chosen


def test_short_answers_are_not_compressed(client: Client) -> None:
    assert (
        "content-encoding" not in client.get("/v1/popular?k=2", headers={"Accept-Encoding": "gzip"}).headers
    )
