"""What the API's JSON bodies hold, as msgspec structs: what OpenAPI shows and the tests decode with.

Items, lists of them and how rules made them; features and search are in `feature_schemas`, the rest in
`operation_schemas`.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from recsys_assets.rules.engine.requests import Source

ReleaseId = Annotated[str, Meta(description="The release that answered.", examples=["20171231-3f9a1c0b7e"])]
ItemId = Annotated[
    str, Meta(description="The source's id of the item.", examples=["1082185"], min_length=1, max_length=512)
]
UserId = Annotated[
    str, Meta(description="The source's id of the user.", examples=["1"], min_length=1, max_length=512)
]


class Item(Struct, frozen=True, kw_only=True):
    """One item by name."""

    item_id: ItemId
    title: Annotated[str | None, Meta(description="What a person calls it; null where unknown.")]
    category: Annotated[str | None, Meta(description="Its category; null where unknown.")]


class ScoredItem(Item, frozen=True, kw_only=True):
    """One item of a ranked list."""

    score: Annotated[float, Meta(description="Higher is better; comparable within one list only.")]
    because: Annotated[
        Item | UnsetType | None,
        Meta(
            description="The item of the history or session that is nearest to this one; with `reasons=true`."
        ),
    ] = UNSET


class StageTrace(Struct, frozen=True, kw_only=True):
    """One stage of a scenario."""

    section: Literal["candidates", "filters", "scoring", "reranking", "limits"]
    name: str
    kind: str
    rule: Annotated[str, Meta(description="The rule in words: its expression or settings.")]
    items_in: Annotated[
        int, Meta(description="Items before it; for a source, the items that it was asked for.", ge=0)
    ]
    items_out: Annotated[
        int, Meta(description="Items after it; for a source, the items that it brought.", ge=0)
    ]
    ms: Annotated[float, Meta(description="Wall-clock time.", ge=0)]


class Effect(Struct, frozen=True, kw_only=True):
    """What one rule did to one item."""

    stage: str
    effect: Annotated[str, Meta(description="`+0.100` on the score, or a move `4 -> 2`.")]


class ItemTrace(Item, frozen=True, kw_only=True):
    """What became of one candidate."""

    sources: Annotated[list[str], Meta(description="The sources that brought it.")]
    relevance: Annotated[float | None, Meta(description="Score before boosts, 0-1; null where dropped.")]
    score: Annotated[float | None, Meta(description="Score after boosts.")]
    effects: list[Effect]
    dropped_by: Annotated[str | None, Meta(description="The stage that took it out.")]
    why: Annotated[str | None, Meta(description="That stage's rule.")]
    rank: Annotated[int | None, Meta(description="Its place in the whole order, also beyond k.")]


class Trace(Struct, frozen=True, kw_only=True):
    """How a list came about, stage by stage and item by item."""

    stages: list[StageTrace]
    items: Annotated[list[ItemTrace], Meta(description="Every candidate: ranked ones first, then dropped.")]


class ByScenario(Struct, frozen=True, kw_only=True):
    """What an answer by a scenario says beside its items."""

    scenario: Annotated[str | UnsetType, Meta(description="The scenario that was asked for.")] = UNSET
    rules: Annotated[
        str | UnsetType, Meta(description="Version of the rules; changes with the file's content.")
    ] = UNSET
    trace: Annotated[Trace | UnsetType, Meta(description="With `explain=true`.")] = UNSET


class Scenario(Struct, frozen=True, kw_only=True):
    """One scenario of the rules."""

    name: str
    description: str
    default: Annotated[bool, Meta(description="Whether it is meant where none is named.")]
    stages: Annotated[list[str], Meta(description="Names of its stages, in order.")]


class ScenarioList(Struct, frozen=True, kw_only=True):
    """The rules in force."""

    release: ReleaseId
    rules: Annotated[str, Meta(description="Version of the rules; changes with the file's content.")]
    problem: Annotated[
        str | None, Meta(description="Why a newer rules file is not in force; null where it is.")
    ]
    scenarios: list[Scenario]


class WhyItem(Struct, frozen=True, kw_only=True):
    """What became of one item in a user's list."""

    release: ReleaseId
    user_id: UserId
    scenario: str
    rules: str
    item: Item
    verdict: Literal["shown", "ranked below", "dropped", "no candidate"]
    words: Annotated[str, Meta(description="The same as a sentence.")]
    rank: Annotated[int | None, Meta(description="Its place, where it was ranked.")]
    relevance_rank: Annotated[
        int | None, Meta(description="Its place in the catalogue by relevance alone; null for a stranger.")
    ]
    dropped_by: Annotated[
        list[Effect], Meta(description="The rules that dropped it, or would drop it; `effect` is the rule.")
    ]
    values: Annotated[dict[str, Any], Meta(description="What those rules looked at.")]
    trace: Trace


