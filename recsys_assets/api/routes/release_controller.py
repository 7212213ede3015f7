"""Releases: the one that is served, all that are kept, their differences and history, and promotion of another one."""

from typing import Annotated, Final

import msgspec
from litestar import get, post
from litestar.exceptions import HTTPException, NotFoundException
from litestar.openapi.spec import Example
from litestar.params import JSONBody, Parameter
from litestar.types import ASGIApp, Scope

from recsys_assets.api.http.auth import CALLER_KEY, needs
from recsys_assets.api.http.bodies import PRIVATE, Reply, encode
from recsys_assets.api.openapi import KEY_NEEDED, answers, release_headers
from recsys_assets.api.schemas.release_schemas import (
    KeptRelease,
    MoveSummary,
    Promoted,
    Promotion,
    ReleaseComparison,
    ReleaseHistory,
    Releases,
    ReleaseSummary,
)
from recsys_assets.api.serving.service import ServiceController
from recsys_assets.errors import RecsysError
from recsys_assets.release.manifest import Manifest
from recsys_assets.release.release_diff import ReleaseDiff, diff_releases
from recsys_assets.release.release_store import ReleaseStore

BeforePath = Annotated[
    str, Parameter(description="Id of one release.", examples=[Example(value="20171230-5e1fe8a1b0")])
]
AfterPath = Annotated[
    str, Parameter(description="Id of the other one.", examples=[Example(value="20171231-3f9a1c0b7e")])
]
Moves = Annotated[int, Parameter(ge=1, le=1000, description="How many moves, the last ones, 1-1000.")]

_SOURCE: Final = "source.spec"
"""The setting that may hold a path, which clients need not know."""


class ReleaseController(ServiceController):
    """The served release, the kept ones, their differences and history, and promotion."""

    tags = ("Releases",)

    @get(
        "/release",
        summary="The release that is served",
        operation_id="getRelease",
        sync_to_thread=False,
        responses=answers(ReleaseSummary, cached=True),
        response_headers=release_headers(),
    )
    def current(self) -> ASGIApp:
        serving = self.service.serving()
        body = encode(_summary(serving.release.manifest, serving.release_id))
        return Reply(body, release=serving.release_header, etag=serving.release_id, cache=PRIVATE)

    @get(
        "/releases",
        summary="Every release kept",
        operation_id="listReleases",
        responses=answers(Releases),
        response_headers=release_headers(),
    )
    async def kept(self, scope: Scope) -> ASGIApp:
        serving = self.service.serving()

        def reply() -> Reply:
            store = self.service.live.store
            found = [self._kept(store, manifest, serving.release_id) for manifest in store.list()]
            body = encode(Releases(release=serving.release_id, releases=found))
            return Reply(body, release=serving.release_header)

        return await self.service.slowly(scope, "releases", reply)

    @get(
        "/releases/history",
        summary="Moves of the current release",
        description="Promotions, rollbacks and recalls, the last first: when, by whom and why.",
        operation_id="listMoves",
        responses=answers(ReleaseHistory),
        response_headers=release_headers(),
    )
    async def history(self, scope: Scope, limit: Moves = 100) -> ASGIApp:
        serving = self.service.serving()

        def reply() -> Reply:
            moves = self.service.live.store.promotions()[-limit:]
            found = [msgspec.convert(move, MoveSummary, from_attributes=True) for move in reversed(moves)]
            body = encode(ReleaseHistory(release=serving.release_id, moves=found))
            return Reply(body, release=serving.release_header)

        return await self.service.slowly(scope, "releases", reply)

    @get(
        "/releases/{before:str}/diff/{after:str}",
        summary="The difference between two releases",
        description="Metrics, lists of 500 users, model, settings, features, rules and days, from one release to the "
        "other. It takes about a second.",
        operation_id="diffReleases",
        responses=answers(ReleaseComparison, also=(404, 409)),
        response_headers=release_headers(),
    )
    async def difference(self, scope: Scope, before: BeforePath, after: AfterPath) -> ASGIApp:
        serving = self.service.serving()
        store = self.service.live.store

        def reply() -> Reply:
            for wanted in (before, after):
                self._require_kept(wanted)
            try:
                found = diff_releases(store, before, after)
            except RecsysError as error:
                raise self._conflict(error) from None
            body = encode(ReleaseComparison(release=serving.release_id, difference=_without_places(found)))
            return Reply(body, release=serving.release_header)

        return await self.service.slowly(scope, "release difference", reply)

    @post(
        "/releases:promote",
        summary="Serve another release",
        description="Points `current` at a release kept here, served within a second; first it is read whole, and its "
        "lists are made. One that the gate kept back needs `force` and `why`. Needs scope `admin`.",
        operation_id="promoteRelease",
        status_code=200,
        sync_to_thread=True,
        guards=[needs("admin")],
        security=KEY_NEEDED,
        responses=answers(Promoted, also=(404, 408, 409, 413, 415)),
    )
    def promote(self, scope: Scope, data: JSONBody[Promotion]) -> ASGIApp:
        self._require_kept(data.release)
        try:
            who = scope["state"][CALLER_KEY].name
            self.service.live.store.promote(data.release, who=who, why=data.why, force=data.force)
        except RecsysError as error:
            raise self._conflict(error) from None
        return Reply(encode(Promoted(current=data.release)))

    def _require_kept(self, release_id: str) -> None:
        known = {manifest.release_id for manifest in self.service.live.store.list()}
        if release_id not in known:
            raise NotFoundException(f"no release {release_id!r} is kept here; see GET /v1/releases")

    def _conflict(self, error: RecsysError) -> HTTPException:
        return HTTPException(status_code=409, detail=self.service.without_paths(str(error)) or "")

    def _kept(self, store: ReleaseStore, manifest: Manifest, current: str) -> KeptRelease:
        fault = self.service.without_paths(store.fault(manifest.release_id, read=False))
        return KeptRelease(**msgspec.structs.asdict(_summary(manifest, current)), fault=fault)


def _without_places(found: ReleaseDiff) -> ReleaseDiff:
    """Return the difference with the kind of each source alone."""
    settings = [
        msgspec.structs.replace(
            change, before=str(change.before).partition(":")[0], after=str(change.after).partition(":")[0]
        )
        if change.name == _SOURCE
        else change
        for change in found.settings
    ]
    return msgspec.structs.replace(found, settings=settings)


def _summary(manifest: Manifest, current: str) -> ReleaseSummary:
    plain = msgspec.to_builtins(manifest)
    return ReleaseSummary(
        release=manifest.release_id,
        current=manifest.release_id == current,
        created_at=str(plain["created_at"]),
        first_day=plain["first_day"],
        through_day=plain["through_day"],
        counts=plain["counts"],
        metrics=plain["metrics"],
        index=plain["index"],
    )
