"""Releases: the one that is served, all that are kept, and promotion of another one."""

import msgspec
from litestar import get, post
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import JSONBody
from litestar.types import ASGIApp, Scope

from recsys_assets.api.http.auth import CALLER_KEY, needs
from recsys_assets.api.http.bodies import PRIVATE, Reply, encode
from recsys_assets.api.openapi import KEY_NEEDED, answers, release_headers
from recsys_assets.api.schemas.operation_schemas import Promoted, Promotion, Releases, ReleaseSummary
from recsys_assets.api.serving.service import ServiceController
from recsys_assets.errors import RecsysError
from recsys_assets.release.manifest import Manifest


class ReleaseController(ServiceController):
    """The served release, the kept ones, and promotion."""

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
            found = [_summary(manifest, serving.release_id) for manifest in self.service.live.store.list()]
            body = encode(Releases(release=serving.release_id, releases=found))
            return Reply(body, release=serving.release_header)

        return await self.service.slowly(scope, "releases", reply)

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
        known = {manifest.release_id for manifest in self.service.live.store.list()}
        if data.release not in known:
            raise NotFoundException(f"no release {data.release!r} is kept here; see GET /v1/releases")
        try:
            who = scope["state"][CALLER_KEY].name
            self.service.live.store.promote(data.release, who=who, why=data.why, force=data.force)
        except RecsysError as error:
            why = str(error).replace(f"{self.service.live.home.root}/", "")
            raise HTTPException(status_code=409, detail=why) from None
        return Reply(encode(Promoted(current=data.release)))


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
