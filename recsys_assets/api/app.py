"""The application factory: one home's current release behind HTTP.

Nothing that it imports loads torch, Dagster, pandera or polars, so a server is ready in about a second.
"""

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from litestar import Litestar, Router
from litestar.config.cors import CORSConfig
from threadpoolctl import threadpool_limits

from recsys_assets.api.http.auth import KeyRing, needs
from recsys_assets.api.http.connections import Connections
from recsys_assets.api.http.edge import Edge
from recsys_assets.api.http.logs import configure_logs
from recsys_assets.api.http.problems import HANDLERS, StrictRequest
from recsys_assets.api.http.request_metrics import Metrics
from recsys_assets.api.openapi import openapi_config
from recsys_assets.api.routes.event_controller import EventController
from recsys_assets.api.routes.experiment_controller import ExperimentController
from recsys_assets.api.routes.feature_controller import FeatureController
from recsys_assets.api.routes.forget_controller import ForgetController
from recsys_assets.api.routes.health_controller import HealthController
from recsys_assets.api.routes.impression_controller import ImpressionController
from recsys_assets.api.routes.item_controller import ItemController
from recsys_assets.api.routes.live_controller import LiveController
from recsys_assets.api.routes.merge_controller import MergeController
from recsys_assets.api.routes.page_controller import PageController
from recsys_assets.api.routes.quality_controller import QualityController
from recsys_assets.api.routes.recall_controller import RecallController
from recsys_assets.api.routes.recommendation_controller import RecommendationController
from recsys_assets.api.routes.release_controller import ReleaseController
from recsys_assets.api.routes.rules_controller import RulesController
from recsys_assets.api.routes.state_controller import StateController
from recsys_assets.api.routes.user_controller import UserController
from recsys_assets.api.serving.live import Live
from recsys_assets.api.serving.recall_notices import RecallNotices
from recsys_assets.api.serving.server import OPTIONS_VARIABLE, ServeOptions, end_with
from recsys_assets.api.serving.service import Clock, Service
from recsys_assets.api_settings import ApiSettings
from recsys_assets.intake.event_meaning import EventOptions
from recsys_assets.storage.home import Home

_VERSIONED = (
    RecommendationController,
    RulesController,
    ItemController,
    UserController,
    FeatureController,
    ReleaseController,
    QualityController,
    RecallController,
    EventController,
    StateController,
    ForgetController,
    MergeController,
    ExperimentController,
    ImpressionController,
    LiveController,
)
"""Controllers under `/v1`."""


def create_app(
    home: Home,
    *,
    settings: ApiSettings | None = None,
    verify: bool = True,
    fallback_previous: bool = False,
    shared_events: bool = False,
    shared_limits: Path | None = None,
    port: int | None = None,
    events: EventOptions | None = None,
    clock: Clock = lambda: datetime.now(UTC),
) -> Litestar:
    """Make an application that serves the current release of `home` and follows its changes.

    Args:
        home: where releases, events and keys are.
        settings: limits and options of the API; the defaults where None.
        verify: check the release's checksums first; False in a worker whose parent has checked them.
        fallback_previous: serve the newest whole release before `current` where that is broken.
        shared_events: other processes write events too, so read theirs before every personal answer.
        shared_limits: the file in which all workers count the requests of each caller.
        port: the port whose connections are watched; None where this process does not listen itself.
        events: settings of events; the defaults where None.
        clock: time of stored events, and of the release's age.

    Raises:
        ReleaseError: no release is current, or it is broken; the message says what to do.
    """
    settings = settings or ApiSettings()
    recalls = RecallNotices(home, days=settings.recall_header_days, clock=clock)
    live = Live(home, shared_events=shared_events, recalls=recalls, options=events, clock=clock)
    live.start(verify=verify, fallback_previous=fallback_previous)
    keys = KeyRing(home)
    keys.refresh()
    service = Service(live=live, metrics=Metrics(live), keys=keys, settings=settings, clock=clock)
    connections = Connections(settings, port)
    app = _application(service, connections, listens=port is not None)
    app.asgi_handler = Edge(
        app.asgi_handler,
        settings=settings,
        metrics=service.metrics,
        keys=keys,
        connections=connections,
        shared_limits=shared_limits,
    )
    return app


def _application(service: Service, connections: Connections, *, listens: bool) -> Litestar:
    @asynccontextmanager
    async def following(_: Litestar) -> AsyncIterator[None]:
        watching = asyncio.create_task(connections.watch())
        if listens:
            end_before_waiting(service.live_view.close)
        async with service.live.following(service.keys):
            yield
        service.live_view.close()
        watching.cancel()
        service.close()

    versioned = Router(
        "/v1",
        route_handlers=[controller.over(service) for controller in _VERSIONED],
        guards=[needs("read")] if service.settings.require_key_for_reads else [],
    )
    app = Litestar(
        route_handlers=[versioned, HealthController.over(service), PageController.over(service)],
        lifespan=[following],
        request_class=StrictRequest,
        exception_handlers=HANDLERS,
        openapi_config=openapi_config(),
        cors_config=_cors(service.settings),
        logging_config=None,
    )
    app.state.service = service
    return app


def end_before_waiting(end: Callable[[], None]) -> None:
    """Have a worker end its endless answers at SIGTERM, before it ends as by SIGINT.

    The HTTP server waits for answers under way before it ends the application, so they may not wait for that.
    """

    def ending() -> None:
        end()
        os.kill(os.getpid(), signal.SIGINT)

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending)


def _cors(settings: ApiSettings) -> CORSConfig | None:
    if not settings.cors_origins:
        return None
    return CORSConfig(
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["Authorization", "X-API-Key", "Content-Type", "If-None-Match"],
        expose_headers=["ETag", "Recall", "X-Release-Id", "X-Request-Id"],
        max_age=600,
    )


def build_app() -> Litestar:
    """Make the application of one worker, from the options in its environment."""
    options = msgspec.json.decode(os.environ[OPTIONS_VARIABLE], type=ServeOptions)
    end_with(options.supervisor, signal.SIGKILL)
    configure_logs()
    # Requests are answered one after another on the event loop, with matrix products too small to split: more BLAS
    # threads only compete with it. The parent has loaded numpy by now, so an environment variable would come too late.
    threadpool_limits(1, user_api="blas")
    app = create_app(
        Home(Path(options.home)),
        settings=options.api,
        verify=options.fallback_previous,
        fallback_previous=options.fallback_previous,
        shared_events=options.workers > 1,
        shared_limits=None if options.shared is None else Path(options.shared, "limits"),
        port=options.port,
        events=options.events,
    )
    # Everything loaded so far stays in memory: garbage collection need not visit it in the middle of a request.
    gc.freeze()
    return app
