"""Features of a user, of an item, of many at once, and the registry that describes them."""

from typing import Any

from litestar import get, post
from litestar.exceptions import NotFoundException
from litestar.params import JSONBody
from litestar.types import ASGIApp, Scope

from recsys_assets.api.http.bodies import PRIVATE, Reply, encode
from recsys_assets.api.http.edge import as_sent
from recsys_assets.api.openapi import ItemIdPath, UserIdPath, answers, release_headers
from recsys_assets.api.schemas.feature_schemas import (
    FeatureBatch,
    FeatureRegistry,
    FeatureRequest,
    FeatureRow,
)
from recsys_assets.api.serving.service import ServiceController


class FeatureController(ServiceController):
    """Feature values of users and items, and the feature registry."""

    tags = ("Features",)

    @get(
        "/users/{user_id:str}/features",
        summary="Features of a user",
        operation_id="getUserFeatures",
        sync_to_thread=False,
        responses=answers(FeatureRow, also=(404,), cached=True),
        response_headers=release_headers(),
    )
    def of_user(self, user_id: UserIdPath) -> ASGIApp:
        user_id = as_sent(user_id)
        serving = self.service.serving()
        row = serving.release.features.user(user_id)
        if row is None:
            raise NotFoundException(f"user {user_id!r} is not in release {serving.release_id}")
        body = encode(FeatureRow(release=serving.release_id, id=user_id, features=row))
        return Reply(body, release=serving.release_header, etag=serving.release_id, cache=PRIVATE)

    @get(
        "/items/{item_id:str}/features",
        summary="Features of an item",
        operation_id="getItemFeatures",
        sync_to_thread=False,
        responses=answers(FeatureRow, also=(404,), cached=True),
        response_headers=release_headers(),
    )
    def of_item(self, item_id: ItemIdPath) -> ASGIApp:
        item_id = as_sent(item_id)
        serving = self.service.serving()
        row = serving.release.features.item(item_id)
        if row is None:
            raise NotFoundException(f"item {item_id!r} is not in release {serving.release_id}")
        body = encode(FeatureRow(release=serving.release_id, id=item_id, features=row))
        return Reply(body, release=serving.release_header, etag=serving.release_id, cache=self.service.public)

    @get(
        "/features",
        summary="The feature registry",
        operation_id="listFeatures",
        responses=answers(FeatureRegistry, cached=True),
        response_headers=release_headers(),
    )
    async def registry(self, scope: Scope) -> ASGIApp:
        serving = self.service.serving()

        def reply() -> Reply:
            rows = serving.release.features.registry()
            return Reply(
                encode(FeatureRegistry(release=serving.release_id, features=rows)),
                release=serving.release_header,
                etag=serving.release_id,
                cache=self.service.public,
            )

        return await self.service.slowly(scope, "features", reply)

    @post(
        "/features:batchGet",
        summary="Features of many users or items",
        operation_id="batchGetFeatures",
        status_code=200,
        responses=answers(FeatureBatch, also=(408, 413, 415)),
        response_headers=release_headers(),
    )
    async def batch(self, scope: Scope, data: JSONBody[FeatureRequest]) -> ASGIApp:
        serving = self.service.serving()

        def reply() -> Reply:
            store = serving.release.features
            found = store.users(data.ids) if data.entity == "user" else store.items(data.ids)
            rows = [_narrowed(found.get(wanted), data.names) for wanted in data.ids]
            body = encode(FeatureBatch(release=serving.release_id, rows=rows))
            return Reply(body, release=serving.release_header, cache=PRIVATE)

        return await self.service.slowly(scope, "features", reply)


def _narrowed(row: dict[str, Any] | None, names: list[str]) -> dict[str, Any] | None:
    if row is None or not names:
        return row
    return {name: row[name] for name in names if name in row}
