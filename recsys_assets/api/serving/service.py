"""What the routes share: the live release, metrics, and computing on or off the event loop."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from time import perf_counter
from typing import ClassVar, Protocol, Self
from urllib.parse import parse_qsl

from litestar import Controller
from litestar.exceptions import ValidationException
from litestar.types import Scope

from recsys_assets.api.http.auth import KeyRing
from recsys_assets.api.http.bodies import PRIVATE, PUBLIC
from recsys_assets.api.http.edge import STARTED_KEY
from recsys_assets.api.http.request_metrics import Metrics
from recsys_assets.api.serving.live import Live, Serving
from recsys_assets.api.serving.queries import Ranked
from recsys_assets.api.serving.retrieval import WouldBlockError
from recsys_assets.errors import ReleaseError
from recsys_assets.settings import ApiSettings

Clock = Callable[[], datetime]


class Compute(Protocol):
    """Ranks items; may refuse to where it would block the event loop."""

    def __call__(self, *, may_block: bool) -> Ranked:
        """The answer, or WouldBlockError."""


class Service:
    """One application's parts."""

    def __init__(
        self, *, live: Live, metrics: Metrics, keys: KeyRing, settings: ApiSettings, clock: Clock
    ) -> None:
        self.live = live
        self.metrics = metrics
        self.keys = keys
        self.settings = settings
        self.clock = clock
        self.public = PRIVATE if settings.require_key_for_reads else PUBLIC
        """How caches may keep an answer that is the same for everyone."""

    def serving(self) -> Serving:
        """The release to answer this request from; take it once a request.

        Raises:
            ReleaseError: none is loaded.
        """
        serving = self.live.serving
        if serving is None:
            raise ReleaseError("no release is loaded; see /health/ready")
        return serving

    async def ranked(self, serving: Serving, compute: Compute) -> Ranked:
        """Compute on the event loop where that is quick, else in a thread."""
        try:
            found = compute(may_block=False)
        except WouldBlockError:
            found = await asyncio.to_thread(compute, may_block=True)
        return self.count(serving, found)

    def count(self, serving: Serving, found: Ranked) -> Ranked:
        """Count an answer that is about to be given."""
        self.metrics.count(found)
        served = serving.served
        for num in found.nums:
            served[num] = 1
        return found


class ServiceController(Controller):
    """A controller whose methods answer from one application's `service`.

    The service is a class attribute, since injecting it costs a request about 2 of its 45 µs.
    """

    service: ClassVar[Service]

    @classmethod
    def over(cls, service: Service) -> type[Self]:
        """Return this controller over `service`, to be registered as a route handler."""
        return type(cls.__name__, (cls,), {"service": service})


def refuse_null(scope: Scope, *names: str) -> None:
    """Refuse `null` for the numbers of these names in a query, which Litestar takes for one that is not given.

    Raises:
        ValidationException: names the first.
    """
    query = scope["query_string"]
    if b"=null" not in query:
        return
    for name, value in parse_qsl(query.decode("latin-1")):
        if name in names and value == "null":
            message = "Expected a number, got `null`"
            raise ValidationException(message, extra=[{"message": message, "key": name, "source": "query"}])


def spent_ms(scope: Scope) -> float:
    """How long ago the request arrived, ms."""
    started: float = scope["state"][STARTED_KEY]
    return (perf_counter() - started) * 1000