class UserRecommendations(ByScenario, frozen=True, kw_only=True):
    """What one user is recommended."""

    release: ReleaseId
    user_id: UserId
    source: Source
    reason: Annotated[
        str | None, Meta(description="Why a lesser source answered; null where the user's embedding did.")
    ]
    items: Annotated[list[ScoredItem], Meta(description="Best first.")]


class SessionRecommendations(ByScenario, frozen=True, kw_only=True):
    """What goes with the items of a session."""

    release: ReleaseId
    source: Source
    reason: Annotated[str | None, Meta(description="Why popular items answered; null where the session did.")]
    unknown_item_ids: Annotated[
        list[str], Meta(description="Items of the session that the release does not know.")
    ]
    items: list[ScoredItem]


class SimilarItems(Struct, frozen=True, kw_only=True):
    """Items that are wanted by the same users as one item."""

    release: ReleaseId
    item_id: ItemId
    items: Annotated[
        list[ScoredItem], Meta(description="Nearest first; the score is the cosine of the embeddings.")
    ]


class PopularItems(Struct, frozen=True, kw_only=True):
    """The most popular items."""

    release: ReleaseId
    items: Annotated[list[ScoredItem], Meta(description="Most popular first; recent events count more.")]


class HistoryItem(Item, frozen=True, kw_only=True):
    """One item that a user has."""

    last_day: Annotated[str | None, Meta(description="UTC day of the last event.", examples=["2017-12-24"])]


class UserHistory(Struct, frozen=True, kw_only=True):
    """The items a user has, most recent first."""

    release: ReleaseId
    user_id: UserId
    total: Annotated[int, Meta(description="How many items the user has.", ge=0)]
    items: list[HistoryItem]


class Session(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A session without a user: what was clicked, viewed or put in a basket."""

    item_ids: Annotated[
        list[ItemId], Meta(description="Items of the session.", min_length=1, max_length=1000)
    ]
    k: Annotated[int, Meta(description="How many items to recommend.", ge=1, le=500)] = 10
    include_seen: Annotated[bool, Meta(description="Keep items of the session.")] = False
    exclude: Annotated[list[ItemId], Meta(description="Items never to recommend.", max_length=1000)] = []
    category: (
        Annotated[str, Meta(description="Recommend items of this category only.", max_length=512)] | None
    ) = None
    budget_ms: (
        Annotated[
            float,
            Meta(
                description="Time the answer may take, ms; a lesser source answers where it is short.", ge=0
            ),
        ]
        | None
    ) = None
    reasons: Annotated[
        bool, Meta(description="Say for each item which item of the session it is nearest to.")
    ] = False
    scenario: Annotated[str, Meta(description="Apply this scenario of the rules.", max_length=40)] | None = (
        None
    )
    diversity: (
        Annotated[float, Meta(description="In place of the scenario's own strength, 0-1.", ge=0, le=1)] | None
    ) = None
    explain: Annotated[bool, Meta(description="Say how the list came about.")] = False


encode = msgspec.json.Encoder().encode
