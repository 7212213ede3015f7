"""JSON of one message of the live view.

The docstring and the descriptions of a struct are in the OpenAPI document.
"""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from recsys_assets.api.schemas.recommendation_schemas import ItemId, ReleaseId


class LiveEvent(Struct, frozen=True, kw_only=True):
    """One event that arrived."""

    at: Annotated[datetime, Meta(description="Time of its arrival, UTC.")]
    user: Annotated[
        str, Meta(description="The first characters of the user's id, four at most.", examples=["20…"])
    ]
    kind: Annotated[str, Meta(examples=["purchase"])]
    item_id: ItemId
    title: Annotated[str | None, Meta(description="The item's title; null where unknown.")]


class LiveClicks(Struct, frozen=True, kw_only=True):
    """Answers of one arm, or of one kind of list without an experiment, that were shown lately."""

    experiment: Annotated[str | None, Meta(description="The experiment; null where there is none.")]
    arm: Annotated[str, Meta(description="Its arm; the kind of list where there is no experiment.")]
    shown: Annotated[int, Meta(description="Answers shown.", ge=0)]
    clicked: Annotated[int, Meta(description="Those of which an item was clicked afterwards.", ge=0)]
    ctr: Annotated[float, Meta(description="Their share.", ge=0, le=1)]


class StreamProgress(Struct, frozen=True, kw_only=True):
    """Days that `recsys stream` plays."""

    day: Annotated[
        str | None,
        Meta(description="The last UTC day played; null before the first.", examples=["2017-03-04"]),
    ] = None
    done: Annotated[int, Meta(description="Days played.", ge=0)] = 0
    of: Annotated[int, Meta(description="Days to play.", ge=0)] = 0
    events: Annotated[int, Meta(description="Events of these days that were new.", ge=0)] = 0
    days_per_second: Annotated[
        float | None, Meta(description="Most days a second; null for as fast as they land.")
    ] = None
    running: Annotated[bool, Meta(description="False after the last day, and where it was interrupted.")] = (
        False
    )


class LiveMessage(Struct, frozen=True, kw_only=True):
    """The state of the product at one moment."""

    release: ReleaseId
    at: Annotated[datetime, Meta(description="Time of the message, UTC.")]
    events_per_second: Annotated[
        float, Meta(description="Events stored since the message before, a second.", ge=0)
    ]
    newest: Annotated[list[LiveEvent], Meta(description="The newest events first, twelve at most.")]
    ctr_by_arm: Annotated[
        dict[str, LiveClicks],
        Meta(description="By arm, of the newest 5,000 impressions; brought up to date every five seconds."),
    ]
    stream: Annotated[
        StreamProgress | None,
        Meta(description="Progress of `recsys stream`; null where none has run."),
    ]
    states_version: Annotated[
        int, Meta(description="Version of the item states in force; grows with each change.")
    ]
    problem: Annotated[str | None, Meta(description="Why events cannot be read; null where they can.")]
