"""Recommendations: for a user, for a session, and what is popular. Bodies are joined from encoded pieces."""

from typing import Any

from litestar import Request, get, post
from litestar.types import ASGIApp

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
from recsys_assets.api.serving.live import Serving
from recsys_assets.api.serving.queries import Ranked, Wanted
from recsys_assets.api.serving.ruled import run_scenario
from recsys_assets.api.serving.scenarios import asked_by_session, asked_by_user
from recsys_assets.api.serving.service import ServiceController, refuse_null, spent_ms

_HISTORY_FOR_REASONS = 300
"""Most recent items of a history that a reason may name."""


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
        request: Request[Any, Any, Any],
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
        refuse_null(request.scope, "budget_ms", "diversity")
        user_id = as_sent(user_id)
        serving = self.service.serving()
        wanted = Wanted(
            k=k,
            include_seen=include_seen,
            exclude=exclude or (),
            category=category,
            cohort=cohort,
            budget_ms=budget_ms,
            spent_ms=0.0 if budget_ms is None else spent_ms(request.scope),
        )
        events = self.service.live.events_since(user_id)
        recommender = serving.recommender
        if scenario is not None or explain or diversity is not None:
            asked = asked_by_user(recommender, user_id, wanted, diversity=diversity)
            ruled = await run_scenario(self.service, serving, scenario, asked, explain=explain)
            reason_items = recommender.items_of(user_id) if reasons else None
            return Reply(
                ruled.body(f'"user_id":{quoted(user_id)}', serving, reason_items),
                release=serving.release_header,
                etag=None if explain else f"{serving.release_id}-{events}-{ruled.version}",
                cache=PRIVATE,
                source=ruled.found.source,
            )
        found = await self.service.ranked(
            serving, lambda may_block: recommender.for_user(user_id, wanted, may_block=may_block)
        )
        items = (
            _with_reasons(serving, found, recommender.items_of(user_id))
            if reasons
            else _plain(serving, found)
        )
        body = (
            f'{{"release":"{serving.release_id}","user_id":{quoted(user_id)},"source":"{found.source}",'
            f'"reason":{"null" if found.reason is None else quoted(found.reason)},"items":{items}}}'
        )
        return Reply(
            body.encode(),
            release=serving.release_header,
            etag=None if budget_ms is not None else f"{serving.release_id}-{events}",
            cache=PRIVATE,
            source=found.source,
        )

    @post(
        "/recommendations",
        summary="Recommendations for a session",
        description="What goes with the items of a session, by fold-in; no user is needed or remembered.",
        operation_id="recommendForSession",
        status_code=200,
        responses=answers(SessionRecommendations, also=(404, 408, 413)),
        response_headers=release_headers(),
    )
    async def for_session(self, request: Request[Any, Any, Any], data: Session) -> ASGIApp:
        serving = self.service.serving()
        wanted = Wanted(
            k=data.k,
            include_seen=data.include_seen,
            exclude=data.exclude,
            category=data.category,
            budget_ms=data.budget_ms,
            spent_ms=0.0 if data.budget_ms is None else spent_ms(request.scope),
        )
        recommender = serving.recommender
        known, unknown = recommender.known_items(data.item_ids)
        if data.scenario is not None or data.explain or data.diversity is not None:
            asked = asked_by_session(recommender, known, wanted, diversity=data.diversity)
            ruled = await run_scenario(self.service, serving, data.scenario, asked, explain=data.explain)
            lead = f'"unknown_item_ids":[{",".join(map(quoted, unknown))}]'
            body = ruled.body(lead, serving, known if data.reasons else None)
            return Reply(body, release=serving.release_header, cache=PRIVATE, source=ruled.found.source)
        found = await self.service.ranked(
            serving, lambda may_block: recommender.for_session(known, wanted, may_block=may_block)
        )
        items = _with_reasons(serving, found, known) if data.reasons else _plain(serving, found)
        plain = (
            f'{{"release":"{serving.release_id}","source":"{found.source}",'
            f'"reason":{"null" if found.reason is None else quoted(found.reason)},'
            f'"unknown_item_ids":[{",".join(map(quoted, unknown))}],"items":{items}}}'
        )
        return Reply(plain.encode(), release=serving.release_header, cache=PRIVATE, source=found.source)

    @get(
        "/popular",
        summary="Popular items",
        description="The same for everyone; a recent event counts more than an old one.",
        operation_id="listPopular",
        responses=answers(PopularItems, cached=True),
        response_headers=release_headers(),
    )
    async def popular(self, k: K = 10, exclude: Exclude = None, category: Category = None) -> ASGIApp:
        serving = self.service.serving()
        wanted = Wanted(k=k, exclude=exclude or (), category=category)
        found = self.service.count(serving, serving.recommender.popular(wanted))
        body = f'{{"release":"{serving.release_id}","items":{_plain(serving, found)}}}'
        return Reply(
            body.encode(),
            release=serving.release_header,
            etag=serving.release_id,
            cache=self.service.public,
            source=found.source,
        )


def _plain(serving: Serving, found: Ranked) -> str:
    return serving.items.scored(found.nums, found.scores)


def _with_reasons(serving: Serving, found: Ranked, history: list[int]) -> str:
    nearest = serving.recommender.catalogue.nearest(found.nums, history[:_HISTORY_FOR_REASONS])
    return serving.items.because(found.nums, found.scores, nearest)
