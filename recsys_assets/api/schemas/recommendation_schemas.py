"""JSON bodies of lists of items, and of the rules behind a list.

The docstring and the descriptions of a struct are in the OpenAPI document.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from recsys_assets.rules.engine.requests import Source
from recsys_assets.rules.engine.score_words import Component

ReleaseId = Annotated[str, Meta(description="The release that answered.", examples=["20171231-3f9a1c0b7e"])]
AnswerIdText = Annotated[
    str,
    Meta(
        description="Id of this answer: its release, its time and a number; `recsys lineage ID` reads it. A 304 says "
        "that the client's answer still holds, with the id that it has.",
        examples=["20171231-3f9a1c0b7e.19ac5d0f3a2.5f3a9c1e2b"],
    ),
]
NextPage = Annotated[
    str | None,
    Meta(
        description="Send it as `after` for the next page; null at the list's end, and after 500 items.",
        examples=["kQ0aWm3cV1pEFDIwMTcxMjMxLTNmOWExYzBiN2VIAQACAAMA"],
    ),
]
ItemId = Annotated[
    str, Meta(description="The source's id of the item.", examples=["1082185"], min_length=1, max_length=512)
]
UserId = Annotated[
    str, Meta(description="The source's id of the user.", examples=["1"], min_length=1, max_length=512)
]


class Item(Struct, frozen=True, kw_only=True):
    """One item with its title and category."""

    item_id: ItemId
    title: Annotated[str | None, Meta(description="Its title; null where unknown.")]
    category: Annotated[str | None, Meta(description="Its category; null where unknown.")]


class ScoredItem(Item, frozen=True, kw_only=True):
    """One item of a ranked list."""

    score: Annotated[float, Meta(description="Higher is better; comparable within one list only.")]
    because: Annotated[
        Item | UnsetType | None,
        Meta(description="The nearest item of the history or session; only with `reasons=true`."),
    ] = UNSET


class StageTrace(Struct, frozen=True, kw_only=True):
    """One stage of a scenario."""

    section: Literal["candidates", "filters", "scoring", "reranking", "limits"]
    name: str
    kind: str
    rule: Annotated[str, Meta(description="The rule in words: its expression or settings.")]
    items_in: Annotated[int, Meta(description="Items before the stage; for a source, its quota.", ge=0)]
    items_out: Annotated[
        int, Meta(description="Items after the stage; for a source, the items that it gave.", ge=0)
    ]
    ms: Annotated[float, Meta(description="Wall-clock time.", ge=0)]


class Effect(Struct, frozen=True, kw_only=True):
    """The effect of one rule on one item."""

    stage: str
    effect: Annotated[
        str,
        Meta(
            description="`+0.100` is added to the score; `shown 4 times since 2017-12-24: x 0.5` multiplies it; "
            "`4 -> 2` is a move."
        ),
    ]


class ItemReason(Struct, frozen=True, kw_only=True):
    """One reason for an item's relevance, in words."""

    component: Annotated[
        Component,
        Meta(
            description="The part of the score: `factors`, the taste that a model learnt; `related`, what goes with "
            "single items of the history; `prior`, what is popular lately; `new`, an item without events."
        ),
    ]
    share: Annotated[
        float,
        Meta(description="Its share in what lifts the item above the list's mean candidate.", ge=0, le=1),
    ]
    text: Annotated[str, Meta(description="The reason in words.", examples=["bought with Green tea"])]


class ItemTrace(Item, frozen=True, kw_only=True):
    """The outcome for one candidate, and its reasons."""

    sources: Annotated[list[str], Meta(description="Names of the sources that gave it.")]
    relevance: Annotated[float | None, Meta(description="Score before boosts, 0-1; null where dropped.")]
    score: Annotated[float | None, Meta(description="Score after boosts.")]
    effects: list[Effect]
    dropped_by: Annotated[str | None, Meta(description="Name of the stage that dropped it.")]
    why: Annotated[str | None, Meta(description="Rule of that stage.")]
    rank: Annotated[int | None, Meta(description="Place in the whole order, also beyond k.")]
    reasons: Annotated[
        list[ItemReason], Meta(description="Why it is there, the main reason first; empty where not ranked.")
    ]


class Trace(Struct, frozen=True, kw_only=True):
    """The origin of a list, stage by stage and item by item."""

    stages: list[StageTrace]
    items: Annotated[
        list[ItemTrace], Meta(description="Every candidate: the ranked ones first, then the dropped ones.")
    ]


class ByScenario(Struct, frozen=True, kw_only=True):
    """Fields of an answer by a scenario."""

    scenario: Annotated[str | UnsetType, Meta(description="Name of the scenario that was applied.")] = UNSET
    rules: Annotated[
        str | UnsetType, Meta(description="Version of the rules; changes with the file's content.")
    ] = UNSET
    trace: Annotated[Trace | UnsetType, Meta(description="Only with `explain=true`.")] = UNSET


