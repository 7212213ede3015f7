"""JSON bodies of running the API: events, quality, releases, health and problems, as msgspec structs."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from recsys_assets.api.schemas import ItemId, ReleaseId, UserId


class Event(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One user touched one item, after the release."""

    user_id: UserId
    item_id: ItemId
    timestamp: (
        Annotated[datetime, Meta(description="When, RFC 3339; the time of arrival where absent.", tz=True)]
        | None
    ) = None


class Events(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Events to remember."""

    events: Annotated[list[Event], Meta(min_length=1, max_length=1000)]


class EventsAccepted(Struct, frozen=True, kw_only=True):
    """How many events were stored."""

    accepted: Annotated[int, Meta(description="Rows stored durably.", ge=1)]


class CheckDay(Struct, frozen=True, kw_only=True):
    """One check on one day."""

    day: str
    verdict: Literal["ok", "warn", "block"]
    value: Annotated[
        float | None, Meta(description="What was measured, or the drift score; null where rows were counted.")
    ]
    warn_above: Annotated[float | None, Meta(description="The value from which it warns; null where none.")]
    failing_rows: int
    detail: str


class CheckHistory(Struct, frozen=True, kw_only=True):
    """One check over the days."""

    table: str
    check: str
    days: list[CheckDay]


class Quality(Struct, frozen=True, kw_only=True):
    """How every check stood on the last days."""

    release: ReleaseId
    checks: list[CheckHistory]


class ReleaseSummary(Struct, frozen=True, kw_only=True):
    """One release that could be served."""

    release: ReleaseId
    current: bool
    created_at: str
    first_day: str | None
    through_day: str
    counts: dict[str, Any]
    metrics: dict[str, Any]
    index: dict[str, Any]


class Releases(Struct, frozen=True, kw_only=True):
    """Every release kept, newest first."""

    release: ReleaseId
    releases: list[ReleaseSummary]


class Promotion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which release to serve next."""

    release: Annotated[str, Meta(min_length=1, max_length=100)]


class Promoted(Struct, frozen=True, kw_only=True):
    """`current` after a promotion; served within a second."""

    current: str


class Health(Struct, frozen=True, kw_only=True):
    """Whether the process lives or can answer."""

    status: Literal["live", "ready", "unavailable"]
    release: str | None = None
    rules: Annotated[str | None, Meta(description="Version of the rules in force.")] = None
    rules_problem: Annotated[
        str | None, Meta(description="Why a newer rules file is not in force; null where it is.")
    ] = None


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem body, RFC 9457 (`application/problem+json`)."""

    title: Annotated[str, Meta(description="What kind of problem, the same for every one of the kind.")]
    status: Annotated[int, Meta(description="The HTTP status.")]
    detail: Annotated[str | None, Meta(description="What was found, and what to do.")] = None
    type: str = "about:blank"
    instance: Annotated[str | None, Meta(description="The request id, for the logs.")] = None
    errors: Annotated[list[dict[str, Any]] | None, Meta(description="One an invalid parameter or field.")] = (
        None
    )
