"""The rules over HTTP: the scenarios in force, and why an item is or is not in a user's list."""

from functools import partial
from typing import Annotated

from litestar import get
from litestar.openapi.spec import Example
from litestar.params import QueryParameter
from litestar.types import ASGIApp, Scope

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
from recsys_assets.api.serving.answers import effects_json, item_json, trace_json
from recsys_assets.api.serving.service import LISTS, ServiceController, reject_null
from recsys_assets.release.answer_counts import WHY
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.engine.why import why

AskedItem = Annotated[
    str,
    QueryParameter(
        name="item_id",
        min_length=1,
        max_length=512,
        description="The item to explain.",
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
        engine = await serving.rules.engine()
        bound, rules = serving.rules.bound, engine.rules
        body = encode(
            ScenarioList(
                release=serving.release_id,
                rules=engine.version,
                problem=self.service.without_paths(None if bound is None else bound.problem),
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
        scope: Scope,
        user_id: UserIdPath,
        item_id: AskedItem,
        scenario: ScenarioName = None,
        k: K = 10,
        include_seen: IncludeSeen = False,
        exclude: Exclude = None,
        category: Category = None,
        diversity: DiversityStrength = None,
    ) -> ASGIApp:
        reject_null(scope, "diversity")
        user_id = as_sent(user_id)
        serving = self.service.serving()
        person = serving.person(user_id)
        since = self.service.live.events_since(serving, person)
        num = serving.item_num(item_id)
        engine = await serving.rules.engine()
        pipeline = engine.scenario(scenario)
        request = Request(
            k=k,
            user_id=person,
            user_num=serving.release.users.num_of(person),
            session=since.wishes,
            exclude=serving.left_out(since, exclude),
            include_seen=include_seen,
            category=category,
            diversity=diversity,
            shown=partial(self.service.shown_to, serving, person),
        )

        def reply() -> Reply:
            found = why(engine, pipeline, request, num)
            body = encode(
                WhyItem(
                    release=serving.release_id,
                    id=self.service.live.answers.give(serving.release_id, WHY),
                    user_id=user_id,
                    scenario=pipeline.scenario.name,
                    rules=engine.version,
                    item=item_json(num, serving.release),
                    verdict=found.verdict,
                    words=found.words,
                    rank=found.rank,
                    relevance_rank=found.relevance_rank,
                    dropped_by=effects_json(found.rules),
                    values=dict(found.values),
                    trace=trace_json(found.trace, serving.release),
                )
            )
            return Reply(body, release=serving.release_header, cache=PRIVATE)

        return await self.service.slowly(scope, LISTS, reply)
