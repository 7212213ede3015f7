"""Answers to requests for lists: by `plain` or a scenario of the rules, and their JSON; also without a server."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from litestar.types import Scope

from recsys_assets.api.http.bodies import Reply, encode, quoted
from recsys_assets.api.schemas.recommendation_schemas import (
    Effect,
    Item,
    ItemReason,
    ItemTrace,
    ScoredItem,
    StageTrace,
    Trace,
    UserRecommendations,
)
from recsys_assets.api.serving.followed_states import FollowedStates
from recsys_assets.api.serving.paging import Page
from recsys_assets.api.serving.service import LISTS, Service
from recsys_assets.api.serving.serving_release import Serving
from recsys_assets.intake.event_meaning import EventMeaning, EventOptions
from recsys_assets.intake.merged_users import MergedUsers
from recsys_assets.release.answer_counts import new_answer_id
from recsys_assets.release.answer_series import by_scenario
from recsys_assets.release.load import Release, load_current
from recsys_assets.release.retrieval import WouldBlockError
from recsys_assets.rules.engine import trace as engine_trace
from recsys_assets.rules.engine.requests import Answer, Request
from recsys_assets.rules.rules_file import load_engine
from recsys_assets.storage.home import Home

HISTORY_FOR_REASONS: Final = 300
"""Most recent items of a history that a reason may name."""
QUICK_ITEMS: Final = 100
"""Items of a plain list, or excluded ones, that are answered on the event loop, in less than a millisecond."""
QUICK_RULED: Final = 20
"""The same for a list by rules."""
QUICK_SESSION: Final = 50
"""The same for the items of a session."""


class Served(msgspec.Struct, frozen=True):
    """An answer, and the scenario that gave it."""

    answer: Answer
    """By item number."""
    id: str
    """Of this answer."""
    next: str = "null"
    """JSON of the token of the next page."""
    scenario: str | None = None
    """Its name; None where the request named none."""
    rules_version: str | None = None
    """Version of its rules."""
    seen_version: str = ""
    """Of the item states that its rules see as columns."""
    trace: engine_trace.RequestTrace | None = None
    """The effect of each stage, where the request wants it explained."""
    by_showings: bool = False
    """The items shown to the user count, so an answer holds until the next one only."""

    def etag(self, base: str, request: Request) -> str | None:
        """Return the entity tag: `base` and the rules' version; None where it would not hold."""
        if self.rules_version is None:
            return base if request.budget_ms is None else None
        held = self.trace is None and not self.by_showings
        return f"{base}-{self.rules_version}{self.seen_version}" if held else None

    def body(
        self, serving: Serving, reason_items: Sequence[int] | None, *, first: str = "", plain_last: str = ""
    ) -> bytes:
        """Return the JSON body.

        Args:
            serving: the release that answered.
            reason_items: item numbers that reasons may name, most recent first; None for no reasons.
            first: JSON members of one route, each followed by a comma, put after `release`, `id` and `next`.
            plain_last: the same, put after `reason`; with rules, after `first`.
        """
        answer = self.answer
        if reason_items is None:
            items = serving.items.scored(answer.nums, answer.scores)
        else:
            shown = serving.states.not_gone(reason_items[:HISTORY_FOR_REASONS])
            nearest = serving.plain.lookups.nearest(answer.nums, shown)
            items = serving.items.because(answer.nums, answer.scores, nearest)
        reason = "null" if answer.reason is None else quoted(answer.reason)
        if self.scenario is None:
            return (
                f'{{"release":"{serving.release_id}","id":"{self.id}","next":{self.next},{first}"source":"{answer.source}","reason":{reason},'
                f'{plain_last}"items":{items}}}'
            ).encode()
        body = (
            f'{{"release":"{serving.release_id}","id":"{self.id}","next":{self.next},{first}{plain_last}'
            f'"scenario":"{self.scenario}","rules":"{self.rules_version}","source":"{answer.source}","reason":{reason},"items":{items}'
        ).encode()
        if self.trace is not None:
            return body + b',"trace":' + encode(trace_json(self.trace, serving.release)) + b"}"
        return body + b"}"


def takes_long(request: Request, *, by_rules: bool = False) -> bool:
    """Estimate whether a list takes more than about a millisecond."""
    few = QUICK_RULED if by_rules else QUICK_ITEMS
    return (
        request.k > few
        or len(request.session) > QUICK_SESSION
        or len(request.exclude) > QUICK_ITEMS
        or request.cohort is not None
    )


