"""Online metrics as JSON, for the API and the command: they read it without polars."""

from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from recsys_assets.errors import OnlineMetricsError
from recsys_assets.storage.atomic import make_folder, read_file, replace_file

RESULTS_FILE: Final = "online_metrics.json"
ARTIFACT: Final = "online_metrics"
"""The artifact whose folder has the file."""
KEPT_DAYS: Final = 90
"""Newest days with impressions that are in the file; the lake has all."""
PERIOD_DAYS: Final = 28
"""Days, the newest among them, over which arms, releases and lists are compared as one."""
_MOST_BYTES: Final = 64_000_000

GroupKind = Literal["all", "release", "list", "arm"]


class OnlineMetric(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one day or period."""

    day: date
    """UTC day when the answers were shown; the last one of a period."""
    group_kind: GroupKind
    """Kind of group: all answers, a release, a list or an arm."""
    group: str
    """`all`, the release's id, the kind of list, or `experiment/arm`."""
    metric: str
    """`ctr`, `conversion`, `value_per_answer`, `coverage`, or `ctr_at_N` of a position."""
    value: float
    """A share 0-1, or an amount in the source's currency."""
    low: float | None
    """Low end of the 95 % interval; null where there is none: of a coverage, and of one user."""
    high: float | None
    """Its high end."""
    users: int
    """Users who were shown any."""
    shown: int
    """Answers, users, items or impressions that the metric is of."""
    events: int
    """Those of them that were clicked, bought or shown."""


class OnlineResults(msgspec.Struct, frozen=True, kw_only=True):
    """The metrics of a home's newest days, and of the newest weeks as one."""

    made_at: datetime
    """Time when they were made, UTC."""
    attribution_days: float
    """Days after an answer was shown for which an event may count for it."""
    final_through: date | None
    """The last day whose window was over when they were made; later days may still change. None before the first."""
    period_first: date
    """First day of the period."""
    period_last: date
    """Last day of it."""
    period: list[OnlineMetric]
    """The metrics of the period as one, without coverage and positions."""
    days: list[OnlineMetric]
    """The metrics of each day, oldest first."""

    def days_shown(self) -> list[date]:
        """Return the days that have any metric, oldest first."""
        return sorted({one.day for one in self.days})


def select(
    metrics: Iterable[OnlineMetric], *, group_kind: GroupKind, day: date | None = None
) -> list[OnlineMetric]:
    """Return the metrics of a kind of group, in their order; of one day, or of all where it is None."""
    return [one for one in metrics if one.group_kind == group_kind and day in {None, one.day}]


def write_results(folder: Path, results: OnlineResults) -> None:
    """Replace the file in a folder, which is made where it is missing; under the build lock."""
    make_folder(folder)
    replace_file(folder / RESULTS_FILE, msgspec.json.encode(results))


def read_results(folder: Path) -> OnlineResults | None:
    """Return the results in a folder; None before anything was measured.

    Raises:
        OnlineMetricsError: the file is there and cannot be read.
    """
    file = folder / RESULTS_FILE
    try:
        return msgspec.json.decode(read_file(file, most=_MOST_BYTES), type=OnlineResults)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise OnlineMetricsError(
            f"{file}: online metrics cannot be read ({error}); `recsys build` makes them again"
        ) from error
