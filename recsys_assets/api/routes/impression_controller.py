"""Impressions, and what came of the answers."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Final

from litestar import get, post
from litestar.openapi.spec import Example
from litestar.params import JSONBody, Parameter, QueryParameter
from litestar.types import ASGIApp, Scope

from recsys_assets.api.http.auth import needs
from recsys_assets.api.http.bodies import PRIVATE, Reply, encode
from recsys_assets.api.http.impression_bodies import decode_impressions
from recsys_assets.api.http.problems import DECODER_KEY
from recsys_assets.api.openapi import IMPRESSIONS_OPERATION, KEY_NEEDED, answers, release_headers
from recsys_assets.api.routes.stamps import stamp, user_of, wrong
from recsys_assets.api.schemas.online_schemas import (
    ImpressionsAccepted,
    MetricsPeriod,
    OnlineMetrics,
    ShownAnswer,
    ShownAnswers,
)
from recsys_assets.api.serving.replica_guard import SHARED_EVENTS, needs_home
from recsys_assets.api.serving.service import ServiceController
from recsys_assets.experiments.online_results import ARTIFACT, GroupKind, read_results, select
from recsys_assets.intake.events_database import microseconds
from recsys_assets.intake.rows import ImpressionRow

_US: Final = 1_000_000

By = Annotated[
    GroupKind,
    QueryParameter(
        name="by",
        description="Split the answers by release, kind of list, or arm of an experiment; `all` splits nothing.",
        examples=[Example(value="arm")],
    ),
]
Days = Annotated[int, Parameter(ge=1, le=90, description="Newest days, 1-90.")]


class ImpressionController(ServiceController):
    """Impressions, and what came of the answers."""

    tags = ("Events",)

    @post(
        "/impressions",
        summary="Report what was shown",
        description=(
            'The items of an answer that a user was shown: one answer, a list, `{"impressions": […]}` or lines of JSON '
            "(`application/x-ndjson`), up to 1,000 answers with 10,000 items, all or none. They are on the disk before "
            "the answer is sent. An item of an answer counts once, so a client and a server may both report it. An "
            "answer that no server of this home gave is rejected (400). Needs scope `write`."
        ),
        operation_id=IMPRESSIONS_OPERATION,
        status_code=202,
        guards=[
            needs("write"),
            needs_home("events are stored on the machine that builds", SHARED_EVENTS, or_shared_events=True),
        ],
        security=KEY_NEEDED,
        opt={DECODER_KEY: decode_impressions},
        responses=answers(ImpressionsAccepted, status=202, also=(408, 409, 413, 415)),
    )
    async def add(self, data: JSONBody[ShownAnswers]) -> ASGIApp:
        service, shown = self.service, data.impressions
        unknown = await service.series.first_unknown([one.answer_id for one in shown])
        if unknown is not None:
            message = f"Expected the id of an answer of this server, got `{shown[unknown].answer_id}`"
            raise wrong(f"impressions[{unknown}].answer_id", message)
        rows = list(self._rows(shown, service.clock()))
        receipt = await asyncio.wrap_future(service.live.intake.submit(rows))
        accepted = ImpressionsAccepted(accepted=receipt.accepted, duplicates=receipt.duplicates)
        return Reply(encode(accepted), status=202)

    def _rows(self, shown: Sequence[ShownAnswer], now: datetime) -> Iterator[ImpressionRow]:
        received_at = microseconds(now)
        options = self.service.live.options
        earliest, latest = options.earliest, received_at + options.events.future_seconds * _US
        users = self.service.serving().release.users
        for place, answer in enumerate(shown):
            user_key = f"impressions[{place}].user_id"
            user_id = None if answer.user_id is None else user_of(users, answer.user_id, key=user_key)
            key = f"impressions[{place}].timestamp"
            when = stamp(answer.timestamp, received_at, earliest=earliest, latest=latest, key=key)
            for position, item in enumerate(answer.items, start=1):
                item_id, at = (item, position) if isinstance(item, str) else (item.item_id, item.position)
                yield ImpressionRow(answer.answer_id, item_id, at, user_id, when, received_at)

    @get(
        "/online-metrics",
        summary="What came of the answers",
        description="Shares of answers that were clicked, of users who bought, amount an answer, share of the "
        "catalogue shown, and the share clicked at each position; by UTC day when the answers were shown, as of the "
        "last build or run of `online_metrics`. Users are the unit of the intervals.",
        operation_id="getOnlineMetrics",
        responses=answers(OnlineMetrics),
        response_headers=release_headers(),
    )
    async def metrics(self, scope: Scope, by: By = "all", days: Days = 28) -> ASGIApp:
        serving, folder = self.service.serving(), self.service.live.home.artifact(ARTIFACT)

        def reply() -> Reply:
            found = read_results(folder)
            if found is None:
                body = OnlineMetrics(
                    release=serving.release_id,
                    made_at=None,
                    attribution_days=None,
                    final_through=None,
                    period=None,
                    days=[],
                )
            else:
                since = max(found.days_shown(), default=date.max) - timedelta(days=days - 1)
                body = OnlineMetrics(
                    release=serving.release_id,
                    made_at=found.made_at,
                    attribution_days=found.attribution_days,
                    final_through=found.final_through,
                    period=MetricsPeriod(
                        first=found.period_first,
                        last=found.period_last,
                        metrics=select(found.period, group_kind=by),
                    ),
                    days=[one for one in select(found.days, group_kind=by) if one.day >= since],
                )
            return Reply(encode(body), release=serving.release_header, cache=PRIVATE)

        return await self.service.slowly(scope, "online", reply)
