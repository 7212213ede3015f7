"""The results of experiments as they are stored: JSON, a file an experiment, a look a day. The API reads them.

A look is never changed by later data; a second one on the same day replaces the first. The caller holds the lock.
"""

from datetime import date, datetime
from typing import Final, Literal

import msgspec

from recsys_assets.errors import ExperimentsError
from recsys_assets.experiments.experiments_file import Experiment, Metric
from recsys_assets.storage.atomic import make_folder, read_file, replace_file
from recsys_assets.storage.home import Home

Verdict = Literal["control", "too few users", "not decided", "better", "worse"]
"""An arm against the control; a decision stays what it was at the first look that made it."""
_MOST_BYTES: Final = 1 << 28


class ArmLook(msgspec.Struct, frozen=True, kw_only=True):
    """One arm after one day, of all days of the experiment until then."""

    arm: str
    """Its name."""
    users: int
    """Users who were shown a list."""
    shown: int
    """Answers that they were shown; items of the arm's team where lists are interleaved."""
    value: float | None
    """The metric; None where nothing was shown."""
    difference: float | None = None
    """The metric less the control's; None for the control, and while there are too few users."""
    low: float | None = None
    """Lower end of the difference's interval, which holds at every look together."""
    high: float | None = None
    """Upper end."""
    verdict: Verdict = "control"
    """Better or worse than the control, surely, or not decided yet."""


class DayLook(msgspec.Struct, frozen=True, kw_only=True):
    """All arms after one day."""

    day: date
    """Last UTC day that counts."""
    arms: list[ArmLook]
    """The control first."""
    words: list[str]
    """A sentence for each arm but the control."""


class ExperimentResult(msgspec.Struct, frozen=True, kw_only=True):
    """All looks at one experiment."""

    name: str
    """Of the experiment."""
    metric: Metric
    """The metric compared."""
    alpha: float
    """Probability that any interval of any arm misses."""
    judged_at: datetime
    """Time of the last look, UTC."""
    days: list[DayLook]
    """The curve, oldest first."""

    @property
    def words(self) -> list[str]:
        """The verdicts of the last look, a sentence an arm."""
        return self.days[-1].words if self.days else []


def read_result(home: Home, name: str) -> ExperimentResult | None:
    """Return the looks at an experiment; None where there was none yet.

    Raises:
        ExperimentsError: the file cannot be read.
    """
    file = home.experiment_results / f"{name}.json"
    try:
        return msgspec.json.decode(read_file(file, most=_MOST_BYTES), type=ExperimentResult)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ExperimentsError(
            f"{file}: cannot be read ({error}); remove it, the next build looks again"
        ) from error


def add_look(home: Home, experiment: Experiment, look: DayLook, *, now: datetime) -> ExperimentResult:
    """Store one day's look beside the earlier ones, and return them all.

    Raises:
        ExperimentsError: the earlier ones cannot be read.
        OSError: the file cannot be written.
    """
    before = read_result(home, experiment.name)
    kept = [one for one in (before.days if before else []) if one.day != look.day]
    result = ExperimentResult(
        name=experiment.name,
        metric=experiment.metric,
        alpha=experiment.alpha,
        judged_at=now,
        days=sorted([*kept, look], key=lambda one: one.day),
    )
    make_folder(home.experiment_results)
    replace_file(home.experiment_results / f"{experiment.name}.json", msgspec.json.encode(result))
    return result
