"""The recalls of a home, for everyone who used what the recalled days made."""

from datetime import UTC, datetime
from typing import Annotated

from litestar import get
from litestar.openapi.spec import Example
from litestar.params import QueryParameter
from litestar.types import ASGIApp

from recsys_assets.api.http.bodies import PRIVATE, Reply, encode
from recsys_assets.api.openapi import answers, release_headers
from recsys_assets.api.schemas.operation_schemas import RecallList, RecallNotice
from recsys_assets.api.serving.service import ServiceController
from recsys_assets.release.recalls import RecordedRecall

Since = Annotated[
    datetime | None,
    QueryParameter(
        name="since",
        description="Only recalls after this time, RFC 3339; without a zone it is UTC.",
        examples=[Example(value="2026-11-27T05:10:00Z")],
    ),
]


class RecallController(ServiceController):
    """Recalled days, and the releases that were built on them."""

    tags = ("Releases",)

    @get(
        "/recalls",
        summary="Recalled days, and who used them",
        description="The newest first. While one is recent, or concerns the release that answers, answers have the "
        "header `Recall`. An answer's `id` begins with its release: compare it with `releases`.",
        operation_id="listRecalls",
        sync_to_thread=False,
        responses=answers(RecallList),
        response_headers=release_headers(),
    )
    def recalled(self, since: Since = None) -> ASGIApp:
        serving = self.service.serving()
        if since is not None and since.tzinfo is None:
            since = since.replace(tzinfo=UTC)
        found = [
            _notice(recall)
            for recall in reversed(self.service.live.recalls.recalls)
            if since is None or recall.at > since
        ]
        body = encode(RecallList(release=serving.release_id, recalls=found))
        return Reply(body, release=serving.release_header, cache=PRIVATE)


def _notice(recall: RecordedRecall) -> RecallNotice:
    """Return a recall for clients, which need not know whose login recalled nor where exports lie."""
    return RecallNotice(
        at=recall.at,
        why=recall.why,
        days=list(recall.days),
        releases=list(recall.releases),
        before=recall.before,
        current=recall.current,
        answers=dict(recall.answers),
    )
