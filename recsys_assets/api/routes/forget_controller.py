"""Forgetting a user by HTTP: the request is kept and the user hidden at once; the rows go with the next build."""

import asyncio
from collections.abc import Collection
from typing import Annotated

from litestar import delete, get
from litestar.exceptions import NotFoundException, ValidationException
from litestar.openapi.spec import Example
from litestar.params import Parameter
from litestar.types import ASGIApp, Scope

from recsys_assets.api.http.auth import CALLER_KEY, needs
from recsys_assets.api.http.bodies import PRIVATE, Reply, encode
from recsys_assets.api.http.edge import as_sent
from recsys_assets.api.openapi import KEY_NEEDED, UserIdPath, answers
from recsys_assets.api.schemas.user_schemas import ForgetState
from recsys_assets.api.serving.replica_guard import needs_home
from recsys_assets.api.serving.service import ServiceController
from recsys_assets.intake.merged_users import stored_merges, with_merged
from recsys_assets.storage.forgotten import (
    RecordedForget,
    UnfinishedForget,
    read_forgets,
    read_unfinished_forgets,
    request_forget,
)
from recsys_assets.storage.id_form import BLANKS
from recsys_assets.storage.locks import locked

ForgetNumber = Annotated[
    int, Parameter(ge=1, le=2**53, description="Number of the forget.", examples=[Example(value=1)])
]


class ForgetController(ServiceController):
    """Forgetting users."""

    tags = ("Users",)

    @delete(
        "/users/{user_id:str}",
        summary="Forget a user",
        description="The request is on the disk before the answer, and from then on every answer treats the user as a "
        "stranger, on all workers within a second. The rows leave the lake, every release, reports, databases and "
        "exports when the next build runs, or `recsys forget --pending`: it is done when `/v1/forgets/{number}` says "
        "`done`. Sums over all users keep the anonymous part until the next training. The same request again is the "
        "same forget while it waits. Needs scope `admin`.",
        operation_id="forgetUser",
        status_code=202,
        guards=[needs("admin"), needs_home("users are forgotten where releases are built")],
        security=KEY_NEEDED,
        responses=answers(ForgetState, status=202, also=(409,)),
    )
    async def forget(self, scope: Scope, user_id: UserIdPath) -> ASGIApp:
        who = scope["state"][CALLER_KEY].name
        begun = await asyncio.to_thread(self._request, self._known(as_sent(user_id)), who)
        return Reply(encode(_waiting(begun)), status=202, cache=PRIVATE)

    @get(
        "/forgets/{number:int}",
        summary="The state of a forget",
        description="It is kept without the user's id. Needs scope `admin`.",
        operation_id="showForget",
        guards=[needs("admin")],
        security=KEY_NEEDED,
        responses=answers(ForgetState, also=(404,)),
    )
    async def show(self, number: ForgetNumber) -> ASGIApp:
        found = await asyncio.to_thread(self._state, number)
        if found is None:
            raise NotFoundException(f"there is no forget #{number}")
        return Reply(encode(found), cache=PRIVATE)

    def _known(self, user_id: str) -> Collection[str]:
        """Return the id as it is given without blanks, under which rows of before may be, and in its one form."""
        found = self.service.serving().release.users.form_of(user_id)
        if found is None:
            message = f"Expected the id of a user, got `{user_id}`"
            raise ValidationException(
                message, extra=[{"message": message, "key": "user_id", "source": "path"}]
            )
        return {user_id.strip(BLANKS), found}

    def _request(self, users: Collection[str], who: str) -> UnfinishedForget:
        live = self.service.live
        person = with_merged(stored_merges(live.home.events_db), users)
        with locked(live.home.lock("forgets")):
            begun = request_forget(live.home, person, at=self.service.clock(), who=who, why="")
        live.hide_forgotten()
        return begun

    def _state(self, number: int) -> ForgetState | None:
        home = self.service.live.home
        ended = next((one for one in read_forgets(home) if one.number == number), None)
        if ended is not None:
            return _done(ended)
        begun = next((one for one in read_unfinished_forgets(home) if one.number == number), None)
        return None if begun is None else _waiting(begun)


def _waiting(begun: UnfinishedForget) -> ForgetState:
    return ForgetState(forget=begun.number, state="waiting", requested_at=begun.at)


def _done(ended: RecordedForget) -> ForgetState:
    return ForgetState(
        forget=ended.number,
        state="done",
        requested_at=ended.at,
        finished_at=ended.finished_at,
        files_read=ended.proof.get("files"),
    )
