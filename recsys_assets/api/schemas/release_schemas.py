"""JSON bodies of releases: those that are kept, the moves of `current`, and the difference between two.

The docstring and the descriptions of a struct are in the OpenAPI document.
"""

from datetime import UTC, date, datetime
from typing import Annotated, Any, Final

from msgspec import Meta, Struct, to_builtins

from recsys_assets.api.schemas.recommendation_schemas import ReleaseId
from recsys_assets.evaluation.changed_lists import ListChanges, ListExample
from recsys_assets.features.feature_changes import ColumnChange, TableChanges
from recsys_assets.release.current import Move
from recsys_assets.release.gate_report import GateReport
from recsys_assets.release.release_diff import Measured, MetricDifference, ReleaseDiff, ReleaseSide
from recsys_assets.release.rule_changes import RuleChange
from recsys_assets.rules.testing.golden import GoldenResult
from recsys_assets.storage.field_changes import DayChanges, FieldChange


class ReleaseSummary(Struct, frozen=True, kw_only=True):
    """One release that is kept."""

    release: ReleaseId
    current: bool
    created_at: str
    first_day: str | None
    through_day: str
    counts: dict[str, Any]
    metrics: dict[str, Any]
    index: dict[str, Any]


class KeptRelease(ReleaseSummary, frozen=True, kw_only=True):
    """One release that is kept, and what keeps it from being served."""

    fault: Annotated[
        str | None, Meta(description="Why it cannot be served, such as a recalled day; null where it can.")
    ]
    gate: Annotated[GateReport | None, Meta(description="The gate's report; null where it never judged it.")]


class Releases(Struct, frozen=True, kw_only=True):
    """Every release that is kept, newest first."""

    release: ReleaseId
    releases: list[KeptRelease]


class Promotion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The release to serve next."""

    release: Annotated[str, Meta(min_length=1, max_length=100)]
    why: Annotated[str, Meta(max_length=1_000, description="The reason; kept on record.")] = ""
    force: Annotated[
        bool, Meta(description="Promote a candidate that the gate kept back; needs a reason in `why`.")
    ] = False


class Promoted(Struct, frozen=True, kw_only=True):
    """The current release after a promotion; it is served within a second."""

    current: str


class MoveSummary(Struct, frozen=True, kw_only=True):
    """One move of the current release."""

    at: Annotated[datetime, Meta(description="Time, UTC.")]
    move: Annotated[Move, Meta(description="The command that moved it.")]
    before: Annotated[str | None, Meta(description="The release before; null for the first.")]
    after: Annotated[str, Meta(description="The release since.")]
    who: Annotated[
        str, Meta(description="Login, or name of the API key; empty where an older version did it.")
    ]
    why: Annotated[str, Meta(description="Reason given; empty where none was.")]


class ReleaseHistory(Struct, frozen=True, kw_only=True):
    """Moves of the current release, the last first."""

    release: ReleaseId
    moves: list[MoveSummary]


def _side(release: str, last: date) -> ReleaseSide:
    return ReleaseSide(
        release=release,
        created_at=datetime(2018, 1, 2, 3, 4, tzinfo=UTC),
        first_day=date(2017, 1, 1),
        through_day=last,
        model="ials",
        counts={"users": 2_469, "items": 92_333},
        evaluated_users=1_484,
        best_baseline="popularity",
        best_baseline_ndcg=0.0533,
    )


_EXAMPLE: Final = ReleaseDiff(
    before=_side("20171230-5e1fe8a1b0", date(2017, 12, 30)),
    after=_side("20171231-3f9a1c0b7e", date(2017, 12, 31)),
    metrics=[
        MetricDifference(
            metric="ndcg@10",
            before=Measured(value=0.0603, low=0.0553, high=0.0655),
            after=Measured(value=0.0611, low=0.0561, high=0.0663),
            difference=Measured(value=0.0008, low=-0.0004, high=0.0021),
        )
    ],
    paired_users=1_484,
    metrics_note="",
    lists=ListChanges(
        k=10,
        users=500,
        changed=0.31,
        reordered=0.12,
        overlap=0.94,
        examples=[ListExample(user_id="1", gone=["Soft Drinks, 12 oz"], new=["White Milk, 1 gal"])],
    ),
    model=[FieldChange(name="prior_weight", before=4.0, after=2.0)],
    settings=[FieldChange(name="training.epochs", before=15, after=20)],
    features=[
        TableChanges(
            entity="user",
            rows_before=2_469,
            rows_after=2_469,
            rows_added=0,
            rows_gone=0,
            compared=2_469,
            changed=802,
            columns=[ColumnChange(name="events_total", rows=802, share=0.325, before=110.9, after=116.9)],
        )
    ],
    rules=[
        RuleChange(
            scenario="home",
            section="reranking",
            rule="diversity",
            change="edited",
            fields=[FieldChange(name="strength", before=0.6, after=0.8)],
        )
    ],
    days=DayChanges(added=[date(2017, 12, 31)]),
)


class ReleaseComparison(Struct, frozen=True, kw_only=True):
    """All that differs between two releases that are kept."""

    release: ReleaseId
    difference: Annotated[
        ReleaseDiff,
        Meta(
            description="The differences. Metrics have 95 % intervals; of two releases that were measured on the same"
            " held-out days, the difference over the same users too.",
            examples=[to_builtins(_EXAMPLE)],
        ),
    ]
    golden: Annotated[
        list[GoldenResult],
        Meta(
            description="The lists of the golden users, by each release's own rules; empty where none are named."
        ),
    ]
    golden_problem: Annotated[
        str | None, Meta(description="Why the golden users have no lists; null where nothing is wrong.")
    ]
