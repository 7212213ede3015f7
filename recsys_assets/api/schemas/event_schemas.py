"""JSON bodies of events: one, several, and the answer to them.

The docstring and the descriptions of a struct are in the OpenAPI document.
"""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from recsys_assets.api.schemas.recommendation_schemas import ItemId, UserId

Amount = Annotated[float, Meta(ge=-1e12, le=1e12)]


class Event(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user did something with an item."""

    user_id: UserId
    item_id: ItemId
    event_id: (
        Annotated[
            str,
            Meta(
                description=(
                    "The client's id of the event: sent again with the same content it is stored once, with another "
                    "content it is rejected (409). Where absent the server draws one, and each sending is an event."
                ),
                min_length=1,
                max_length=200,
            ),
        ]
        | None
    ) = None
    kind: (
        Annotated[
            str,
            Meta(
                description=(
                    "`view`, `cart`, `purchase`, `rating`, `like`, `dislike`, `hide`, or a kind of `[events] kinds` or "
                    "`[interactions] kinds`; `view` where absent. `dislike` and `hide` only hide the item; the others "
                    "are folded into the user's vector too, as far as they are wishes. `impression` says that the item "
                    "was shown, as POST /v1/impressions does: it needs `answer_id` and `position`, and changes no list."
                ),
                min_length=1,
                max_length=64,
            ),
        ]
        | None
    ) = None
    timestamp: (
        Annotated[
            datetime,
            Meta(
                description=(
                    "Time of the event, RFC 3339, from 1990 on (or from the home's first day, where that is earlier) "
                    "and not in the future; the time of arrival where absent."
                ),
                tz=True,
            ),
        ]
        | None
    ) = None
    rating: Annotated[Amount, Meta(description="Rating, on the scale of the source.")] | None = None
    quantity: Annotated[Amount, Meta(description="Number of pieces.")] | None = None
    value: Annotated[Amount, Meta(description="Amount paid for all pieces.")] | None = None
    answer_id: (
        Annotated[
            str,
            Meta(description="`id` of the answer that the user acted on.", min_length=1, max_length=200),
        ]
        | None
    ) = None
    position: (
        Annotated[
            int,
            Meta(
                description="Place in the list as it was shown, from 1; of an `impression`.", ge=1, le=10_000
            ),
        ]
        | None
    ) = None


EventList = Annotated[list[Event], Meta(min_length=1, max_length=1000)]


class Events(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Events to store, all or none."""

    events: EventList


class EventsAccepted(Struct, frozen=True, kw_only=True):
    """Outcome of a batch of events; all are stored durably."""

    accepted: Annotated[int, Meta(description="Events that are new.", ge=0)]
    duplicates: Annotated[
        int, Meta(description="Events that were there already, or came twice in the batch.", ge=0)
    ]
    unknown_items: Annotated[
        list[str],
        Meta(
            description="Items of the events, 20 at most, that the served release does not hold; the events count "
            "once a release does."
        ),
    ]
