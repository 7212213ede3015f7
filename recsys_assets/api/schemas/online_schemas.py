"""JSON bodies of impressions, and of what came of the answers.

The docstring and the descriptions of a struct are in the OpenAPI document.
"""

from datetime import date, datetime
from typing import Annotated

from msgspec import Meta, Struct

from recsys_assets.api.schemas.recommendation_schemas import AnswerIdText, ItemId, ReleaseId, UserId
from recsys_assets.experiments.online_results import OnlineMetric

Position = Annotated[
    int, Meta(description="Place in the list as it was shown, from 1.", ge=1, le=10_000, examples=[1])
]


class ShownItem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One item of an answer at the place where it was shown."""

    item_id: ItemId
    position: Position


class ShownAnswer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The items of an answer that a user was shown."""

    answer_id: Annotated[AnswerIdText, Meta(min_length=1, max_length=200)]
    items: Annotated[
        list[ItemId | ShownItem],
        Meta(
            description="The items that were shown: their ids in the order of the list, from position 1, or each with "
            "its position.",
            min_length=1,
            max_length=1000,
        ),
    ]
    user_id: (
        Annotated[
            UserId, Meta(description="The user; without one only events that name the answer count for it.")
        ]
        | None
    ) = None
    timestamp: (
        Annotated[
            datetime,
            Meta(
                description="Time when it was shown, RFC 3339, within the bounds of an event's; the time of arrival "
                "where absent.",
                tz=True,
            ),
        ]
        | None
    ) = None


ShownAnswerList = Annotated[list[ShownAnswer], Meta(min_length=1, max_length=1000)]


class ShownAnswers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answers that were shown, all or none."""

    impressions: ShownAnswerList


class ImpressionsAccepted(Struct, frozen=True, kw_only=True):
    """Number of impressions that are new; all of them are stored durably."""

    accepted: Annotated[int, Meta(description="Items of answers that were not reported before.", ge=0)]
    duplicates: Annotated[
        int, Meta(description="Items of answers that were reported before, or twice in the batch.", ge=0)
    ]


class MetricsPeriod(Struct, frozen=True, kw_only=True):
    """The metrics of some days as one."""

    first: Annotated[date, Meta(description="First UTC day.")]
    last: Annotated[date, Meta(description="Last UTC day.")]
    metrics: Annotated[list[OnlineMetric], Meta(description="Without coverage and positions.")]


class OnlineMetrics(Struct, frozen=True, kw_only=True):
    """Clicks and purchases of the answers, by day and over the newest weeks; users are the unit of the intervals."""

    release: ReleaseId
    made_at: Annotated[
        datetime | None,
        Meta(description="Time when they were made, UTC; null before any impression was measured."),
    ]
    attribution_days: Annotated[
        float | None,
        Meta(description="Days after an answer was shown for which an event may count for it."),
    ]
    final_through: Annotated[
        date | None, Meta(description="Last day whose metrics change no more; null before the first.")
    ]
    period: MetricsPeriod | None
    days: Annotated[list[OnlineMetric], Meta(description="The metrics of each day, oldest first.")]
