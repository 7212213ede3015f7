"""The fingerprints of `impressions` and `online_metrics`: what a run would land, and what each day depends on."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any, Final

import msgspec
import polars as pl

from recsys_assets.experiments.impression_days import impression_store, impressions_waiting
from recsys_assets.experiments.shown_days import days_around
from recsys_assets.lake.event_days import event_store
from recsys_assets.orchestration.fingerprints import CODE_VERSIONS, INPUTS_KEY, Inputs, fingerprint
from recsys_assets.storage.day_journal import DayFile
from recsys_assets.storage.home import Home
from recsys_assets.storage.table_copy import days_of_table

ONLINE: Final = "online_metrics"
"""The stage, its artifact and its asset."""
IMPRESSIONS: Final = "impressions"
ONLINE_ASSETS: Final = (IMPRESSIONS, ONLINE)
"""The assets of the stage, in their order."""
WAITING: Final = "impressions"
"""Part: the first impression in the intake that has not landed; 0 for none."""


def has_impressions(home: Home) -> bool:
    """Return whether any impression was ever reported; without one there is no stage, and nothing is stale.

    Raises:
        EventsUnavailableError: the intake cannot be read.
    """
    return bool(days_of_table(home.impression_days)) or impressions_waiting(home) > 0


@dataclass(frozen=True)
class OnlineInputs:
    """All that the online metrics of a home are made from, now; after anything landed take others."""

    inputs: Inputs
    """The fingerprints of the other assets."""

    @cached_property
    def impression_files(self) -> Mapping[date, DayFile]:
        """Day -> its impressions' file."""
        return impression_store(self.inputs.home).files()

    @cached_property
    def _event_files(self) -> Mapping[date, DayFile]:
        return event_store(self.inputs.home).files()

    @cached_property
    def catalogue_items(self) -> int:
        """The number of items in the catalogue; 0 before it is landed."""
        file = self.inputs.home.catalogue
        return pl.scan_parquet(file).select(pl.len()).collect().item() if os.path.isfile(file) else 0  # noqa: PTH113  a path of the home

    @property
    def attribution_days(self) -> float:
        """The window, days."""
        return self.inputs.settings.events.attribution_days

    def of_day(self, day: date) -> str:
        """Covers the impressions and events that the day's metrics depend on, the window and the catalogue's size."""
        first, last = days_around(day, day, attribution_days=self.attribution_days)
        tables = (self.impression_files, self.inputs.interaction_files, self._event_files)
        contents = (
            files[near].content
            for files in tables
            for near in (first + timedelta(days=number) for number in range((last - first).days + 1))
            if near in files
        )
        return fingerprint([CODE_VERSIONS[ONLINE], self.attribution_days, self.catalogue_items, *contents])

    def provenance(self, day: date) -> dict[str, str]:
        """Return the metadata of a day's file."""
        return {INPUTS_KEY: self.of_day(day)}

    def parts(self, *, waiting: bool) -> dict[str, Any]:
        """Return all that the fingerprint covers, by name.

        Args:
            waiting: with the impressions that have not landed; else as a run leaves it that has landed them.
        """
        return {
            "code": CODE_VERSIONS[ONLINE],
            "[events]": {"attribution_days": self.attribution_days},
            "days": {str(day): self.of_day(day) for day in self.impression_files},
            WAITING: impressions_waiting(self.inputs.home) if waiting else 0,
        }

    def fingerprint(self, *, waiting: bool) -> str:
        """Return the fingerprint of the parts."""
        return fingerprint([msgspec.json.encode(self.parts(waiting=waiting)).decode()])
