"""Recommendations: for a user, for a session, and what is popular. Bodies are joined from encoded pieces."""

from litestar import get, post
from litestar.params import JSONBody
from litestar.types import ASGIApp, Scope

from recsys_assets.api.http.bodies import PRIVATE, Reply, quoted
from recsys_assets.api.http.edge import as_sent
from recsys_assets.api.openapi import (
    BudgetMs,
    Category,
    CohortName,
    DiversityStrength,
    Exclude,
    Explain,
    IncludeSeen,
    K,
    Reasons,
    ScenarioName,
    UserIdPath,
    answers,
    release_headers,
)
from recsys_assets.api.schemas.recommendation_schemas import (
    PopularItems,
    Session,
    SessionRecommendations,
    UserRecommendations,
)
from recsys_assets.api.serving.answers import Served, answered, takes_long
from recsys_assets.api.serving.service import ServiceController, reject_null, spent_ms
from recsys_assets.release.answer_counts import PLAIN, POPULAR, SESSION
from recsys_assets.rules.engine.requests import Request


class RecommendationController(ServiceController):
    """Lists for a user, for a session, and of popular items."""

    tags = ("Recommendations",)

    @get(
        "/users/{user_id:str}/recommendations",
        summary="Recommendations for a user",
        description=(
            "From the user's embedding; for a user newer than the release from the items since; for a "
            "stranger what is popular in the `cohort` stated, else popular items. Scenarios know no cohorts. What "
            "the user has is left out, events since the release included."
        ),
        operation_id="recommendForUser",
        responses=answers(UserRecommendations, also=(404,), cached=True),
        response_headers=release_headers(),
    )
    async def for_user(  # noqa: PLR0917  query parameters, which come by name
        self,
        scope: Scope,
        user_id: UserIdPath,
        k: K = 10,
        include_seen: IncludeSeen = False,
        exclude: Exclude = None,
        category: Category = None,
        cohort: CohortName = None,
        budget_ms: BudgetMs = None,
        reasons: Reasons = False,
        scenario: ScenarioName = None,
        diversity: DiversityStrength = None,
        explain: Explain = False,
    ) -> ASGIApp:
        reject_null(scope, "budget_ms", "diversity")
        user_id = as_sent(user_id)
        serving = self.service.serving()
        events = self.service.live.events_since(user_id)
        request = Request(
            k=k,
            user_id=user_id,
            user_num=serving.release.users.num_of(user_id),
            session=serving.items_since(user_id),
            exclude=serving.left_out(user_id, exclude),
            include_seen=include_seen,
            category=category,
            cohort=cohort,
            budget_ms=budget_ms,
            spent_ms=0.0 if budget_ms is None else spent_ms(scope),
            diversity=diversity,
        )

        def reply(served: Served) -> Reply:
            reason_items = serving.items_of(request) if reasons else None
            return Reply(
                served.body(serving, reason_items, first=f'"user_id":{quoted(user_id)},'),
                release=serving.release_header,
                etag=served.etag(f"{serving.release_id}-{events}", request),
                weak=True,
                cache=PRIVATE,
                source=served.answer.source,
            )

        return await answered(
            self.service, serving, request, scope, reply, kind=PLAIN, scenario=scenario, explain=explain
        )

    @post(
        "/recommendations",
        summary="Recommendations for a session",
        description="What goes with the items of a session, by fold-in; no user is needed or remembered.",
        operation_id="recommendForSession",
        status_code=200,
        responses=answers(SessionRecommendations, also=(404, 408, 413, 415)),
        response_headers=release_headers(),
    )
    async def for_session(self, scope: Scope, data: JSONBody[Session]) -> ASGIApp:
        serving = self.service.serving()
        known, unknown = serving.known_items(data.item_ids)
        request = Request(
            k=data.k,
            session=known,
            exclude=serving.item_nums(data.exclude),
            include_seen=data.include_seen,
            category=data.category,
            budget_ms=data.budget_ms,
            spent_ms=0.0 if data.budget_ms is None else spent_ms(scope),
            diversity=data.diversity,
        )

        def reply(served: Served) -> Reply:
            unknown_items = f'"unknown_item_ids":[{",".join(map(quoted, unknown))}],'
            return Reply(
                served.body(serving, known if data.reasons else None, plain_last=unknown_items),
                release=serving.release_header,
                cache=PRIVATE,
                source=served.answer.source,
            )

        return await answered(
            self.service,
            serving,
            request,
            scope,
            reply,
            kind=SESSION,
            scenario=data.scenario,
            explain=data.explain,
        )

    @get(
        "/popular",
        summary="Popular items",
        description="The same for everyone; a recent event counts more than an old one.",
        operation_id="listPopular",
        responses=answers(PopularItems, cached=True),
        response_headers=release_headers(),
    )
    async def popular(
        self, scope: Scope, k: K = 10, exclude: Exclude = None, category: Category = None
    ) -> ASGIApp:
        serving = self.service.serving()
        request = Request(k=k, exclude=serving.item_nums(exclude), category=category)

        def reply(_: bool) -> Reply:  # noqa: FBT001  the only argument
            answer = serving.plain.popular(request)
            answer_id = self.service.give(serving, answer, POPULAR)
            items = serving.items.scored(answer.nums, answer.scores)
            return Reply(
                f'{{"release":"{serving.release_id}","id":"{answer_id}","items":{items}}}'.encode(),
                release=serving.release_header,
                etag=serving.release_id,
                weak=True,
                cache=self.service.public,
                source=answer.source,
            )

        return await self.service.list_reply(scope, reply, long=takes_long(request))
