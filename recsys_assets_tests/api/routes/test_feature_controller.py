"""Features of many at once."""

from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets_tests.api.world import item_id

Client = TestClient[Litestar]


def test_features_of_many_come_in_the_order_of_the_ids(client: Client) -> None:
    body = {"entity": "item", "ids": ["i7", "nothing", item_id(0)], "names": ["price"]}
    assert client.post("/v1/features:batchGet", json=body).json()["rows"] == [
        {"price": 7.5},
        None,
        {"price": 0.5},
    ]
