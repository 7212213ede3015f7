"""JSON bodies of experiments: their arms, state, and the curve of each arm over days."""

from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from recsys_assets.api.schemas.recommendation_schemas import ReleaseId
from recsys_assets.experiments.experiments_file import Guard, Metric
from recsys_assets.experiments.results import ArmLook, DayLook
from recsys_assets.experiments.standing import State

ExperimentName = Annotated[str, Meta(description="Name of the experiment.", examples=["new_ranking"])]

__all__ = [
    "ArmLook",
    "DayLook",
    "ExperimentArm",
    "ExperimentDetail",
    "ExperimentList",
    "ExperimentSummary",
    "Guard",
]


class ExperimentArm(Struct, frozen=True, kw_only=True):
    """One arm."""

    name: Annotated[str, Meta(description="Its name; the first arm is the control.", examples=["control"])]
    share: Annotated[float, Meta(description="Share of the users that it gets, 0-1.", ge=0, le=1)]
    release: Annotated[str | None, Meta(description="Release that answers; null where none is named.")]
    rules: Annotated[str | None, Meta(description="Rules file that answers; null where none is named.")]
    model: Annotated[
        str | None, Meta(description="Model whose newest release answers; null where none is named.")
    ]
    ended: Annotated[
        datetime | None, Meta(description="Time at which a guard rail ended it; null where none did.")
    ]
    why: Annotated[str | None, Meta(description="Why a guard rail ended it.")]


class ExperimentSummary(Struct, frozen=True, kw_only=True):
    """One experiment and its verdicts."""

    name: ExperimentName
    state: Annotated[State, Meta(description="`planned`, `running`, `over`, or `stopped` by a person.")]
    kind: Annotated[
        Literal["split", "interleave"],
        Meta(description="`split`: a user sees one arm. `interleave`: both arms' lists as one."),
    ]
    metric: Annotated[Metric, Meta(description="The metric that decides.")]
    scenario: Annotated[
        str | None, Meta(description="Scenario of the requests that take part; null: those without one.")
    ]
    start: Annotated[date, Meta(description="First UTC day.", examples=["2026-11-01"])]
    end: Annotated[date, Meta(description="Last UTC day.", examples=["2026-11-30"])]
    alpha: Annotated[float, Meta(description="Probability that any interval at any look misses.", ge=0, le=1)]
    problem: Annotated[str | None, Meta(description="Why it is not in force though it should be.")]
    stopped: Annotated[str | None, Meta(description="Why a person stopped it; null where nobody did.")]
    words: Annotated[list[str], Meta(description="The newest verdicts, a sentence an arm but the control.")]


class ExperimentDetail(ExperimentSummary, frozen=True, kw_only=True):
    """One experiment with its arms and its curve."""

    release: ReleaseId
    arms: list[ExperimentArm]
    guards: Annotated[list[Guard], Meta(description="Its guard rails.")]
    judged_at: Annotated[datetime | None, Meta(description="Time of the last look, UTC; null before it.")]
    days: Annotated[list[DayLook], Meta(description="The curve: a look a day, oldest first.")]


class ExperimentList(Struct, frozen=True, kw_only=True):
    """All experiments."""

    release: ReleaseId
    problem: Annotated[
        str | None, Meta(description="Why a newer experiments.toml is not in force; null where it is.")
    ]
    experiments: list[ExperimentSummary]
