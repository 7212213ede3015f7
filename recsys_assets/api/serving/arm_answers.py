"""Answers by an arm of an experiment: one arm's list, or the lists of two interleaved."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from litestar.types import Scope

from recsys_assets.api.http.bodies import Reply
from recsys_assets.api.serving.answers import Served, takes_long
from recsys_assets.api.serving.bound_arms import BoundArm, Made, Maker
from recsys_assets.api.serving.paging import Page
from recsys_assets.api.serving.service import Service
from recsys_assets.errors import PageTokenError
from recsys_assets.experiments.interleaving import team_draft
from recsys_assets.experiments.teams import TeamRow
from recsys_assets.rules.engine.requests import Answer, Request

if TYPE_CHECKING:
    from recsys_assets.api.serving.serving_release import Serving


async def answered_by_arm(
    service: Service,
    arm: BoundArm,
    request: Request,
    scope: Scope,
    reply: Callable[[Served], Reply],
    *,
    page: Page,
    scenario: str | None,
) -> Reply:
    """Answer one request for a user by the user's arm; `request` is by the numbers of the arm's release.

    An interleaved list has one page: the next one would need both lists as they were.

    Raises:
        PageTokenError: the next page of an interleaved list is requested.
        RulesError: the rules have no such scenario.
        ReleaseError: the release's rules cannot be bound.
        ServerBusyError: too much slow work is under way.
    """
    make = await arm.maker(scenario)
    other = None if arm.other is None else await arm.other.maker(scenario)
    if other is not None and page.given:
        raise PageTokenError("after: an interleaved list has one page; begin again without `after`")
    k, request = request.k, page.with_given(request)
    long = takes_long(request, by_rules=scenario is not None or arm.engine is not None)

    def made(may_block: bool) -> Reply:  # noqa: FBT001  the only argument
        if other is not None:
            return reply(_interleaved(service, arm, request, (make, other), may_block=may_block))
        found = make(request, may_block)
        answer = page.rest(found.answer, k)
        answer_id = service.give(arm.serving, answer, found.kind, arm.name)
        return reply(_served(found, answer, answer_id, page.next_json(arm.serving, answer.nums, k)))

    return await service.list_reply(scope, made, long=long)


def _interleaved(
    service: Service, arm: BoundArm, request: Request, makers: tuple[Maker, Maker], *, may_block: bool
) -> Served:
    """Return two arms' lists as one; the answer's id decides the coins, and its teams are kept."""
    serving, second = arm.serving, arm.other or arm
    first = makers[0](request, may_block)
    of_second = second.request_of(request, serving)
    if request.user_id is not None:
        shown = partial(service.shown_to, second.serving, request.user_id)
        of_second = msgspec.structs.replace(of_second, shown=shown)
    other = makers[1](of_second, may_block)
    lists = (first.answer, _by_numbers_of(serving, second.serving, other.answer))
    live = service.live
    answer_id = live.answers.give(serving.release_id, first.kind, arm.name)
    picked = team_draft(lists[0].nums, lists[1].nums, request.k, seed=answer_id)
    answer = msgspec.structs.replace(
        first.answer,
        nums=[one.item for one in picked],
        scores=[lists[one.team].scores[one.place] for one in picked],
    )
    live.teams.add(
        TeamRow(answer_id, serving.release.items[one.item], arm.teams[one.team])
        for one in picked
        if one.counts
    )
    service.count(serving, answer)
    return _served(first, answer, answer_id, "null")


def _served(made: Made, answer: Answer, answer_id: str, following: str) -> Served:
    return Served(
        answer=answer,
        id=answer_id,
        next=following,
        scenario=made.scenario,
        rules_version=made.rules,
        seen_version=made.seen_version,
        by_showings=made.by_showings,
    )


def _by_numbers_of(serving: "Serving", other: "Serving", answer: Answer) -> Answer:
    """Return an answer of another release by the numbers of this one, without the items that it does not hold."""
    if other is serving:
        return answer
    ids, num_of = other.release.items, serving.release.items.num_of
    kept = [
        (num, score)
        for num, score in zip((num_of(ids[one]) for one in answer.nums), answer.scores, strict=True)
        if num is not None
    ]
    return msgspec.structs.replace(answer, nums=[num for num, _ in kept], scores=[score for _, score in kept])
