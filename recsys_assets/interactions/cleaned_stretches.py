"""Raw days cleaned and audited by workers of a launcher, a stretch of days each, in the order of the days."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from recsys_assets.interactions.cleaned_days import AuditedDay, RawDays, audited_days
from recsys_assets.interactions.returns import TakenOff
from recsys_assets.interactions.row_rule import RowRule
from recsys_assets.interactions.wish_rule import WishRule
from recsys_assets.lake.landed_days import require_home
from recsys_assets.lake.raw_returns import raw_store
from recsys_assets.launching.launcher import Launcher, in_order
from recsys_assets.storage.home import Home


@dataclass(frozen=True, kw_only=True)
class DaysToClean:
    """Landed days, and all that cleaning them depends on."""

    home: Home
    """The home of the raw days."""
    days: tuple[date, ...]
    """The days, ascending."""
    rule: WishRule
    """The weight of each kind, and the least rating of a wish."""
    rows: RowRule
    """The rows that are no interaction by the choice of the shop."""
    taken_off: TakenOff
    """Pieces that returns of any day take off purchases."""

    def stretches(self, days: int) -> "list[DaysToClean]":
        """Return the same in parts of at most `days` days, in their order."""
        starts = range(0, len(self.days), days)
        return [replace(self, days=self.days[start : start + days]) for start in starts]


def cleaned_here(wanted: DaysToClean, raw: RawDays) -> Iterator[list[AuditedDay]]:
    """Clean and audit the days of `raw`, the raw days of their home, in chunks."""
    return audited_days(wanted.days, raw=raw, rule=wanted.rule, rows=wanted.rows, taken_off=wanted.taken_off)


def cleaned_by(launcher: Launcher, wanted: DaysToClean, *, stretch_days: int) -> Iterator[list[AuditedDay]]:
    """Clean and audit stretches of days by workers, and yield the chunks in the order of the days.

    Raises:
        LauncherError: a worker sees no such home, or workers were killed again and again.
    """
    for chunks in in_order(launcher.map(clean_stretch, wanted.stretches(stretch_days))):
        yield from chunks


def clean_stretch(wanted: DaysToClean) -> Sequence[list[AuditedDay]]:
    """Clean and audit a stretch of days in a worker.

    Raises:
        LauncherError: this worker has no such home.
    """
    require_home(wanted.home)
    return list(cleaned_here(wanted, raw_store(wanted.home)))
