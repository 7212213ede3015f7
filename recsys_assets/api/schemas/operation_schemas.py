"""JSON bodies of quality, recalls, health, problems, and search of items.

The docstring and the descriptions of a struct are in the OpenAPI document.
"""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from recsys_assets.api.schemas.recommendation_schemas import Item, ReleaseId


class CheckDay(Struct, frozen=True, kw_only=True):
    """Result of one check on one day."""

    day: str
    verdict: Literal["ok", "warn", "block"]
    value: Annotated[
        float | None,
        Meta(description="The measured value, or the drift score; null where rows were counted."),
    ]
    warn_above: Annotated[
        float | None, Meta(description="Value from which the check warns; null where it has none.")
    ]
    failing_rows: int
    detail: str


class CheckHistory(Struct, frozen=True, kw_only=True):
    """Results of one check by day."""

    table: str
    check: str
    days: list[CheckDay]


class Finding(Struct, frozen=True, kw_only=True):
    """One check that warned or rejected a day."""

    check: str
    verdict: Literal["warn", "block"]
    detail: Annotated[str, Meta(description="One sentence: the value found against the expected one.")]
    failing_rows: int
    rows: Annotated[list[dict[str, Any]], Meta(description="Some of the failing rows, at most 10.")]


class Attention(Struct, frozen=True, kw_only=True):
    """One question that a day's data does not answer as it should."""

    day: Annotated[str | None, Meta(description="UTC day; null for a table without days.")]
    table: str
    question: str
    why: Annotated[str, Meta(description="The harm, in one sentence.")]
    remedy: Annotated[str, Meta(description="The first thing to do.")]
    command: Annotated[str | None, Meta(description="The command that shows more of the day.")]
    findings: Annotated[
        list[Finding], Meta(description="The checks that failed, the worst first.", min_length=1)
    ]


class ReasonRows(Struct, frozen=True, kw_only=True):
    """Rows that are no interaction, for one reason."""

    reason: Annotated[str, Meta(description="Name of the reason, such as `no_user`.")]
    rows: int
    meaning: Annotated[str, Meta(description="The reason in words that follow the number of rows.")]
    example: Annotated[str, Meta(description="The first of the rows; empty where it isn't known.")]


class DayRows(Struct, frozen=True, kw_only=True):
    """The raw rows of one published day."""

    day: str
    rows: int
    interactions: int
    left_out: list[ReasonRows]


class HomeRows(Struct, frozen=True, kw_only=True):
    """The rows of the source: each is an interaction, or under one reason."""

    rows: Annotated[
        int | None, Meta(description="Rows of the source when it was read last; null if unknown.")
    ]
    interactions: int
    left_out: list[ReasonRows]
    differences: Annotated[
        str, Meta(description="Days that landed with other rows than the source has now; empty for none.")
    ]
    days: Annotated[
        list[DayRows], Meta(description="The last days with rows that are no interaction, newest first.")
    ]


class Quality(Struct, frozen=True, kw_only=True):
    """Results of every check on the last days, and the account of all rows."""

    release: ReleaseId
    attention: Annotated[
        list[Attention],
        Meta(
            description="Questions that the data does not answer as it should, of the last days with one, newest first."
        ),
    ]
    checks: list[CheckHistory]
    rows: Annotated[
        HomeRows | None,
        Meta(description="The account of all rows, as of the last build; null before the first."),
    ]


class RecallNotice(Struct, frozen=True, kw_only=True):
    """One recall: days that were wrong, and the releases that were built on them."""

    at: Annotated[datetime, Meta(description="Time of the recall, UTC.")]
    why: Annotated[str, Meta(description="The fault of the days, as given.")]
    days: Annotated[list[date], Meta(description="UTC days, oldest first.")]
    releases: Annotated[list[str], Meta(description="The releases built on them, newest first.")]
    before: Annotated[str | None, Meta(description="The release that was served before the recall.")]
    current: Annotated[
        str | None,
        Meta(description="The release that was served after it: the same where no clean one was left."),
    ]
    answers: Annotated[
        dict[str, int],
        Meta(
            description="Release -> the answers that it gave until then.",
            examples=[{"20171231-3f9a1c0b7e": 18_240}],
        ),
    ]


class RecallList(Struct, frozen=True, kw_only=True):
    """Every recall, newest first."""

    release: ReleaseId
    recalls: list[RecallNotice]


class Health(Struct, frozen=True, kw_only=True):
    """State of the process."""

    status: Literal["live", "ready", "unavailable"]
    release: str | None = None
    rules: Annotated[str | None, Meta(description="Version of the rules in force.")] = None
    rules_problem: Annotated[
        str | None, Meta(description="Why a newer rules file is not in force; null where it is.")
    ] = None
    problems: Annotated[
        dict[str, str] | None,
        Meta(description="What cannot be read at present, and why; the state read before is served."),
    ] = None


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem body, RFC 9457 (`application/problem+json`)."""

    title: Annotated[
        str, Meta(description="Kind of problem, in the same words for all problems of the kind.")
    ]
    status: Annotated[int, Meta(description="The HTTP status.")]
    detail: Annotated[str | None, Meta(description="The finding, and what to do.")] = None
    type: str = "about:blank"
    instance: Annotated[str | None, Meta(description="The request id, which the logs have too.")] = None
    errors: Annotated[
        list[dict[str, Any]] | None, Meta(description="An entry for each invalid parameter or field.")
    ] = None


class FoundItem(Item, frozen=True, kw_only=True):
    """One item that was searched for."""

    state: Annotated[
        Literal["hidden", "not available"] | None,
        Meta(description="Why lists leave it out; null where they do not."),
    ]


class ItemSearch(Struct, frozen=True, kw_only=True):
    """Items with a matching title."""

    release: ReleaseId
    items: list[FoundItem]


class Categories(Struct, frozen=True, kw_only=True):
    """The categories of the release, largest first."""

    release: ReleaseId
    categories: Annotated[dict[str, int], Meta(description="Category -> number of items.")]
