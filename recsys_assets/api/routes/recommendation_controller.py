"""Recommendations: for a user, for a session, and what is popular. Bodies are joined from encoded pieces."""

from collections.abc import Sequence
from functools import partial

from litestar import get, post
from litestar.params import JSONBody
from litestar.types import ASGIApp, Scope

from recsys_assets.api.http.bodies import PRIVATE, Reply, quoted
from recsys_assets.api.http.known_queries import KnownQueries, repeat
from recsys_assets.api.openapi import (
    After,
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
from recsys_assets.api.serving.paging import page_of
from recsys_assets.api.serving.service import ServiceController, reject_null, spent_ms
from recsys_assets.api.serving.user_lists import UserQuery, list_for_user
from recsys_assets.release.answer_counts import POPULAR, SESSION
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
            "the user has is left out, events since the release included. A user of an experiment gets the lists of "
            "an arm, see /v1/experiments; a request with `explain` or `diversity` takes no part."
        ),
        operation_id="recommendForUser",
        responses=answers(UserRecommendations, also=(404,), cached=True),
        response_headers=release_headers(),
        middleware=[KnownQueries],
    )
    async def for_user(  # noqa: PLR0917  query parameters, which come by name
        self,
        scope: Scope,
        user_id: UserIdPath,  # noqa: ARG002  taken from the scope, where a known query has it too
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
        after: After = None,
    ) -> ASGIApp:
        reject_null(scope, "budget_ms", "diversity")
        query = UserQuery(
            k=k,
            include_seen=include_seen,
            exclude=exclude,
            category=category,
            cohort=cohort,
            budget_ms=budget_ms,
            reasons=reasons,
            scenario=scenario,
            diversity=diversity,
            explain=explain,
            after=after,
        )
        answering = partial(list_for_user, self.service, query)
        if after is None and exclude is None:  # which hardly come again
            repeat(scope, answering)
        return await answering(scope)

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
            page=page_of(serving, data.after, SESSION, data.category, data.scenario),
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
        middleware=[KnownQueries],
    )
    async def popular(
        self,
        scope: Scope,
        k: K = 10,
        exclude: Exclude = None,
        category: Category = None,
        after: After = None,
    ) -> ASGIApp:
        answering = partial(self._popular, k, exclude, category, after)
        if after is None and exclude is None:
            repeat(scope, answering)
        return await answering(scope)

    async def _popular(
        self, k: int, exclude: Sequence[str] | None, category: str | None, after: str | None, scope: Scope
    ) -> ASGIApp:
        serving = self.service.serving()
        etag = f"{serving.release_id}-{serving.states.version}"
        page = page_of(serving, after, POPULAR, category)
        request = page.with_given(Request(k=k, exclude=serving.item_nums(exclude), category=category))

        def reply(_: bool) -> Reply:  # noqa: FBT001  the only argument
            answer = page.rest(serving.plain.popular(request), k)
            answer_id = self.service.give(serving, answer, POPULAR)
            items = serving.items.scored(answer.nums, answer.scores)
            following = page.next_json(serving, answer.nums, k)
            body = (
                f'{{"release":"{serving.release_id}","id":"{answer_id}","next":{following},"items":{items}}}'
            )
            return Reply(
                body.encode(),
                release=serving.release_header,
                etag=etag,
                weak=True,
                cache=self.service.public,
                source=answer.source,
            )

        return await self.service.list_reply(scope, reply, long=takes_long(request))
