"""Lists for one user: by the release, by an arm of an experiment, or by a scenario of the rules."""

from collections.abc import Sequence
from functools import partial

import msgspec
from litestar.types import Scope

from recsys_assets.api.http.bodies import PRIVATE, Reply, quoted
from recsys_assets.api.http.edge import as_sent
from recsys_assets.api.serving.answers import Served, answered
from recsys_assets.api.serving.arm_answers import answered_by_arm
from recsys_assets.api.serving.bound_arms import BoundArm
from recsys_assets.api.serving.paging import page_of
from recsys_assets.api.serving.service import Service, spent_ms
from recsys_assets.release.answer_counts import PLAIN
from recsys_assets.rules.engine.requests import Request


class UserQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The query of a request for a user's list, validated: the parameters of the same names in the API."""

    k: int
    include_seen: bool
    exclude: Sequence[str] | None
    category: str | None
    cohort: str | None
    budget_ms: float | None
    reasons: bool
    scenario: str | None
    diversity: float | None
    explain: bool
    after: str | None


async def list_for_user(service: Service, query: UserQuery, scope: Scope) -> Reply:
    """Answer the request of `scope`, whose path names the user.

    Raises:
        PageTokenError: `after` is damaged, or of another list.
        ReleaseError: none is loaded, or its rules cannot be bound.
        RulesError: the rules have no such scenario.
        ServerBusyError: too much slow work is under way.
    """
    user_id = as_sent(scope["path_params"]["user_id"])
    scenario, live, serving = query.scenario, service.live, service.serving()
    person = serving.person(user_id)
    takes_part = live.experiments.running and not query.explain and query.diversity is None
    arm = _arm_of(service, person, scenario) if takes_part else None
    if arm is not None:
        serving = arm.serving
    since = live.events_since(serving, person)
    request = Request(
        k=query.k,
        user_id=person,
        user_num=serving.release.users.num_of(person),
        session=since.wishes,
        exclude=serving.left_out(since, query.exclude),
        include_seen=query.include_seen,
        category=query.category,
        cohort=query.cohort,
        budget_ms=query.budget_ms,
        spent_ms=0.0 if query.budget_ms is None else spent_ms(scope),
        diversity=query.diversity,
        shown=partial(service.shown_to, serving, person),
    )
    tag, members = ("", "") if arm is None else (arm.tag, arm.members)
    etag = f"{serving.release_id}-{since.mark}-{serving.states.version}{tag}"

    def reply(served: Served) -> Reply:
        reasons = serving.items_of(request) if query.reasons else None
        return Reply(
            served.body(serving, reasons, first=f'"user_id":{quoted(user_id)},{members}'),
            release=serving.release_header,
            etag=served.etag(etag, request),
            weak=True,
            cache=PRIVATE,
            source=served.answer.source,
        )

    page = page_of(serving, query.after, PLAIN, user_id, query.category, scenario)
    if arm is not None:
        return await answered_by_arm(service, arm, request, scope, reply, page=page, scenario=scenario)
    return await answered(
        service,
        serving,
        request,
        scope,
        reply,
        page=page,
        kind=PLAIN,
        scenario=scenario,
        explain=query.explain,
    )


def _arm_of(service: Service, person: str, scenario: str | None) -> BoundArm | None:
    """Return the arm of a running experiment that answers a user; None where there is none."""
    running = service.live.experiments.running
    return running[scenario].arm_of(person) if scenario in running else None
