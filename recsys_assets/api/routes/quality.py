"""How the data stood: every check by day."""

from typing import Annotated

from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter
from litestar.types import ASGIApp

from recsys_assets.api.documentation import answers, release_headers
from recsys_assets.api.operation_schemas import Quality
from recsys_assets.api.quality import check_histories
from recsys_assets.api.replies import Reply
from recsys_assets.api.schemas import encode
from recsys_assets.api.service import Service

Days = Annotated[int, Parameter(ge=1, le=400, description="How many days, the last ones, 1-400.")]


def quality_routes(service: Service) -> list[HTTPRouteHandler]:
    """The routes, over one service."""

    @get(
        "/quality",
        summary="Checks of the data by day",
        operation_id="listQuality",
        tags=["Operations"],
        sync_to_thread=True,
        responses=answers(Quality),
        response_headers=release_headers(),
    )
    def quality(days: Days = 60) -> ASGIApp:
        serving = service.serving()
        checks = check_histories(service.live.home.quality_db, days=days)
        return Reply(
            encode(Quality(release=serving.release_id, checks=checks)), release=serving.release_header
        )

    return [quality]