async def answered(
    service: Service,
    serving: Serving,
    request: Request,
    scope: Scope,
    reply: Callable[[Served], Reply],
    *,
    page: Page,
    kind: str,
    scenario: str | None,
    explain: bool,
) -> Reply:
    """Answer one request: by `plain` where it needs no rules, else by a scenario, the rules' default where None.

    A plain answer is counted as one of `kind`, one by a scenario under the scenario's name.

    Raises:
        RulesError: there is no scenario of that name.
        ReleaseError: the release's rules cannot be bound.
        ServerBusyError: too much slow work is under way.
    """
    k, request = request.k, page.with_given(request)

    def plainly(answer: Answer) -> Reply:
        answer = page.rest(answer, k)
        answer_id = service.give(serving, answer, kind)
        return reply(Served(answer, answer_id, page.next_json(serving, answer.nums, k)))

    if scenario is None and not explain and request.diversity is None:
        if not takes_long(request):
            try:  # without `list_reply`, whose coroutine would be 1 % of a plain request
                return plainly(serving.plain.recommend(request, may_block=False))
            except WouldBlockError:
                pass

        return await service.slowly(scope, LISTS, lambda: plainly(serving.plain.recommend(request)))
    engine = await serving.rules.engine()
    pipeline = engine.scenario(scenario)

    def by_rules(may_block: bool) -> Reply:  # noqa: FBT001  the only argument
        trace = None
        if explain:
            answer, trace = pipeline.explain(request, may_block=may_block)
        else:
            answer = pipeline.recommend(request, may_block=may_block)
        answer = page.rest(answer, k)
        answer_id = service.give(serving, answer, by_scenario(pipeline.scenario.name))
        following = page.next_json(serving, answer.nums, k)
        by = (pipeline.scenario.name, engine.version, engine.seen_version)
        return reply(Served(answer, answer_id, following, *by, trace, bool(pipeline.fatigue)))

    return await service.list_reply(scope, by_rules, long=explain or takes_long(request, by_rules=True))


def trace_json(trace: engine_trace.RequestTrace, release: Release) -> Trace:
    """Return a trace by item id and name: ranked candidates first, in order, then the dropped ones."""
    records = sorted(
        trace.items.values(), key=lambda record: (record.rank is None, record.rank or 0, record.num)
    )
    return Trace(
        stages=[
            StageTrace(
                section=stage.section,
                name=stage.name,
                kind=stage.kind,
                rule=stage.rule,
                items_in=stage.items_in,
                items_out=stage.items_out,
                ms=round(stage.ms, 4),
            )
            for stage in trace.stages
        ],
        items=[_item_trace(record, release) for record in records],
    )


def item_json(num: int, release: Release) -> Item:
    """Return an item by name."""
    return Item(
        item_id=release.items[num],
        title=release.titles[num] or None,
        category=release.categories[num] or None,
    )


def effects_json(pairs: Sequence[tuple[str, str]]) -> list[Effect]:
    """Return (stage, effect) pairs as JSON schemas."""
    return [Effect(stage=stage, effect=effect) for stage, effect in pairs]


def _item_trace(record: engine_trace.ItemRecord, release: Release) -> ItemTrace:
    return ItemTrace(
        item_id=release.items[record.num],
        title=release.titles[record.num] or None,
        category=release.categories[record.num] or None,
        sources=record.sources,
        relevance=record.relevance,
        score=record.score,
        effects=effects_json(record.effects),
        dropped_by=record.dropped_by,
        why=record.why,
        rank=record.rank,
        reasons=[
            ItemReason(component=part.component, share=part.share, text=part.text) for part in record.parts
        ],
    )


def recommend_once(home: Home, user_id: str, k: int = 10) -> UserRecommendations:
    """Return the k best items for a user from the current release, as the API would answer.

    Args:
        home: an installation with a release.
        user_id: the source's id; a stranger gets popular items.
        k: how many, >= 1.

    Raises:
        ReleaseError: no release is current, or it is broken.
    """
    serving = _serving(home)
    answer = serving.plain.recommend(_request(serving, user_id, k))
    return _by_name(answer, user_id, serving.release)


def recommend_by_rules(
    home: Home, user_id: str, k: int = 10, *, scenario: str | None = None, explain: bool = False
) -> UserRecommendations:
    """Return the k best items by a scenario of the rules in force, the default one where None.

    Raises:
        ReleaseError: no release is current, or it is broken.
        RulesError: the rules in force are not valid, or have no such scenario.
    """
    serving = _serving(home)
    engine = load_engine(serving.release, home=home, plain=serving.plain)
    pipeline, request = engine.scenario(scenario), _request(serving, user_id, k)
    if explain:
        answer, trace = pipeline.explain(request)
        explained = trace_json(trace, serving.release)
    else:
        answer = pipeline.recommend(request)
    return msgspec.structs.replace(
        _by_name(answer, user_id, serving.release),
        scenario=pipeline.scenario.name,
        rules=engine.version,
        trace=explained if explain else msgspec.UNSET,
    )


def _serving(home: Home) -> Serving:
    merged = MergedUsers(home.events_db)
    merged.refresh()
    meaning = EventMeaning.of(EventOptions.of(home))
    serving = Serving(load_current(home.releases), home, meaning, merged)
    serving.recent.refresh()
    FollowedStates(home).refresh([serving])
    return serving


def _by_name(answer: Answer, user_id: str, release: Release) -> UserRecommendations:
    items = [
        ScoredItem(**msgspec.structs.asdict(item_json(num, release)), score=score)
        for num, score in zip(answer.nums, answer.scores, strict=True)
    ]
    return UserRecommendations(
        release=release.release_id,
        id=new_answer_id(release.release_id),
        user_id=user_id,
        source=answer.source,
        reason=answer.reason,
        items=items,
    )


def _request(serving: Serving, user_id: str, k: int) -> Request:
    user_id = serving.person(user_id)
    user_num = serving.release.users.num_of(user_id)
    since = serving.since(user_id)
    return Request(
        k=k,
        user_id=user_id,
        user_num=user_num,
        session=since.wishes,
        exclude=since.hidden,
    )
