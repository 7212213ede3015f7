"""Pages without a browser."""

from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api_settings import ApiSettings

Client = TestClient[Litestar]


def test_pages_name_no_other_host_but_the_dagster_ui(client: Client) -> None:
    for path in ("/", "/schema", "/schema/scalar", "/static/explorer.js", "/static/explorer.css"):
        page = client.get(path).text.replace(ApiSettings().dagster_url, "")
        assert "http://" not in page
        assert "https://" not in page
