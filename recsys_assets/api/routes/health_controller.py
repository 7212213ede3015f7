"""Health of the process: liveness, readiness and metrics."""

from litestar import get
from litestar.openapi.datastructures import ResponseSpec
from litestar.types import ASGIApp, Scope

from recsys_assets.api.http.bodies import Reply, encode
from recsys_assets.api.schemas.operation_schemas import Health
from recsys_assets.api.serving.service import ServiceController

_EXPOSITION = b"text/plain; version=0.0.4; charset=utf-8"


class HealthController(ServiceController):
    """Probes for load balancers, and Prometheus metrics."""

    tags = ("Operations",)

    @get(
        "/health/live",
        summary="The process answers",
        operation_id="isLive",
        sync_to_thread=False,
        responses={
            200: ResponseSpec(data_container=Health, description="It lives.", generate_examples=False)
        },
    )
    def live(self) -> ASGIApp:
        return Reply(encode(Health(status="live")))

    @get(
        "/health/ready",
        summary="A whole release is loaded",
        operation_id="isReady",
        sync_to_thread=False,
        responses={
            200: ResponseSpec(data_container=Health, description="It can answer.", generate_examples=False),
            503: ResponseSpec(
                data_container=Health,
                description="No release is loaded, or no rules are bound.",
                generate_examples=False,
            ),
        },
    )
    def ready(self) -> ASGIApp:
        serving = self.service.live.serving
        if serving is None:
            return Reply(encode(Health(status="unavailable")), status=503)
        rules = serving.rules
        body = encode(
            Health(
                status="unavailable" if rules.failed else "ready",
                release=serving.release_id,
                rules=None if rules.bound is None else rules.bound.engine.version,
                rules_problem=self.service.without_paths(rules.problem),
                problems=dict(self.service.live.problems()),
            )
        )
        return Reply(body, status=503 if rules.failed else 200, release=serving.release_header)

    @get(
        "/metrics",
        summary="Prometheus metrics",
        operation_id="getMetrics",
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
    async def metrics(self, scope: Scope) -> ASGIApp:
        service = self.service
        return await service.slowly(
            scope,
            "metrics",
            lambda: Reply(service.metrics.exposition(service.clock()), content_type=_EXPOSITION),
        )
