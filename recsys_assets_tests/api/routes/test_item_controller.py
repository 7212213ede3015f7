"""Similar items and search."""

from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets_tests.api.world import ODD_ITEM

Client = TestClient[Litestar]


def test_ids_with_quotes_blanks_and_emoji_work(client: Client) -> None:
    found = client.get(f"/v1/items/{ODD_ITEM}/similar?k=3")
    assert found.status_code == 200
    assert found.json()["item_id"] == ODD_ITEM


def test_search_takes_any_words_as_words(client: Client) -> None:
    assert client.get("/v1/items", params={"q": "cheese"}).json()["items"]
    for words in ('"', "' OR 1=1 --", "NEAR(", "*", "a\0b", "☕"):
        assert client.get("/v1/items", params={"q": words}).status_code == 200
