"""Whether the process lives, whether it can answer, and its metrics."""

from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.types import ASGIApp

from recsys_assets.api.http.replies import Reply
from recsys_assets.api.schemas.operation_schemas import Health
from recsys_assets.api.schemas.recommendation_schemas import encode
from recsys_assets.api.serving.service import Service

_TAG = "Operations"
_EXPOSITION = b"text/plain; version=0.0.4; charset=utf-8"


def health_routes(service: Service) -> list[HTTPRouteHandler]:
    """The routes, over one service."""

    @get(
        "/health/live",
        summary="The process answers",
        operation_id="isLive",
        tags=[_TAG],
        sync_to_thread=False,
        responses={
            200: ResponseSpec(data_container=Health, description="It lives.", generate_examples=False)
        },
    )
    def live() -> ASGIApp:
        return Reply(encode(Health(status="live")))

    @get(
        "/health/ready",
        summary="A whole release is loaded",
        operation_id="isReady",
        tags=[_TAG],
        sync_to_thread=False,
        responses={
            200: ResponseSpec(data_container=Health, description="It can answer.", generate_examples=False),
            503: ResponseSpec(
                data_container=Health, description="No release is loaded.", generate_examples=False
            ),
        },
    )
    def ready() -> ASGIApp:
        serving = service.live.serving
        if serving is None:
            return Reply(encode(Health(status="unavailable")), status=503)
        bound = serving.rules.bound
        body = encode(
            Health(
                status="ready",
                release=serving.release_id,
                rules=None if bound is None else bound.engine.version,
                rules_problem=None if bound is None else bound.problem,
            )
        )
        return Reply(body, release=serving.release_header)

    @get(
        "/metrics",
        summary="Prometheus metrics",
        operation_id="getMetrics",
        tags=[_TAG],
        sync_to_thread=True,
        media_type="text/plain",
        responses={
            200: ResponseSpec(
                data_container=str,
                description="Text exposition.",
                media_type="text/plain",
                generate_examples=False,
            )
        },
    )
    def metrics() -> ASGIApp:
        return Reply(service.metrics.exposition(service.clock()), content_type=_EXPOSITION)

    return [live, ready, metrics]
