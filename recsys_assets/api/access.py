"""Guards: which routes need an API key, with which scope."""

from collections.abc import Callable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from recsys_assets.api.edge import KEY_KEY
from recsys_assets.api.keys import ApiKey, Scope

Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], None]


def needs(scope: Scope) -> Guard:
    """A guard that lets only keys with `scope` through."""

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        key: ApiKey | None = connection.scope["state"].get(KEY_KEY)
        if key is None:
            raise NotAuthorizedException(
                "send an API key in `X-API-Key` or `Authorization: Bearer`; make one with `recsys keys add`",
                headers={"www-authenticate": 'Bearer realm="recsys"'},
            )
        if not key.allows(scope):
            raise PermissionDeniedException(
                f"key {key.id} ({key.name}) has no scope `{scope}`; it has {key.scopes}"
            )

    return guard
