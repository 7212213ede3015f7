"""Releases: the one that is served, all that are kept, their differences and history, and promotion of another one."""

from functools import lru_cache
from pathlib import Path
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
from recsys_assets.api.serving.replica_guard import needs_home
from recsys_assets.api.serving.service import ServiceController
from recsys_assets.errors import BrokenReleaseError, RecsysError
from recsys_assets.release.gate_report import read_gate
from recsys_assets.release.manifest import Manifest
from recsys_assets.release.release_diff import ReleaseDiff, diff_releases
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.release.served_times import made_moves
from recsys_assets.rules.rules_file import released_rules
from recsys_assets.rules.rules_stamp import Stamp, rules_stamp
from recsys_assets.rules.testing.golden import GoldenResult, golden_of_releases
from recsys_assets.storage.home import Home

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
            store = self.service.live.store
            moves = made_moves(store.promotions(), store.served_id())[-limit:]
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
            golden, problem = self._golden(before, after)
            try:
                found = _difference(store.root, before, after)
            except RecsysError as error:
                raise self._conflict(error) from None
            body = encode(
                ReleaseComparison(
                    release=serving.release_id, difference=found, golden=golden, golden_problem=problem
                )
            )
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
        guards=[needs("admin"), needs_home("releases are promoted where they are built")],
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

    def _golden(self, before: str, after: str) -> tuple[list[GoldenResult], str | None]:
        """Return the lists of the golden users, and why there are none where something is wrong."""
        home, folders = (
            self.service.live.home,
            [self.service.live.store.path(name) for name in (before, after)],
        )
        stamps = [rules_stamp(home, released_rules(folder), home.golden_file) for folder in folders]
        try:
            return _golden_lists(home, *folders, tuple(stamps)), None
        except RecsysError as error:
            return [], self.service.without_paths(str(error))

    def _conflict(self, error: RecsysError) -> HTTPException:
        return HTTPException(status_code=409, detail=self.service.without_paths(str(error)) or "")

    def _kept(self, store: ReleaseStore, manifest: Manifest, current: str) -> KeptRelease:
        fault = store.fault(manifest.release_id, read=False)
        try:
            gate = read_gate(store.root, manifest.release_id)
        except BrokenReleaseError as error:
            fault, gate = fault or str(error), None
        summary = msgspec.structs.asdict(_summary(manifest, current))
        return KeptRelease(**summary, fault=self.service.without_paths(fault), gate=gate)


@lru_cache(maxsize=32)
def _golden_lists(home: Home, before: Path, after: Path, _: tuple[Stamp, ...]) -> list[GoldenResult]:
    """Make the lists of the golden users once for each state of the files that decide them; it takes seconds."""
    return golden_of_releases(home, before, after)


@lru_cache(maxsize=32)
def _difference(root: Path, before: str, after: str) -> ReleaseDiff:
    """Compare two releases, once: neither ever changes. The source of each is given by its kind alone."""
    found = diff_releases(ReleaseStore(root), before, after)
    settings = [
        msgspec.structs.replace(change, before=_kind(change.before), after=_kind(change.after))
        if change.name == _SOURCE
        else change
        for change in found.settings
    ]
    shown = [change for change in settings if change.before != change.after]
    return msgspec.structs.replace(found, settings=shown)


def _kind(spec: str | None) -> str | None:
    return None if spec is None else spec.partition(":")[0]


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
