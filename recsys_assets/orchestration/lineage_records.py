"""The lineage of a day, a release or an answer, as `recsys lineage` shows it; `lineage.py` finds it."""

from datetime import date, datetime

import msgspec

from recsys_assets.release.current import RecalledDay
from recsys_assets.release.gate_report import GateReport
from recsys_assets.release.served_times import ServedTime


class ReleaseLineage(msgspec.Struct, frozen=True, kw_only=True):
    """The origin of a release, and its use."""

    release: str
    """Its id."""
    former: list[str] = []
    """Ids that it had before users were forgotten in it, the last first."""
    kept: bool
    """False where it was pruned: its days, checks and model are not known any more."""
    current: bool
    """True where it is served."""
    created_at: datetime | None = None
    """Time of its publication, UTC."""
    first_day: date | None = None
    """First UTC day of its events."""
    through_day: date | None = None
    """Last UTC day of its events."""
    days: dict[date, str] = {}
    """Day -> version, the checksum of its partition of `interactions`."""
    replaced: list[date] = []
    """Days that the lake has in another version now, or no longer."""
    recalled: list[date] = []
    """Days that were recalled in the version used."""
    accepted: dict[date, list[str]] = {}
    """Day that was rejected and accepted all the same -> by whom, why and when."""
    warned: list[str] = []
    """Checks of its days that warned, as the ledger has them now, a line each."""
    gate: GateReport | None = None
    """The gate's report; None where it never judged it."""
    model: str = ""
    """The model, in words."""
    served: list[ServedTime] = []
    """When it was current, the earliest first."""
    answers: int = 0
    """Answers that it gave by HTTP."""
    by_day: dict[str, int] = {}
    """UTC day -> its answers."""
    by_list: dict[str, int] = {}
    """Kind of list -> its answers: `plain`, `session`, `similar`, `popular`, `why`, `scenario:NAME`."""
    exports: list[str] = []
    """Paths or addresses that hold its lists."""


class DayLineage(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a day, and its use."""

    day: date
    """UTC."""
    version: str | None
    """Checksum of its partition of `interactions` now; None where there is none."""
    recalled: list[RecalledDay]
    """Versions that were recalled."""
    accepted: list[str]
    """By whom a rejected delivery of it was accepted, why and when."""
    quarantine: list[str]
    """Its deliveries in quarantine, with the reason."""
    warned: list[str]
    """Its checks that warned, a line each."""
    releases: list[ReleaseLineage]
    """The releases built on it that are kept, the newest first."""
    unknown: list[str]
    """Ids of releases that were served, may have used it, and are no longer kept."""


class AnswerLineage(msgspec.Struct, frozen=True, kw_only=True):
    """The origin of one answer."""

    answer: str
    """Its id."""
    at: datetime
    """Its time, UTC, by the server's clock."""
    is_possible: bool
    """False where the release was not current then: the id is of another home, or the clock was wrong."""
    release: ReleaseLineage
    """The release that gave it."""
    list: str | None = None
    """The kind of list, as in `by_list`; None where its series is not kept: no server of this home began it."""
    experiment: str | None = None
    """The experiment that it was part of; None for none."""
    arm: str | None = None
    """The arm of that experiment."""


Lineage = DayLineage | ReleaseLineage | AnswerLineage
