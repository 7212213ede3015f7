"""The parts that the routes share: the live release, metrics, and replies made on or beside the event loop."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from time import perf_counter
from typing import ClassVar, Final, Self
from urllib.parse import parse_qsl

from litestar import Controller
from litestar.exceptions import ValidationException
from litestar.types import Scope

from recsys_assets.api.http.auth import KeyRing
from recsys_assets.api.http.bodies import PRIVATE, PUBLIC, Reply
from recsys_assets.api.http.edge import STARTED_KEY
from recsys_assets.api.http.request_metrics import Metrics
from recsys_assets.api.serving.live import Live
from recsys_assets.api.serving.live_state import LiveState
from recsys_assets.api.serving.live_view import LiveView
from recsys_assets.api.serving.serving_release import Serving
from recsys_assets.api.serving.slow_work import SlowWork
from recsys_assets.api_settings import ApiSettings
from recsys_assets.errors import ReleaseError
from recsys_assets.intake.shown_counts import Shown, ShownCounts
from recsys_assets.quality.ledger_place import ledger_place
from recsys_assets.release.answer_series import ArmName, KnownSeries
from recsys_assets.release.retrieval import WouldBlockError
from recsys_assets.rules.engine.requests import Answer

Clock = Callable[[], datetime]


LISTS: Final = "lists"
"""The kind of slow work that lists of items are."""


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
        self.slow = SlowWork()
        self.ledger = ledger_place(live.home)
        self.series = KnownSeries(live.home.answers_db, bring=live.bring_series)
        self.shown = ShownCounts(live.home.events_db)
        self.live_state = LiveState(live, clock=clock)
        self.live_view = LiveView(self.live_state.message, slow=self.slow, most=settings.max_live_views)
        self.public = PRIVATE if settings.require_key_for_reads else PUBLIC
        """Cache control of an answer that is the same for everyone."""

    def serving(self) -> Serving:
        """Return the release to answer this request from; take it once a request.

        Raises:
            ReleaseError: none is loaded.
        """
        serving = self.live.serving
        if serving is None:
            raise ReleaseError("no release is loaded; see /health/ready")
        return serving

    def close(self) -> None:
        """Let go of threads and files, at the end."""
        self.slow.close()
        self.shown.close()
        self.live_state.close()

    def shown_to(self, serving: Serving, user_id: str, days: int) -> Mapping[int, Shown]:
        """Return the items of a release that were shown to a user in the last N days, by number.

        What was shown to users who were merged into this one counts too.

        Raises:
            EventsUnavailableError: the impressions cannot be read.
        """
        since = self.clock() - timedelta(days=days)
        people = [user_id, *self.live.merged.merged_into(user_id)]
        found = self.shown.of(people, since=int(since.timestamp() * 1_000_000))
        nums = serving.release.items.nums(list(found)).tolist()
        return {num: one for num, one in zip(nums, found.values(), strict=True) if num >= 0}

    def without_paths(self, text: str | None) -> str | None:
        """Return a message for clients, which need not know where the home is."""
        return None if text is None else text.replace(f"{self.live.home.root}/", "")

    async def list_reply(self, scope: Scope, make: Callable[[bool], Reply], *, long: bool) -> Reply:
        """Make the reply with a list on the event loop where that is quick, else beside it.

        Args:
            scope: the request's.
            make: makes the reply; its argument says whether it may take long.
            long: the reply is known to take long.

        Raises:
            ServerBusyError: too much slow work is under way.
        """
        if not long:
            try:
                return make(False)  # noqa: FBT003  the only argument
            except WouldBlockError:
                pass
        return await self.slowly(scope, LISTS, lambda: make(True))  # noqa: FBT003

    async def slowly(self, scope: Scope, kind: str, make: Callable[[], Reply]) -> Reply:
        """Make a reply beside the event loop, compressed as the client wants it.

        Raises:
            ServerBusyError: too much slow work is under way.
        """
        accepted = next((value for name, value in scope["headers"] if name == b"accept-encoding"), None)

        def packed() -> Reply:
            reply = make()
            reply.pack(accepted)
            return reply

        return await self.slow.run(kind, packed)

    def give(self, serving: Serving, answer: Answer, kind: str, arm: ArmName | None = None) -> str:
        """Count an answer that is about to be given, of a kind as `answer_counts` names them, and return its id."""
        self.count(serving, answer)
        return self.live.answers.give(serving.release_id, kind, arm)

    def count(self, serving: Serving, answer: Answer) -> None:
        """Count an answer in the metrics, and its items as served."""
        self.metrics.count(answer)
        served = serving.served
        for num in answer.nums:
            served[num] = 1


class ServiceController(Controller):
    """A controller whose methods answer from one application's `service`.

    The service is a class attribute, since injecting it costs a request about 2 of its 45 µs.
    """

    service: ClassVar[Service]

    @classmethod
    def over(cls, service: Service) -> type[Self]:
        """Return this controller over `service`, to be registered as a route handler."""
        return type(cls.__name__, (cls,), {"service": service})


def reject_null(scope: Scope, *names: str) -> None:
    """Reject `null` for the numbers of these names in a query, which Litestar takes for one that is not given.

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
    """Return the time since the request arrived, ms."""
    started: float = scope["state"][STARTED_KEY]
    return (perf_counter() - started) * 1000
