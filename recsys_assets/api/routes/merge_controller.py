"""Two users who are one: an anonymous id, and the account that it logged in to."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from litestar import post
from litestar.params import JSONBody
from litestar.types import ASGIApp

from recsys_assets.api.http.auth import needs
from recsys_assets.api.http.bodies import Reply, encode
from recsys_assets.api.openapi import KEY_NEEDED, answers
from recsys_assets.api.routes.stamps import user_of
from recsys_assets.api.schemas.user_schemas import UserMerge, UserMerged
from recsys_assets.api.serving.replica_guard import SHARED_EVENTS, needs_home
from recsys_assets.api.serving.service import ServiceController
from recsys_assets.intake.rows import MergeRow

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class MergeController(ServiceController):
    """Merges of two users."""

    tags = ("Users",)

    @post(
        "/users/merge",
        summary="Merge two users",
        description=(
            "From now on the id `from` means the user `to`: what both have counts for both, in lists, in histories and "
            "in what is left out. It is stored durably before the answer is sent; every worker follows within "
            "a quarter of a second. The next landing gives the rows of `from` to `to`. Merges form chains: where `to` "
            "was merged before, `from` means the last one. The same merge again is answered as before. A user who was "
            "merged into another one cannot be merged into a third, nor a user into itself, nor two into each other: "
            "409. Needs scope `write`."
        ),
        operation_id="mergeUsers",
        status_code=202,
        guards=[
            needs("write"),
            needs_home("events are stored on the machine that builds", SHARED_EVENTS, or_shared_events=True),
        ],
        security=KEY_NEEDED,
        responses=answers(UserMerged, status=202, also=(408, 409, 413, 415)),
    )
    async def merge(self, data: JSONBody[UserMerge]) -> ASGIApp:
        merged = self.service.live.merged
        users = self.service.serving().release.users
        before, after = (
            user_of(users, given, key=key) for key, given in (("from", data.from_user), ("to", data.to_user))
        )
        row = MergeRow(before, after, (self.service.clock() - _EPOCH) // _MICROSECOND)
        is_new = await asyncio.to_thread(merged.add, row)
        return Reply(encode(UserMerged(user_id=merged.of(before), new=is_new)), status=202)
