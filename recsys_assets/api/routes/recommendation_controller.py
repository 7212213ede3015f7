"""Recommendations: for a user, for a session, and what is popular. Bodies are joined from encoded pieces."""

from functools import partial

from litestar import get, post
from litestar.params import JSONBody
from litestar.types import ASGIApp, Scope

from recsys_assets.api.http.bodies import PRIVATE, Reply, quoted
from recsys_assets.api.http.edge import as_sent
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
from recsys_assets.api.serving.arm_answers import answered_by_arm
from recsys_assets.api.serving.bound_arms import BoundArm
from recsys_assets.api.serving.paging import page_of
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
            "the user has is left out, events since the release included. A user of an experiment gets the lists of "
            "an arm, see /v1/experiments; a request with `explain` or `diversity` takes no part."
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
        after: After = None,
    ) -> ASGIApp:
        reject_null(scope, "budget_ms", "diversity")
        user_id = as_sent(user_id)
        person = self.service.serving().person(user_id)
        arm = None if explain or diversity is not None else self._arm_of(person, scenario)
        serving = self.service.serving() if arm is None else arm.serving
        mark = f"{self.service.live.events_since(serving, person)}-{serving.states.version}"
        request = Request(
            k=k,
            user_id=person,
            user_num=serving.release.users.num_of(person),
            session=serving.items_since(person),
            exclude=serving.left_out(person, exclude),
            include_seen=include_seen,
            category=category,
            cohort=cohort,
            budget_ms=budget_ms,
            spent_ms=0.0 if budget_ms is None else spent_ms(scope),
            diversity=diversity,
            shown=partial(self.service.shown_to, serving, person),
        )

        tag, members = ("", "") if arm is None else (arm.tag, arm.members)

        def reply(served: Served) -> Reply:
            return Reply(
                served.body(
                    serving,
                    serving.items_of(request) if reasons else None,
                    first=f'"user_id":{quoted(user_id)},{members}',
                ),
                release=serving.release_header,
                etag=served.etag(f"{serving.release_id}-{mark}{tag}", request),
                weak=True,
                cache=PRIVATE,
                source=served.answer.source,
            )

        page = page_of(serving, after, PLAIN, user_id, category, scenario)
        given = (request, scope, reply)
        if arm is not None:
            return await answered_by_arm(self.service, arm, *given, page=page, scenario=scenario)
        return await answered(
            self.service, serving, *given, page=page, kind=PLAIN, scenario=scenario, explain=explain
        )

    def _arm_of(self, person: str, scenario: str | None) -> BoundArm | None:
        """Return the arm of a running experiment that answers a user; None where there is none."""
        running = self.service.live.experiments.running
        return running[scenario].arm_of(person) if running and scenario in running else None

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
    )
    async def popular(
        self,
        scope: Scope,
        k: K = 10,
        exclude: Exclude = None,
        category: Category = None,
        after: After = None,
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
