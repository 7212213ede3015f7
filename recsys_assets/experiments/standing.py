"""The standing of experiments: what the file says, and the arms and experiments that ended before their last day.

An end is a line of `experiments.jsonl`, and is final: an experiment that should run again gets a new name.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Literal

import msgspec

from recsys_assets.errors import ExperimentsError
from recsys_assets.experiments.experiments_file import (
    Arm,
    Experiment,
    find_experiment,
    read_experiments,
)
from recsys_assets.storage.home import Home
from recsys_assets.storage.line_log import append_record, read_records
from recsys_assets.storage.locks import locked

State = Literal["planned", "running", "over", "stopped"]


class RecordedEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an experiment, or of one arm, before its last day."""

    at: datetime
    """Time of the end, UTC."""
    experiment: str
    """Name of the experiment."""
    arm: str | None = None
    """Name of the arm that a guard rail ended; None where a person stopped the whole experiment."""
    why: str
    """The reason, with its figures in words."""
    who: str = ""
    """Login of the person; empty where a guard rail ended it."""
    figures: Mapping[str, float] = msgspec.field(default_factory=dict)
    """Figures that decided."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment and its ends."""

    experiment: Experiment
    """As the file says."""
    stopped: RecordedEnd | None = None
    """The end of all of it; None where it was not stopped."""
    ended: Mapping[str, RecordedEnd] = msgspec.field(default_factory=dict)
    """Arm -> its end by a guard rail."""

    def state(self, today: date) -> State:
        """Return whether it is planned, runs, is over, or was stopped."""
        if self.stopped is not None:
            return "stopped"
        if today < self.experiment.start:
            return "planned"
        return "running" if self.experiment.runs_on(today) else "over"

    def arms_left(self) -> Sequence[Arm]:
        """Return the arms that no guard rail ended, the control first."""
        return [arm for arm in self.experiment.arms if arm.name not in self.ended]


def standing_of(home: Home) -> list[Standing]:
    """Return every experiment of a home with its ends, in the order of the file.

    Raises:
        ExperimentsError: the file is not valid, or the log of ends cannot be read.
    """
    ends = read_ends(home)
    return [with_ends(one, ends) for one in read_experiments(home)]


def with_ends(experiment: Experiment, ends: Sequence[RecordedEnd]) -> Standing:
    """Return an experiment with those of the ends that are its own; the first end counts."""
    own = [end for end in ends if end.experiment == experiment.name]
    return Standing(
        experiment=experiment,
        stopped=next((end for end in own if end.arm is None), None),
        ended={end.arm: end for end in reversed(own) if end.arm is not None},
    )


def read_ends(home: Home) -> list[RecordedEnd]:
    """Return the log of ends, oldest first.

    Raises:
        ExperimentsError: it cannot be read.
    """
    try:
        return read_records(home.experiments_log, RecordedEnd)
    except OSError as error:
        raise ExperimentsError(
            f"{home.experiments_log}: cannot be read ({error.strerror}); mend its permissions"
        ) from error


def record_end(home: Home, end: RecordedEnd) -> bool:
    """Write an end into the log, durably; return False where it has ended already.

    Raises:
        ExperimentsError: the log cannot be read.
        OSError: it cannot be written.
    """
    with locked(home.lock("experiments")):
        if any(one.experiment == end.experiment and one.arm in {None, end.arm} for one in read_ends(home)):
            return False
        append_record(home.experiments_log, end)
    return True


def stop(home: Home, name: str, *, why: str, who: str, now: datetime) -> None:
    """Stop an experiment: from now on its users get what everybody gets.

    Raises:
        ExperimentsError: there is none of that name, no reason is given, or it was stopped before.
    """
    experiment = find_experiment(home, name)
    if not why.strip():
        raise ExperimentsError(f"experiment {name}: to stop it give a reason, --why TEXT")
    if not record_end(home, RecordedEnd(at=now, experiment=experiment.name, why=why, who=who)):
        raise ExperimentsError(
            f"experiment {name}: stopped already; `recsys experiments show {name}` says why"
        )
