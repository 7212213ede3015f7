"""The OpenAPI document: parameters and answers that routes share, and the pages that show it."""

import re
from importlib.metadata import version
from typing import Annotated, Any, Final

import msgspec
from litestar import Request
from litestar.datastructures import ResponseHeader
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, Example, License, SecurityScheme, Tag
from litestar.params import Parameter, QueryParameter
from msgspec import Struct

from recsys_assets.api.http.event_bodies import document_events
from recsys_assets.api.http.impression_bodies import document_impressions
from recsys_assets.api.http.problems import PROBLEM_JSON
from recsys_assets.api.schemas import (
    event_schemas,
    experiment_schemas,
    feature_schemas,
    live_schemas,
    online_schemas,
    operation_schemas,
    recommendation_schemas,
    release_schemas,
    state_schemas,
    user_schemas,
)

K = Annotated[
    int, Parameter(ge=1, le=500, description="Number of items, 1-500.", examples=[Example(value=10)])
]
IncludeSeen = Annotated[bool, Parameter(description="Keep items that the user already has.")]
Reasons = Annotated[bool, Parameter(description="Name the nearest item of the history for each item.")]
Exclude = Annotated[
    list[str] | None,
    Parameter(description="Item id to leave out; repeat the parameter for more. Unknown ids are ignored."),
]
Category = Annotated[str | None, Parameter(max_length=512, description="Return items of this category only.")]
CohortName = Annotated[
    str | None,
    QueryParameter(
        name="cohort",
        max_length=512,
        description=(
            "A known feature of a stranger, as FEATURE:VALUE with a text feature of users (see /v1/features), for"
            " example `favourite_department:GROCERY`. A user of whom nothing else is known gets the popular items"
            " among users with this value."
        ),
    ),
]
BudgetMs = Annotated[
    float | None,
    Parameter(
        ge=0,
        description="Most time for the answer, ms; a faster source answers where it is short, and gives the reason.",
    ),
]
ScenarioName = Annotated[
    str | None,
    QueryParameter(
        name="scenario",
        max_length=40,
        description="Apply this scenario of the rules; see /v1/scenarios. Without it no rules apply.",
    ),
]
DiversityStrength = Annotated[
    float | None,
    QueryParameter(
        name="diversity",
        ge=0,
        le=1,
        description="Strength of diversity in place of the scenario's own, 0-1; implies the default scenario.",
    ),
]
Explain = Annotated[
    bool,
    Parameter(description="Return the trace of the list; implies the default scenario."),
]
After = Annotated[
    str | None,
    QueryParameter(
        name="after",
        max_length=3_000,
        description="`next` of the answer before: the items that come after its own, with none of the pages before "
        "again. The list has to be the same one; k may differ. After a change of the served release the page is one "
        "of the new list, without the items given so far.",
    ),
]
UserIdPath = Annotated[
    str, Parameter(description="The source's id of the user.", examples=[Example(value="1")])
]
ItemIdPath = Annotated[
    str, Parameter(description="The source's id of the item.", examples=[Example(value="1082185")])
]

IMPRESSIONS_OPERATION: Final = "addImpressions"
"""Operation whose body has several forms."""
KEY_NEEDED: list[dict[str, list[str]]] = [{"apiKey": []}, {"bearer": []}]
"""OpenAPI security of a route that needs a key, in either header."""

_PROBLEMS = {
    400: "A parameter or the body is not valid.",
    401: "No API key, or an unknown one, where one is needed.",
    403: "The API key's scope is too small.",
    404: "The served release does not have it.",
    408: "The body took too long to arrive.",
    409: "The release is damaged, recalled, of another source, or its lists break their rules; an event's id is "
    "there with another content; two users were merged otherwise; or an item's state would end before now, or is "
    "given twice.",
    413: "The body is too large.",
    414: "The path or the query is too long.",
    415: "The body is not sent as JSON, nor as another media type of the route.",
    429: "This caller sent too many requests, or too many events wait to be stored; see Retry-After.",
    503: "No release is ready, or the event store cannot be used.",
}

_RELEASE_HEADERS = [
    ResponseHeader(name="X-Release-Id", description="The release that answered.", documentation_only=True),
    ResponseHeader(name="ETag", description="Changes with the answer.", documentation_only=True),
    ResponseHeader(
        name="Recall",
        description="After a recall, see /v1/recalls: the days, the time, and `built-on=?1` where the release that "
        "answered was built on such days, else `?0`.",
        documentation_only=True,
    ),
]


def answers(
    body: type[Struct], *, also: tuple[int, ...] = (), status: int = 200, cached: bool = False
) -> dict[int, ResponseSpec]:
    """Return the documented answers of a route.

    Args:
        body: body of the successful answer.
        also: statuses of problems in addition to those of every route.
        status: status of the successful answer.
        cached: True where `If-None-Match` may be answered by 304.
    """
    found = {status: ResponseSpec(data_container=body, description="The answer.", generate_examples=False)}
    if cached:
        found[304] = ResponseSpec(data_container=None, description="The client has this answer already.")
    for code in sorted({400, 401, 403, 414, 429, 503, *also}):
        found[code] = ResponseSpec(
            data_container=operation_schemas.Problem,
            description=_PROBLEMS[code],
            media_type=PROBLEM_JSON,
            generate_examples=False,
        )
    return found


