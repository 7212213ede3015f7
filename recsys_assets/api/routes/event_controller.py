"""Events since the release, so that an item that a user just took is not recommended again."""

import asyncio
from datetime import UTC, datetime

from litestar import post
from litestar.exceptions import ValidationException
from litestar.params import JSONBody
from litestar.types import ASGIApp

from recsys_assets.api.http.auth import needs
from recsys_assets.api.http.bodies import Reply, encode
from recsys_assets.api.openapi import KEY_NEEDED, answers
from recsys_assets.api.schemas.operation_schemas import Event, Events, EventsAccepted
from recsys_assets.api.serving.service import ServiceController
from recsys_assets.release.event_store import EventRow


class EventController(ServiceController):
    """Events since the release."""

    tags = ("Events",)

    @post(
        "/events",
        summary="Remember events",
        description=(
            "Stored durably before the answer is sent, all or none. Needs scope `write`. Items are "
            "left out of the user's recommendations at once; they enter training through the lake."
        ),
        operation_id="addEvents",
        status_code=202,
        guards=[needs("write")],
        security=KEY_NEEDED,
        responses=answers(EventsAccepted, status=202, also=(408, 413, 415)),
    )
    async def add(self, data: JSONBody[Events]) -> ASGIApp:
        now = self.service.clock()
        rows = [_row(place, event, now) for place, event in enumerate(data.events)]
        count = await asyncio.to_thread(self.service.live.events.add, rows)
        return Reply(encode(EventsAccepted(accepted=count)), status=202)


def _row(place: int, event: Event, now: datetime) -> EventRow:
    try:
        when = _stored(now if event.timestamp is None else event.timestamp)
    except OverflowError:
        message = f"Expected a time within the years 1-9999 UTC, got `{event.timestamp}`"
        extra = [{"message": message, "key": f"events[{place}].timestamp", "source": "body"}]
        raise ValidationException(message, extra=extra) from None
    return EventRow(event.user_id, event.item_id, when, _stored(now))


def _stored(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
