"""Metrics of requests."""

from litestar import Litestar
from litestar.testing import TestClient


def test_metrics_count_requests_by_route_and_source(client: TestClient[Litestar]) -> None:
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
