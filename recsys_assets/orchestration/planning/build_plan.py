"""A proposed change and the plan of its build, as they are stored and printed. How they are made is in `plan`."""

from datetime import date
from pathlib import Path

import msgspec


class ProposedChange(msgspec.Struct, frozen=True, kw_only=True):
    """The change that a plan is of, beside what has changed in the home and its source already."""

    settings_file: Path | None = None
    """A whole `recsys.toml`; None leaves the home's."""
    rules_file: Path | None = None
    """A `rules.toml`; None leaves the home's."""
    through: date | None = None
    """Land no day after this one; None lands all."""


class PlannedStep(msgspec.Struct, frozen=True, kw_only=True):
    """A stage that a build will run."""

    stage: str
    """Its name."""
    assets: list[str]
    """The assets that it makes."""
    why: list[str]
    """Reasons, a line each."""
    days: list[date]
    """The days that it builds; none of a stage without days."""
    seconds: float
    """Wall time foreseen."""
    peak_mb: float
    """Most memory of the process foreseen."""
    written: int
    """Bytes foreseen."""
    measured: bool
    """False where this home has no record of the stage: the figures are those of the embedded default."""


class DayVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """The audit of a staged day."""

    table: str
    """The daily table."""
    day: date
    """The day."""
    verdict: str
    """`ok`, `warn` or `rejected`; a rejected day stays as it was."""
    rows: int
    """Rows of the staged day."""
    before: int | None
    """Rows of the day until now; None where it is new."""
    reasons: list[str]
    """The checks that did not pass, a line each."""


class BuildPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a plan that a build runs."""

    steps: list[PlannedStep]
    """The stages that will be built, in order; empty where there is nothing to do."""
    left_out: list[str] = []
    """Stages that a build leaves out since a day or the catalogue is rejected."""
    verdicts: list[DayVerdict] = []
    """The audit of every staged day."""
    not_staged: int = 0
    """Days that are too many to stage: they are audited when they are built, and all stages after them are listed."""
    notes: list[str] = []
    """Lines on the source and on what is rejected."""
    seconds: float = 0.0
    """Wall time foreseen for the build."""
    peak_mb: float = 0.0
    """Most memory of its process foreseen."""
    written: int = 0
    """Bytes that it will write, foreseen."""
    free: int = 0
    """Free bytes of the disk that holds the home."""
