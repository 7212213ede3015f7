"""Events since the release: an item that a user just took is not recommended again, and counts as a wish at once."""

import asyncio
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from litestar import post
from litestar.params import JSONBody
from litestar.types import ASGIApp

from recsys_assets.api.http.auth import needs
from recsys_assets.api.http.bodies import Reply, encode
from recsys_assets.api.http.event_bodies import decode_events
from recsys_assets.api.http.problems import DECODER_KEY
from recsys_assets.api.openapi import KEY_NEEDED, answers
from recsys_assets.api.routes.stamps import stamp, user_of, wrong
from recsys_assets.api.schemas.event_schemas import Event, Events, EventsAccepted
from recsys_assets.api.serving.replica_guard import SHARED_EVENTS, needs_home
from recsys_assets.api.serving.service import ServiceController
from recsys_assets.errors import EventConflictError, IntakeFullError
from recsys_assets.intake.event_meaning import IMPRESSION
from recsys_assets.intake.events_database import KIND_OF_NONE, microseconds
from recsys_assets.intake.rows import EventRow, ImpressionRow

_SHOWN_ITEMS: Final = 20
_US: Final = 1_000_000


class EventController(ServiceController):
    """Events since the release."""

    tags = ("Events",)

    @post(
        "/events",
        summary="Remember events",
        description=(
            'One event, a list, `{"events": […]}` or lines of JSON (`application/x-ndjson`), up to 1,000, all or '
            "none. They are on the disk before the answer is sent, and the user's next list honours them: items are "
            "left out, and wishes change the order. An event with an `event_id` may be sent again safely. They enter "
            "training through the lake. Needs scope `write`."
        ),
        operation_id="addEvents",
        status_code=202,
        guards=[
            needs("write"),
            needs_home("events are stored on the machine that builds", SHARED_EVENTS, or_shared_events=True),
        ],
        security=KEY_NEEDED,
        opt={DECODER_KEY: decode_events},
        responses=answers(EventsAccepted, status=202, also=(408, 409, 413, 415)),
    )
    async def add(self, data: JSONBody[Events]) -> ASGIApp:
        service = self.service
        rows = self._rows(data.events, service.clock())
        await self._require_answers(rows)
        try:
            receipt = await asyncio.wrap_future(service.live.intake.submit(rows))
        except IntakeFullError:
            service.metrics.count_events("full", len(rows))
            raise
        except EventConflictError as error:
            service.metrics.count_events("conflict", len(error.event_ids))
            raise
        service.metrics.count_events("accepted", receipt.accepted)
        service.metrics.count_events("duplicate", receipt.duplicates)
        _, unknown = service.serving().known_items([row.item_id for row in rows])
        accepted = EventsAccepted(
            accepted=receipt.accepted,
            duplicates=receipt.duplicates,
            unknown_items=list(dict.fromkeys(unknown))[:_SHOWN_ITEMS],
        )
        return Reply(encode(accepted), status=202)

    async def _require_answers(self, rows: Sequence[EventRow | ImpressionRow]) -> None:
        """Reject an impression of an answer that no server of this home gave."""
        shown = {place: row.answer_id for place, row in enumerate(rows) if isinstance(row, ImpressionRow)}
        unknown = await self.service.series.first_unknown(list(shown.values())) if shown else None
        if unknown is not None:
            place, answer_id = list(shown.items())[unknown]
            message = f"Expected the id of an answer of this server, got `{answer_id}`"
            raise wrong(f"events[{place}].answer_id", message)

    def _rows(self, events: Sequence[Event], now: datetime) -> list[EventRow | ImpressionRow]:
        live = self.service.live
        accepted, received_at = live.meaning.accepted, microseconds(now)
        earliest, latest = live.options.earliest, received_at + live.options.events.future_seconds * _US
        users = self.service.serving().release.users
        return [
            _row(
                place,
                event,
                user_of(users, event.user_id, key=f"events[{place}].user_id"),
                received_at,
                accepted=accepted,
                earliest=earliest,
                latest=latest,
            )
            for place, event in enumerate(events)
        ]


def _row(
    place: int,
    event: Event,
    user_id: str,
    received_at: int,
    *,
    accepted: Collection[str],
    earliest: int,
    latest: int,
) -> EventRow | ImpressionRow:
    """Return the row of an event, or of an impression.

    Raises:
        ValidationException: its kind is unknown, its time is in the future, before all events or none, or an impression
            names no answer or no position; the message names the place.
    """
    kind = KIND_OF_NONE if event.kind is None else event.kind.strip().lower()
    key = f"events[{place}].timestamp"
    when = stamp(event.timestamp, received_at, earliest=earliest, latest=latest, key=key)
    if kind == IMPRESSION:
        if event.answer_id is None or event.position is None:
            missing = "answer_id" if event.answer_id is None else "position"
            raise wrong(f"events[{place}].{missing}", f"Expected `{missing}`: an impression needs it")
        return ImpressionRow(event.answer_id, event.item_id, event.position, user_id, when, received_at)
    if kind not in accepted:
        raise wrong(
            f"events[{place}].kind", f"Expected one of {', '.join(sorted(accepted))}, got `{event.kind}`"
        )
    return EventRow(
        event.event_id or f"{received_at:x}-{secrets.token_hex(8)}",
        user_id,
        event.item_id,
        kind,
        when,
        received_at,
        event.rating,
        event.quantity,
        event.value,
        event.answer_id,
    )
