"""The rules over HTTP: which scenarios there are, and why an item is or is not in a user's list."""

import asyncio
from typing import Annotated, Any

from litestar import Request, get
from litestar.openapi.spec import Example
from litestar.params import Parameter
from litestar.types import ASGIApp

from recsys_assets.api.http.bodies import NO_STORE, PRIVATE, Reply, encode
from recsys_assets.api.http.edge import as_sent
from recsys_assets.api.openapi import (
    Category,
    DiversityStrength,
    Exclude,
    IncludeSeen,
    K,
    ScenarioName,
    UserIdPath,
    answers,
    release_headers,
)
from recsys_assets.api.schemas.recommendation_schemas import Scenario, ScenarioList, WhyItem
from recsys_assets.api.serving.queries import Wanted
from recsys_assets.api.serving.ruled import effects_json, item_json, trace_json
from recsys_assets.api.serving.scenarios import asked_by_user
from recsys_assets.api.serving.service import ServiceController, refuse_null
from recsys_assets.errors import UnknownItemError
from recsys_assets.rules.engine.why import why

AskedItem = Annotated[
    str,
    Parameter(
        query="item_id",
        min_length=1,
        max_length=512,
        description="The item that is asked about.",
        examples=[Example(value="1082185")],
    ),
]


class RulesController(ServiceController):
    """The scenarios in force, and why an item is or is not in a list."""

    tags = ("Rules",)

    @get(
        "/scenarios",
        summary="The scenarios of the rules in force",
        operation_id="listScenarios",
        responses=answers(ScenarioList),
        response_headers=release_headers(),
    )
    async def scenarios(self) -> ASGIApp:
        serving = self.service.serving()
        engine = await serving.scenarios.engine()
        followed = serving.scenarios.followed
        rules = engine.rules
        body = encode(
            ScenarioList(
                release=serving.release_id,
                rules=engine.version,
                problem=None if followed is None else followed.problem,
                scenarios=[
                    Scenario(
                        name=name,
                        description=one.description,
                        default=name == rules.default,
                        stages=[
                            stage.name
                            for section in (one.candidates, one.filters, one.scoring, one.reranking)
                            for stage in section
                        ],
                    )
                    for name, one in rules.scenarios.items()
                ],
            )
        )
        return Reply(body, release=serving.release_header, cache=NO_STORE)

    @get(
        "/users/{user_id:str}/recommendations/why",
        summary="Why an item is, or is not, in a user's list",
        description="Which rule dropped the item, or at which rank it stands; with the trace of the list.",
        operation_id="whyItem",
        responses=answers(WhyItem, also=(404,)),
        response_headers=release_headers(),
    )
    async def why_item(  # noqa: PLR0917  query parameters, which come by name
        self,
        request: Request[Any, Any, Any],
        user_id: UserIdPath,
        item_id: AskedItem,
        scenario: ScenarioName = None,
        k: K = 10,
        include_seen: IncludeSeen = False,
        exclude: Exclude = None,
        category: Category = None,
        diversity: DiversityStrength = None,
    ) -> ASGIApp:
        refuse_null(request.scope, "diversity")
        user_id = as_sent(user_id)
        serving = self.service.serving()
        self.service.live.events_since(user_id)
        release = serving.recommender.release
        num = release.items.num(item_id)
        if num is None:
            raise UnknownItemError(f"item {item_id!r} is not in release {serving.release_id}")
        engine = await serving.scenarios.engine()
        pipeline = engine.scenario(scenario)
        wanted = Wanted(k=k, include_seen=include_seen, exclude=exclude or (), category=category)
        asked = asked_by_user(serving.recommender, user_id, wanted, diversity=diversity)
        found = await asyncio.to_thread(why, engine, pipeline, asked, num)
        body = encode(
            WhyItem(
                release=serving.release_id,
                user_id=user_id,
                scenario=pipeline.scenario.name,
                rules=engine.version,
                item=item_json(num, release),
                verdict=found.verdict,
                words=found.words,
                rank=found.rank,
                relevance_rank=found.relevance_rank,
                dropped_by=effects_json(found.rules),
                values=dict(found.values),
                trace=trace_json(found.trace, release),
            )
        )
        return Reply(body, release=serving.release_header, cache=PRIVATE)
