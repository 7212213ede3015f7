"""JSON bodies of running the API: events, quality, releases, health and problems, as msgspec structs."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from recsys_assets.api.schemas.recommendation_schemas import Item, ItemId, ReleaseId, UserId


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


class FeatureRow(Struct, frozen=True, kw_only=True):
    """The features of one user or item."""

    release: ReleaseId
    id: str
    features: Annotated[dict[str, Any], Meta(description="Feature name -> value.")]


class FeatureRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Features of many users or items at once."""

    entity: Literal["user", "item"]
    ids: Annotated[list[Annotated[str, Meta(max_length=512)]], Meta(min_length=1, max_length=500)]
    names: Annotated[list[str], Meta(description="Features wanted; all where empty.", max_length=100)] = []


class FeatureBatch(Struct, frozen=True, kw_only=True):
    """The answer to a `FeatureRequest`, in the order asked for."""

    release: ReleaseId
    rows: Annotated[list[dict[str, Any] | None], Meta(description="One an id; null where the id is unknown.")]


class FeatureRegistry(Struct, frozen=True, kw_only=True):
    """Every feature: name, type, unit, meaning, owner, source asset, freshness, version."""

    release: ReleaseId
    features: list[dict[str, Any]]


class ItemSearch(Struct, frozen=True, kw_only=True):
    """Items whose title matches."""

    release: ReleaseId
    items: list[Item]


class UserSearch(Struct, frozen=True, kw_only=True):
    """Users whose id starts with the words asked for."""

    release: ReleaseId
    total: Annotated[int, Meta(description="Users in the release.", ge=0)]
    user_ids: list[str]


class Categories(Struct, frozen=True, kw_only=True):
    """The categories of the release, largest first."""

    release: ReleaseId
    categories: Annotated[dict[str, int], Meta(description="Category -> how many items.")]
