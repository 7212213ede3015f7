"""The result of a build, stage by stage, and the interface of what shows its progress."""

from dataclasses import dataclass, field
from typing import Protocol

from recsys_assets.orchestration.landing_plan import Speaker
from recsys_assets.orchestration.resources import StageProgress


class Watcher(StageProgress, Speaker, Protocol):
    """Shows the progress of a build."""

    def end(self, row: "StageRow") -> None:
        """Show that a stage ended, or had nothing to do."""


@dataclass(frozen=True, kw_only=True)
class StageRow:
    """The result of one stage."""

    stage: str
    """Asset or assets."""
    status: str
    """`fresh`, `built` or `failed`."""
    detail: str
    """The amount built, or the reason of the failure."""
    seconds: float = 0.0
    """Wall time."""
    warnings: tuple[str, ...] = ()
    """Asset checks that did not pass."""


@dataclass(kw_only=True)
class BuildOutcome:
    """The result of a build."""

    rows: list[StageRow] = field(default_factory=list)
    """One a stage, in order."""
    model: str = ""
    """The model of the release and the reason for it; empty where none was chosen in this build."""
    rows_left_out: list[str] = field(default_factory=list)
    """The account of the home's rows, a line each; empty where every row of the source is an interaction."""

    @property
    def failed(self) -> bool:
        """True where a stage failed."""
        return any(row.status == "failed" for row in self.rows)

    @property
    def built(self) -> bool:
        """True where anything was built."""
        return any(row.status == "built" for row in self.rows)