class Scenario(Struct, frozen=True, kw_only=True):
    """One scenario of the rules."""

    name: str
    description: str
    default: Annotated[bool, Meta(description="True for the scenario that applies where none is named.")]
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
    """The reason why one item is, or is not, in a user's list."""

    release: ReleaseId
    id: AnswerIdText
    user_id: UserId
    scenario: str
    rules: str
    item: Item
    verdict: Literal["shown", "ranked below", "dropped", "no candidate"]
    words: Annotated[str, Meta(description="The verdict as a sentence.")]
    rank: Annotated[int | None, Meta(description="Place in the list; null where it was not ranked.")]
    relevance_rank: Annotated[
        int | None, Meta(description="Place in the catalogue by relevance alone; null for a stranger.")
    ]
    dropped_by: Annotated[
        list[Effect], Meta(description="The rules that dropped it, or would drop it; `effect` is the rule.")
    ]
    values: Annotated[dict[str, Any], Meta(description="Values that those rules read.")]
    trace: Trace


class UserRecommendations(ByScenario, frozen=True, kw_only=True):
    """Recommendations for one user."""

    release: ReleaseId
    id: AnswerIdText
    next: NextPage = None
    user_id: UserId
    source: Source
    reason: Annotated[
        str | None,
        Meta(
            description="Reason for answering from another source; null where the user's embedding answered."
        ),
    ]
    items: Annotated[list[ScoredItem], Meta(description="Best first.")]
    experiment: Annotated[
        str | UnsetType, Meta(description="The experiment that the answer is part of; only where one is.")
    ] = UNSET
    arm: Annotated[
        str | UnsetType,
        Meta(description="Its arm that answered; `interleaved` where the lists of two are one."),
    ] = UNSET


class SessionRecommendations(ByScenario, frozen=True, kw_only=True):
    """Recommendations for a session."""

    release: ReleaseId
    id: AnswerIdText
    next: NextPage = None
    source: Source
    reason: Annotated[
        str | None,
        Meta(description="Reason for answering with popular items; null where the session answered."),
    ]
    unknown_item_ids: Annotated[
        list[str], Meta(description="Items of the session that are not in the release.")
    ]
    items: list[ScoredItem]


class SimilarItems(Struct, frozen=True, kw_only=True):
    """Items that the same users want as one item."""

    release: ReleaseId
    id: AnswerIdText
    next: NextPage = None
    item_id: ItemId
    items: Annotated[
        list[ScoredItem], Meta(description="Nearest first; the score is the cosine of the embeddings.")
    ]


class PopularItems(Struct, frozen=True, kw_only=True):
    """The most popular items."""

    release: ReleaseId
    id: AnswerIdText
    next: NextPage = None
    items: Annotated[list[ScoredItem], Meta(description="Most popular first; recent events count more.")]


class HistoryItem(Item, frozen=True, kw_only=True):
    """One item that a user has."""

    last_day: Annotated[
        str | None, Meta(description="UTC day of the user's last event with it.", examples=["2017-12-24"])
    ]


class UserHistory(Struct, frozen=True, kw_only=True):
    """Items that a user has, most recent first."""

    release: ReleaseId
    user_id: UserId
    total: Annotated[int, Meta(description="Number of items that the user has.", ge=0)]
    items: list[HistoryItem]


class Session(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One session without a user: items that were clicked, viewed or put in a basket, and options."""

    item_ids: Annotated[
        list[ItemId], Meta(description="Items of the session.", min_length=1, max_length=1000)
    ]
    k: Annotated[int, Meta(description="Number of items to recommend.", ge=1, le=500)] = 10
    include_seen: Annotated[bool, Meta(description="Keep items of the session.")] = False
    exclude: Annotated[list[ItemId], Meta(description="Items never to recommend.", max_length=1000)] = []
    category: (
        Annotated[str, Meta(description="Recommend items of this category only.", max_length=512)] | None
    ) = None
    budget_ms: (
        Annotated[
            float,
            Meta(
                description="Most time for the answer, ms; a faster source answers where it is short.", ge=0
            ),
        ]
        | None
    ) = None
    reasons: Annotated[bool, Meta(description="Name the nearest item of the session for each item.")] = False
    scenario: Annotated[str, Meta(description="Apply this scenario of the rules.", max_length=40)] | None = (
        None
    )
    diversity: (
        Annotated[
            float, Meta(description="Strength of diversity in place of the scenario's own, 0-1.", ge=0, le=1)
        ]
        | None
    ) = None
    explain: Annotated[bool, Meta(description="Return the trace of the list.")] = False
    after: (
        Annotated[
            str,
            Meta(
                description="`next` of the answer before: the items that come after its own. The session may have "
                "other items by then.",
                max_length=3_000,
            ),
        ]
        | None
    ) = None