def release_headers() -> list[ResponseHeader]:
    """Return the documented headers of every answer from a release."""
    return list(_RELEASE_HEADERS)


_SCHEMAS = (
    recommendation_schemas,
    operation_schemas,
    release_schemas,
    state_schemas,
    experiment_schemas,
    user_schemas,
    feature_schemas,
    online_schemas,
    live_schemas,
    event_schemas,
)
_BODIES: dict[str, type[Struct]] = {
    name: body
    for module in _SCHEMAS
    for name, body in vars(module).items()
    if isinstance(body, type) and issubclass(body, Struct)
}
"""Every struct of the schemas by the name that the document has for it."""

_DESCRIPTION = """\
Recommendations from one immutable release at a time: every answer names the release it comes from.

Items that a user has are left out unless `include_seen=true`. Answers carry entity tags that change
with the release and the states of items (and, for one user, with the user's events since): until then
`If-None-Match` is answered by 304. Every list has an `id`; the tag of a list is weak, as the id is no part of it.
After a recall of days, answers have the header `Recall`.
Errors are problem bodies (RFC 9457).
"""
_TAGS = (
    ("Recommendations", "Lists of items to show."),
    ("Items", "Similar items, search and categories."),
    ("Item states", "What holds of an item now, whatever the release says."),
    ("Users", "Users and the items that they have."),
    ("Features", "The feature store of the release."),
    ("Events", "Events after the release."),
    ("Experiments", "Which list does better."),
    ("Releases", "The served release and the kept ones."),
    ("Operations", "For load balancers and Prometheus."),
)


def openapi_config() -> OpenAPIConfig:
    """Configure the OpenAPI document and its pages: `/schema`, `/schema/scalar`, `/schema/openapi.json`."""
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
    """The document itself; corrects Litestar's schemas of bodies and of optional query parameters."""

    def __init__(self) -> None:
        """Serve it at `/schema/openapi.json`."""
        super().__init__(path="/openapi.json")
        self._encoded: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the document; it is encoded once."""
        if self._encoded is None:
            for path in openapi_schema["paths"].values():
                for operation in path.values():
                    for parameter in operation.get("parameters", ()):
                        _remove_null(parameter["schema"])
                    if operation["operationId"] == IMPRESSIONS_OPERATION:
                        document_impressions(operation)
            listed = openapi_schema["components"]["schemas"]
            for named_by_forms_alone in ("Event", "ShownAnswer"):
                listed.setdefault(named_by_forms_alone, {})
            # msgspec decodes the bodies and has the bounds of nested types, which Litestar's schemas lack
            bodies = [body for name, body in _BODIES.items() if name in listed]
            _, schemas = msgspec.json.schema_components(bodies, ref_template="#/components/schemas/{name}")
            _describe_fields(schemas)
            listed.update(schemas)
            document_events(
                openapi_schema["paths"]["/v1/events"]["post"],
                listed,
                request.app.state.service.live.meaning.accepted,
            )
            self._encoded = self.render_json(request, openapi_schema)
        return self._encoded


def _describe_fields(schemas: dict[str, Any]) -> None:
    """Give the fields of structs of other stages their docstrings; those of the schemas have descriptions."""
    from recsys_assets.storage.settings_file import field_docstrings  # noqa: PLC0415  the document's alone

    for name in schemas.keys() & _BODIES.keys():
        for field, text in field_docstrings(_BODIES[name]).items():
            in_json = re.sub(r"\bNone\b", "null", text)
            schemas[name]["properties"][field].setdefault("description", in_json)


def _remove_null(schema: dict[str, Any]) -> None:
    # A query string cannot hold null: an optional parameter is left out. Litestar writes `oneOf: [X, null]`
    # and loses the bounds of X.
    alternatives = schema.pop("oneOf", None)
    if alternatives is not None:
        (kept,) = (one for one in alternatives if one.get("type") != "null")
        schema.update(kept)
    if schema.get("type") == "number":
        schema.setdefault("minimum", 0)


class LocalPage(OpenAPIRenderPlugin):
    """A documentation page; its scripts and styles come from `/static`."""

    def __init__(self, name: str, *, script: str, style: str | None = None) -> None:
        """`name`: the page's path, and the name of its own script, `/static/<name>.js`."""
        super().__init__(path=f"/{name}")
        link = f'<link rel="stylesheet" href="/static/{style}">' if style else ""
        self._page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>API – Recommendations</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<link rel="icon" href="/static/icon.svg">{link}</head><body><div id="app"></div>'
            f'<script src="/static/{script}"></script><script src="/static/{name}.js"></script></body></html>'
        ).encode()

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        """Return the page, which fetches the document."""
        return self._page
