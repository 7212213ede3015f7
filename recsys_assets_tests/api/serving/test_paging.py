"""Pages of lists: joined they are the long list, no item comes twice, and a token is rejected in words."""

import contextlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.api.serving import paging
from recsys_assets.api.serving.paging import LONGEST_TOKEN, MOST_GIVEN, page_of
from recsys_assets.errors import PageTokenError
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import NOW, key_header
from recsys_assets_tests.api.world import make_home, publish_release

USER = "/v1/users/u3/recommendations"
LISTS = (
    USER,
    f"{USER}?category=Tea",
    "/v1/users/nobody/recommendations",
    "/v1/popular",
    "/v1/popular?category=Tea",
)
"""Lists whose pages are the slices of one order."""


@pytest.fixture(scope="module")
def reader(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient[Any]]:
    """A client for tests that change nothing."""
    own = Home(Path(tmp_path_factory.mktemp("read")))
    own.releases.symlink_to(home.releases)
    with TestClient(create_app(own, clock=lambda: NOW)) as opened:
        yield opened


def pages(client: TestClient[Any], path: str, sizes: list[int], **body: Any) -> Iterator[list[str]]:
    """Yield the ids of each page of the list at a path, by POST where there is a body."""
    after: str | None = None
    for k in sizes:
        wanted = {"k": k} if after is None else {"k": k, "after": after}
        answer = (
            client.post(path, json={**body, **wanted})
            if body
            else client.get(path, params={**query(path), **wanted})
        )
        assert answer.status_code == 200, answer.text
        found = answer.json()
        yield [item["item_id"] for item in found["items"]]
        after = found["next"]
        if after is None:
            return


def query(path: str) -> dict[str, str]:
    """The parameters of a path, which httpx drops where others are given."""
    _, _, text = path.partition("?")
    return dict(part.split("=") for part in text.split("&")) if text else {}


@pytest.mark.parametrize("path", LISTS)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6))
@hypothesis_settings(max_examples=25)
def test_the_pages_joined_are_the_long_list(reader: TestClient[Any], path: str, sizes: list[int]) -> None:
    joined = [item for page in pages(reader, path, sizes) for item in page]
    whole = reader.get(path, params={**query(path), "k": 500}).json()["items"]
    assert joined == [item["item_id"] for item in whole][: sum(sizes)]


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6))
@hypothesis_settings(max_examples=25)
def test_the_pages_of_a_session_joined_are_its_long_list(reader: TestClient[Any], sizes: list[int]) -> None:
    joined = [item for page in pages(reader, "/v1/recommendations", sizes, item_ids=["i5"]) for item in page]
    whole = reader.post("/v1/recommendations", json={"item_ids": ["i5"], "k": 500}).json()["items"]
    assert joined == [item["item_id"] for item in whole][: sum(sizes)]


@pytest.mark.parametrize(
    "path", [f"{USER}?scenario=home", f"{USER}?diversity=0.7", "/v1/items/i5/similar", f"{USER}?explain=true"]
)
@given(sizes=st.lists(st.integers(1, 30), min_size=2, max_size=6))
@hypothesis_settings(max_examples=15)
def test_no_page_repeats_an_item(reader: TestClient[Any], path: str, sizes: list[int]) -> None:
    joined = [item for page in pages(reader, path, sizes) for item in page]
    assert len(joined) == len(set(joined))


def test_the_last_page_names_no_next_one(reader: TestClient[Any]) -> None:
    found = list(pages(reader, "/v1/popular", [30] * 9))
    assert [len(page) for page in found] == [30, 30, 20]


def test_an_event_between_two_pages_repeats_nothing(client: TestClient[Any], own: Home) -> None:
    first = client.get(USER, params={"k": 5}).json()
    shown = [item["item_id"] for item in first["items"]]
    event = {"user_id": "u3", "item_id": shown[1], "timestamp": NOW.isoformat()}
    client.post("/v1/events", json={"events": [event]}, headers=key_header(own, client, "write"))
    second = client.get(USER, params={"k": 20, "after": first["next"]}).json()
    assert len(second["items"]) == 20
    assert not {item["item_id"] for item in second["items"]} & set(shown)


def test_after_a_change_of_the_release_the_page_is_of_the_new_one_without_what_was_given(
    tmp_path: Path,
) -> None:
    home = make_home(tmp_path)
    with TestClient(create_app(home, clock=lambda: NOW)) as client:
        first = client.get("/v1/popular", params={"k": 30}).json()
        publish_release(home, items=60, seed=1)
        assert client.app.state.service.live.swap()
        second = client.get("/v1/popular", params={"k": 60, "after": first["next"]}).json()
        assert second["release"] != first["release"]
        given_before = {item["item_id"] for item in first["items"]}
        new = [item["item_id"] for item in client.get("/v1/popular", params={"k": 60}).json()["items"]]
        assert [item["item_id"] for item in second["items"]] == [
            item for item in new if item not in given_before
        ]


def test_a_token_of_a_release_that_is_not_kept_is_rejected_in_words(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    with TestClient(create_app(home, clock=lambda: NOW)) as client:
        after = client.get("/v1/popular", params={"k": 3}).json()["next"]
        publish_release(home, items=60, seed=1)
        assert client.app.state.service.live.swap()
        served = client.app.state.service.live.serving.release_id
        (before,) = {one.release_id for one in ReleaseStore(home.releases).list()} - {served}
        (home.releases / before / "items.offsets.npy").unlink()
        answer = client.get("/v1/popular", params={"after": after})
        assert answer.status_code == 400
        assert f"the token is of release {before}, which is not kept any more" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/users/u4/recommendations", "/v1/popular", f"{USER}?scenario=home"])
def test_a_token_of_another_list_is_rejected(reader: TestClient[Any], path: str) -> None:
    after = reader.get(USER).json()["next"]
    answer = reader.get(path, params={**query(path), "after": after})
    assert answer.status_code == 400
    assert "of another list" in answer.json()["detail"]


@given(place=st.integers(0, 200), byte=st.integers(1, 255))
@hypothesis_settings(max_examples=60)
def test_a_changed_token_is_rejected(reader: TestClient[Any], place: int, byte: int) -> None:
    token = reader.get(USER).json()["next"]
    raw = bytearray(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    raw[place % len(raw)] ^= byte
    answer = reader.get(USER, params={"after": urlsafe_b64encode(bytes(raw)).decode()})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


@given(text=st.text(max_size=60))
@hypothesis_settings(max_examples=60)
def test_any_text_as_a_token_is_rejected_as_a_problem(reader: TestClient[Any], text: str) -> None:
    answer = reader.post("/v1/recommendations", json={"item_ids": ["i5"], "after": text})
    assert answer.status_code == 400


@given(content=st.binary(min_size=1, max_size=80))
@hypothesis_settings(max_examples=100)
def test_a_forged_token_is_no_failure(reader: TestClient[Any], content: bytes) -> None:
    serving = reader.app.state.service.live.serving
    forged = urlsafe_b64encode(paging._check("x", content) + content).decode()
    with contextlib.suppress(PageTokenError):
        page_of(serving, forged, "x")


def test_the_longest_token_fits_the_query(reader: TestClient[Any]) -> None:
    serving = reader.app.state.service.live.serving
    page = page_of(serving, None, "popular")
    token = page.next_json(serving, list(range(MOST_GIVEN)), MOST_GIVEN)
    assert len(token) + MOST_GIVEN * 2 * 4 // 3 < LONGEST_TOKEN
    assert page.next_json(serving, list(range(MOST_GIVEN + 1)), MOST_GIVEN + 1) == "null"
