"""The OpenAPI document's settings, and its Swagger and Scalar pages, whole and without a CDN."""

from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Request
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, License, SecurityScheme, Tag
from msgspec import Struct

from recsys_assets.api.feature_schemas import (
    Categories,
    FeatureBatch,
    FeatureRegistry,
    FeatureRequest,
    FeatureRow,
    ItemSearch,
    UserSearch,
)
from recsys_assets.api.operation_schemas import (
    Events,
    EventsAccepted,
    Health,
    Problem,
    Promoted,
    Promotion,
    Quality,
    Releases,
    ReleaseSummary,
)
from recsys_assets.api.schemas import (
    PopularItems,
    ScenarioList,
    Session,
    SessionRecommendations,
    SimilarItems,
    UserHistory,
    UserRecommendations,
    WhyItem,
)

_BODIES: tuple[type[Struct], ...] = (
    UserRecommendations,
    SessionRecommendations,
    SimilarItems,
    PopularItems,
    UserHistory,
    Session,
    FeatureRow,
    FeatureRequest,
    FeatureBatch,
    FeatureRegistry,
    ItemSearch,
    UserSearch,
    Categories,
    Events,
    EventsAccepted,
    Quality,
    ReleaseSummary,
    Releases,
    Promotion,
    Promoted,
    ScenarioList,
    WhyItem,
    Health,
    Problem,
)
"""Every body that a route takes or gives."""


_DESCRIPTION = """\
Recommendations from one immutable release at a time: every answer names the release it comes from.

Items that a user has are left out unless `include_seen=true`. Answers carry strong entity tags that change
with the release (and, for one user, with the user's events since): until then
`If-None-Match` is answered by 304.
Errors are problem bodies (RFC 9457).
"""
_TAGS = (
    ("Recommendations", "What to show."),
    ("Items", "Similar items, search and categories."),
    ("Users", "What a user has."),
    ("Features", "The feature store of the release."),
    ("Events", "What happened after the release."),
    ("Releases", "Which release is served."),
    ("Operations", "For load balancers and Prometheus."),
)


def openapi_config() -> OpenAPIConfig:
    """The OpenAPI document and where its pages are: `/schema`, `/schema/scalar`, `/schema/openapi.json`."""
    return OpenAPIConfig(
        title="Recommendations",
        version=version("recsys-assets"),
        description=_DESCRIPTION,
        license=License(name="MIT", identifier="MIT"),
        tags=[Tag(name=name, description=description) for name, description in _TAGS],
        components=Components(
            security_schemes={
                "apiKey": SecurityScheme(type="apiKey", name="X-API-Key", security_scheme_in="header"),
                "bearer": SecurityScheme(type="http", scheme="bearer"),
            }
        ),
        path="/schema",
        create_examples=False,
        render_plugins=[
            LocalPage("swagger", script="vendor/swagger-ui-bundle.js", style="vendor/swagger-ui.css"),
            LocalPage("scalar", script="vendor/scalar.js"),
            Document(),
        ],
    )


class Document(JsonRenderPlugin):
    """The document itself, with what Litestar says of bodies and optional query parameters put right."""

    def __init__(self) -> None:
        """Served at `/schema/openapi.json`."""
        super().__init__(path="/openapi.json")
        self._encoded: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The document, encoded once."""
        if self._encoded is None:
            for path in openapi_schema["paths"].values():
                for operation in path.values():
                    for parameter in operation.get("parameters", ()):
                        _say_absent_not_null(parameter["schema"])
            # from msgspec, which decodes by them: Litestar's lack the bounds of nested types
            _, schemas = msgspec.json.schema_components(_BODIES, ref_template="#/components/schemas/{name}")
            openapi_schema["components"]["schemas"].update(schemas)
            self._encoded = self.render_json(request, openapi_schema)
        return self._encoded


def _say_absent_not_null(schema: dict[str, Any]) -> None:
    # A query string cannot hold null: an optional parameter is left out. Litestar writes `oneOf: [X, null]`
    # and loses the bounds of X.
    alternatives = schema.pop("oneOf", None)
    if alternatives is not None:
        (kept,) = (one for one in alternatives if one.get("type") != "null")
        schema.update(kept)
    if schema.get("type") == "number":
        schema.setdefault("minimum", 0)


class LocalPage(OpenAPIRenderPlugin):
    """A documentation page whose scripts and styles come from `/static`."""

    def __init__(self, name: str, *, script: str, style: str | None = None) -> None:
        """`name`: the page's path and the name of its starting script, `/static/<name>.js`."""
        super().__init__(path=f"/{name}")
        link = f'<link rel="stylesheet" href="/static/{style}">' if style else ""
        self._page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>API – Recommendations</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<link rel="icon" href="/static/icon.svg">{link}</head><body><div id="app"></div>'
            f'<script src="/static/{script}"></script><script src="/static/{name}.js"></script></body></html>'
        ).encode()

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        """The page; it fetches the document itself."""
        return self._page
