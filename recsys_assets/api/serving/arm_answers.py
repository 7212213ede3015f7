"""Answers by an arm of an experiment: one arm's list, or the lists of two interleaved."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from litestar.types import Scope

from recsys_assets.api.http.bodies import Reply
from recsys_assets.api.serving.answers import Served, takes_long
from recsys_assets.api.serving.bound_arms import BoundArm, Maker
from recsys_assets.api.serving.service import Service
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
    scenario: str | None,
) -> Reply:
    """Answer one request for a user by the user's arm; `request` is by the numbers of the arm's release.

    Raises:
        RulesError: the rules have no such scenario.
        ReleaseError: the release's rules cannot be bound.
        ServerBusyError: too much slow work is under way.
    """
    make = await arm.maker(scenario)
    other = None if arm.other is None else await arm.other.maker(scenario)
    long = takes_long(request, by_rules=scenario is not None or arm.engine is not None)

    def made(may_block: bool) -> Reply:  # noqa: FBT001  the only argument
        if other is not None:
            return reply(_interleaved(service, arm, request, (make, other), may_block=may_block))
        found = make(request, may_block)
        answer_id = service.give(arm.serving, found.answer, found.kind, arm.name)
        return reply(
            Served(answer=found.answer, id=answer_id, scenario=found.scenario, rules_version=found.rules)
        )

    return await service.list_reply(scope, made, long=long)


def _interleaved(
    service: Service, arm: BoundArm, request: Request, makers: tuple[Maker, Maker], *, may_block: bool
) -> Served:
    """Return two arms' lists as one; the answer's id decides the coins, and its teams are kept."""
    serving, second = arm.serving, arm.other or arm
    first = makers[0](request, may_block)
    other = makers[1](second.request_of(request, serving), may_block)
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
    return Served(answer=answer, id=answer_id, scenario=first.scenario, rules_version=first.rules)


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
