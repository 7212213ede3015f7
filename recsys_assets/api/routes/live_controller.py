"""The live view: what happens now, a message a second."""

from litestar import get
from litestar.openapi.datastructures import ResponseSpec
from litestar.types import ASGIApp

from recsys_assets.api.openapi import answers
from recsys_assets.api.schemas.live_schemas import LiveMessage
from recsys_assets.api.serving.live_view import EVENT_STREAM, LiveStream
from recsys_assets.api.serving.service import ServiceController

_ANSWERS = {
    **answers(LiveMessage),
    200: ResponseSpec(
        data_container=LiveMessage,
        description="Server-sent events without a name; the data of each is this JSON.",
        media_type=EVENT_STREAM.decode(),
        generate_examples=False,
    ),
}


class LiveController(ServiceController):
    """The live view."""

    tags = ("Operations",)

    @get(
        "/live",
        summary="What happens now, a message a second",
        description=(
            "Server-sent events until the client goes or the server ends: events a second, the newest events, click "
            "rates by arm, and the progress of `recsys stream`. Who reads slowly misses messages; who does not read "
            "for ten seconds is dropped. More viewers than `[api] max_live_views` are answered 503."
        ),
        operation_id="watchLive",
        responses=_ANSWERS,
    )
    async def live(self) -> ASGIApp:
        self.service.serving()
        return LiveStream(self.service.live_view)
