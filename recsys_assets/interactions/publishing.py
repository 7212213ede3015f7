"""From raw days to published `interactions` days: clean, audit, publish or quarantine, a day at a time."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Protocol

import polars as pl

from recsys_assets.interactions.clean import Cleaned, clean
from recsys_assets.interactions.expectations import audit_interactions
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.publishing import DayStore, PublishOutcome, publish_days


class RawDays(Protocol):
    """What cleaning needs of the raw store."""

    def path(self, day: date) -> Path:
        """Where `day`'s file is or would be."""

    def read(self, day: date) -> pl.DataFrame:
        """One day's rows."""


@dataclass(kw_only=True)
class InteractionsOutcome:
    """What became of the days of one run."""

    published: PublishOutcome
    """Days published and refused."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Reason -> raw rows dropped or merged, over all days."""
    missing: list[date] = field(default_factory=list)
    """Days without a raw file (never landed, or in quarantine): nothing was made of them."""


def publish_interactions(
    days: Iterable[date],
    *,
    raw: RawDays,
    store: DayStore,
    quarantine: Path,
    ledger: Ledger | None = None,
    progress: Callable[[date], None] | None = None,
) -> InteractionsOutcome:
    """Make `interactions` of `days`, in order, from the raw store's files."""
    cleaning = _Cleaning(raw)
    published = publish_days(
        cleaning.frames(days),
        store=store,
        audit=cleaning.audit,
        quarantine=quarantine,
        ledger=ledger,
        progress=progress,
    )
    return InteractionsOutcome(published=published, dropped=cleaning.dropped, missing=cleaning.missing)


class _Cleaning:
    """Hands each cleaned day to publishing, and its costs to the audit that follows."""

    def __init__(self, raw: RawDays) -> None:
        self._raw = raw
        self._last: Cleaned | None = None
        self.dropped: dict[str, int] = {}
        self.missing: list[date] = []

    def frames(self, days: Iterable[date]) -> Iterator[tuple[date, pl.DataFrame]]:
        for day in days:
            if not self._raw.path(day).is_file():
                self.missing.append(day)
                continue
            self._last = clean(self._raw.read(day), day=day)
            for reason, rows in self._last.dropped.items():
                self.dropped[reason] = self.dropped.get(reason, 0) + rows
            yield day, self._last.frame

    def audit(self, day: date, frame: pl.DataFrame) -> list[CheckResult]:
        if self._last is None or self._last.frame is not frame:
            raise ValueError(f"{day}: audited a frame that was not just cleaned")
        return audit_interactions(day, self._last)
