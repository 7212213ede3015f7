"""What OpenAPI says of parameters and answers, shared by the routes."""

from typing import Annotated

from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import Parameter
from msgspec import Struct

from recsys_assets.api.operation_schemas import Problem
from recsys_assets.api.problems import PROBLEM_JSON

K = Annotated[
    int, Parameter(ge=1, le=500, description="How many items, 1-500.", examples=[Example(value=10)])
]
IncludeSeen = Annotated[bool, Parameter(description="Keep items that the user already has.")]
Reasons = Annotated[
    bool, Parameter(description="Say for each item which item of the history it is nearest to.")
]
Exclude = Annotated[
    list[str] | None,
    Parameter(
        description="Item ids never to return; repeat the parameter for more. Unknown ids are ignored."
    ),
]
Category = Annotated[str | None, Parameter(max_length=512, description="Return items of this category only.")]
CohortName = Annotated[
    str | None,
    Parameter(
        query="cohort",
        max_length=512,
        description=(
            "What is known of a stranger, as FEATURE:VALUE with a text feature of users (see /v1/features), for"
            " example `favourite_department:GROCERY`. Where nothing else is known, what is popular among such"
            " users answers."
        ),
    ),
]
BudgetMs = Annotated[
    float | None,
    Parameter(
        ge=0,
        description="Time the answer may take, ms; a lesser source answers where it is short, and says why.",
    ),
]
ScenarioName = Annotated[
    str | None,
    Parameter(
        query="scenario",
        max_length=40,
        description="Apply this scenario of the rules; see /v1/scenarios. Without one no rules apply.",
    ),
]
DiversityStrength = Annotated[
    float | None,
    Parameter(
        query="diversity",
        ge=0,
        le=1,
        description="In place of the scenario's own strength, 0-1; the default scenario where none is named.",
    ),
]
Explain = Annotated[
    bool,
    Parameter(description="Say how the list came about; the default scenario where none is named."),
]
UserIdPath = Annotated[
    str, Parameter(description="The source's id of the user.", examples=[Example(value="1")])
]
ItemIdPath = Annotated[
    str, Parameter(description="The source's id of the item.", examples=[Example(value="1082185")])
]

KEY_NEEDED: list[dict[str, list[str]]] = [{"apiKey": []}, {"bearer": []}]
"""For OpenAPI: the route wants a key, in either header."""

_PROBLEMS = {
    400: "A parameter or the body does not fit.",
    401: "No API key, or an unknown one, where one is needed.",
    403: "The API key's scope is too small.",
    404: "There is no such thing in the release that is served.",
    408: "The body took too long to arrive.",
    413: "The body is too large.",
    414: "The query is too long.",
    429: "This caller asks too often; see Retry-After.",
    503: "No release is ready, or the event store cannot be used.",
}

_RELEASE_HEADERS = [
    ResponseHeader(name="X-Release-Id", description="The release that answered.", documentation_only=True),
    ResponseHeader(name="ETag", description="Changes with the answer.", documentation_only=True),
]


def answers(
    body: type[Struct], *, also: tuple[int, ...] = (), status: int = 200, cached: bool = False
) -> dict[int, ResponseSpec]:
    """The documented answers of a route.

    Args:
        body: of the good answer.
        also: statuses of problems beside those that every route may answer with.
        status: of the good answer.
        cached: whether `If-None-Match` may be answered by 304.
    """
    found = {status: ResponseSpec(data_container=body, description="The answer.", generate_examples=False)}
    if cached:
        found[304] = ResponseSpec(data_container=None, description="The client has this answer already.")
    for code in sorted({400, 401, 403, 414, 429, 503, *also}):
        found[code] = ResponseSpec(
            data_container=Problem,
            description=_PROBLEMS[code],
            media_type=PROBLEM_JSON,
            generate_examples=False,
        )
    return found


def release_headers() -> list[ResponseHeader]:
    """Headers of every answer that comes from a release."""
    return list(_RELEASE_HEADERS)
