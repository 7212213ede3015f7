"""The application factory: one home's current release behind HTTP.

What it imports has neither torch, Dagster, pandera nor polars, so a server is ready in well under a second.
"""

import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from litestar import Litestar, Router
from litestar.config.cors import CORSConfig
from threadpoolctl import threadpool_limits

from recsys_assets.api.http.auth import KeyRing, needs
from recsys_assets.api.http.bodies import StrictRequest
from recsys_assets.api.http.edge import Edge
from recsys_assets.api.http.problems import HANDLERS
from recsys_assets.api.http.telemetry import Metrics, configure_logs
from recsys_assets.api.openapi import openapi_config
from recsys_assets.api.routes.event_controller import event_routes
from recsys_assets.api.routes.feature_controller import feature_routes
from recsys_assets.api.routes.health_controller import health_routes
from recsys_assets.api.routes.item_controller import ItemController
from recsys_assets.api.routes.page_controller import page_routes
from recsys_assets.api.routes.quality_controller import quality_routes
from recsys_assets.api.routes.recommendation_controller import RecommendationController
from recsys_assets.api.routes.release_controller import release_routes
from recsys_assets.api.routes.rules_controller import RulesController
from recsys_assets.api.routes.user_controller import UserController
from recsys_assets.api.serving.live import Live
from recsys_assets.api.serving.server import OPTIONS_VARIABLE, ServeOptions
from recsys_assets.api.serving.service import Clock, Service
from recsys_assets.settings import ApiSettings
from recsys_assets.storage.home import Home


def create_app(
    home: Home,
    *,
    settings: ApiSettings | None = None,
    verify: bool = True,
    fallback_previous: bool = False,
    shared_events: bool = False,
    shared_limits: Path | None = None,
    clock: Clock = lambda: datetime.now(UTC),
) -> Litestar:
    """An application that serves `home`'s current release and follows it.

    Args:
        home: where releases, events and keys are.
        settings: what the API allows; the defaults where None.
        verify: check the release's checksums first; a worker whose parent has done so need not.
        fallback_previous: serve the newest whole release before `current` where that is broken.
        shared_events: other processes write events too, so look for theirs before every personal answer.
        shared_limits: a file in which all workers count what each caller asks.
        clock: the time, for what is stored and shown.

    Raises:
        ReleaseError: no release is current, or it is broken; the message says what to do.
    """
    allowed = settings or ApiSettings()
    live = Live(home, shared_events=shared_events)
    live.start(verify=verify, fallback_previous=fallback_previous)
    keys = KeyRing(home)
    keys.refresh()
    metrics = Metrics(live)
    service = Service(live=live, metrics=metrics, keys=keys, settings=allowed, clock=clock)

    @asynccontextmanager
    async def following(_: Litestar) -> AsyncIterator[None]:
        async with live.following(keys):
            yield

    reads = Router(
        "/v1",
        route_handlers=[
            RecommendationController.over(service),
            RulesController.over(service),
            ItemController.over(service),
            UserController.over(service),
            *feature_routes(service),
            *release_routes(service),
            *quality_routes(service),
            *event_routes(service),
        ],
        guards=[needs("read")] if allowed.require_key_for_reads else [],
    )
    app = Litestar(
        route_handlers=[reads, *health_routes(service), *page_routes(allowed)],
        lifespan=[following],
        request_class=StrictRequest,
        exception_handlers=HANDLERS,
        openapi_config=openapi_config(),
        cors_config=_cors(allowed),
        logging_config=None,
    )
    app.state.service = service
    app.asgi_handler = Edge(
        app.asgi_handler, settings=allowed, metrics=metrics, keys=keys, shared_limits=shared_limits
    )
    return app


def _cors(settings: ApiSettings) -> CORSConfig | None:
    if not settings.cors_origins:
        return None
    return CORSConfig(
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "X-API-Key", "Content-Type", "If-None-Match"],
        expose_headers=["ETag", "X-Release-Id", "X-Request-Id"],
        max_age=600,
    )


def build_app() -> Litestar:
    """The application of one worker."""
    options = msgspec.json.decode(os.environ[OPTIONS_VARIABLE], type=ServeOptions)
    configure_logs()
    # Requests are answered one after another on the event loop, with products too small to share out: more BLAS
    # threads only compete with it. The parent has loaded numpy by now, so no environment variable can say so.
    threadpool_limits(1, user_api="blas")
    app = create_app(
        Home(Path(options.home)),
        settings=options.api,
        verify=options.fallback_previous,
        fallback_previous=options.fallback_previous,
        shared_events=options.workers > 1,
        shared_limits=None if options.shared is None else Path(options.shared, "limits"),
    )
    # What is loaded by now stays: no collection need walk through it again in the middle of a request.
    gc.freeze()
    return app
